"""How loud a mix becomes: one gain, at most 6 dB of limiting, and a report of what was reached.

Imports scipy through loudness; not for the HTTP process.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.limiter import (
    BLOCK,
    CEILING_DBTP,
    LOOK_AHEAD,
    MAX_REDUCTION_DB,
    RELEASE,
    TARGET,
    TARGET_DBTP,
)
from audiostory_core.audio.loudness import (
    ABSOLUTE_GATE_LUFS,
    BIN,
    SETTLING,
    SegmentLoudness,
    bin_energies,
    integrated_lufs,
    measure_blocks,
)
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment, Source
from audiostory_core.audio.truepeak import REACH
from audiostory_core.cores import count_cores

TARGET_LUFS = -16.0
TOLERANCE_LU = 0.5  # promised
CLOSE_LU = 0.2  # aimed at; leaves room for other meters
PASSES = 6  # of measuring a limited mix; two or three do
LEAST_YIELD = 0.2  # LU per dB; keeps one step from going too far
LEFT_QUIET = "left as quiet as it is, for no sound that was asked for is in it"
FAINTEST_PEAK = 10 ** (-100 / 20)  # raised to the target, 24 bits' own noise would be heard


@dataclass(frozen=True)
class MasteringReport:
    """What the mastering of a mix reached, and why not more.

    Attributes:
        loudness_lufs: integrated; None where undefined (silence, or shorter than 400 ms).
        true_peak_dbtp: highest; None of pure silence.
        reduction_db: the most that the limiter takes away, 0 … 6.
        reached: whether the loudness is within `TOLERANCE_LU` of `TARGET_LUFS`.
        reason: why not; None where it is.
    """

    gain_db: float
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    reduction_db: float
    target_lufs: float
    reached: bool
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self)


def choose_master_gain(
    source: Source | Sequence[MixSegment],
    loudness: Sequence[SegmentLoudness],
    *,
    may_raise: bool = True,
) -> tuple[MasterGain, MasteringReport]:
    """Choose the gain that brings a mix to `TARGET_LUFS` under `CEILING_DBTP`.

    Reads audio only where the limiter acts, for limiting takes away loudness that the gain has
    to give back.

    Args:
        source: of the mix, or its segments in order; left closed.
        loudness: of each segment, or of stretches that make up the source, in order.
        may_raise: False allows no gain above 0 dB: where nothing that was asked for is heard, a
            higher gain makes hiss of room tone.

    Raises:
        StudioError: if a file that has to be read is damaged.
    """
    peak = max((part.true_peak for part in loudness), default=0.0)
    if peak < FAINTEST_PEAK:
        return _finished(0.0, None, None, 0.0, "the mix is silent")
    energies = bin_energies(loudness)
    peak_dbtp = _db(peak)
    most_gain_db = TARGET_DBTP + MAX_REDUCTION_DB - peak_dbtp
    if not may_raise:
        most_gain_db = min(most_gain_db, 0.0)
    gain_db = min(TARGET_DBTP - peak_dbtp, most_gain_db)
    reached = _loudness_at(gain_db, energies)
    if reached is None:
        if gain_db == most_gain_db:
            return _finished(gain_db, None, peak_dbtp + gain_db, 0.0, LEFT_QUIET)
        reason = "loudness is undefined for less than 400 ms of sound; the peak decides"
        return _finished(gain_db, None, TARGET_DBTP, 0.0, reason)
    for _ in range(PASSES):  # more gain may lift quiet stretches over the absolute gate
        gain_db = min(gain_db + TARGET_LUFS - reached, most_gain_db)
        reached = _loudness_at(gain_db, energies) or ABSOLUTE_GATE_LUFS
    if gain_db + peak_dbtp > TARGET_DBTP:
        return _limited(source, loudness, gain_db, peak_dbtp, most_gain_db)
    is_left_quiet = not may_raise and reached < TARGET_LUFS - TOLERANCE_LU
    return _finished(
        gain_db, reached, peak_dbtp + gain_db, 0.0, LEFT_QUIET if is_left_quiet else None
    )


def _limited(
    source: Source | Sequence[MixSegment],
    loudness: Sequence[SegmentLoudness],
    gain_db: float,
    peak_dbtp: float,
    most_gain_db: float,
) -> tuple[MasterGain, MasteringReport]:
    """Give back by gain what limiting takes away, until it is close or the limiter at its end."""
    tried: list[tuple[float, float]] = []  # gain in dB and the loudness it reached
    for again in reversed(range(PASSES)):
        reached, true_peak = _measure_limited(source, loudness, gain_db)
        short_lu = TARGET_LUFS - reached
        at_the_end = short_lu > 0 and gain_db >= most_gain_db
        if abs(short_lu) <= CLOSE_LU or at_the_end or not again:
            break
        tried.append((gain_db, reached))
        gain_db = min(gain_db + short_lu / _yield(tried[-2:]), most_gain_db)
    reason = None
    if abs(short_lu) > TOLERANCE_LU:
        reason = (
            f"louder would need more than {MAX_REDUCTION_DB:g} dB of limiting "
            f"to keep peaks under {CEILING_DBTP:g} dBTP"
        )
    reduction_db = max(gain_db + peak_dbtp - TARGET_DBTP, 0.0)
    return _finished(gain_db, reached, _db(true_peak), reduction_db, reason)


def _yield(tried: Sequence[tuple[float, float]]) -> float:
    """Loudness won per dB of gain, 1 without limiting, from the last two tries."""
    if len(tried) < 2:
        return 1.0
    (gain_db, lufs), (more_db, more_lufs) = tried
    return min(max((more_lufs - lufs) / (more_db - gain_db), LEAST_YIELD), 1.0)


def _measure_limited(
    source: Source | Sequence[MixSegment], loudness: Sequence[SegmentLoudness], gain_db: float
) -> tuple[float, float]:
    """Return loudness and linear true peak of the limited mix, reading only where limiting acts."""
    gain = 10 ** (gain_db / 20)
    energies = bin_energies(loudness) * gain**2
    highest = 0.0
    stretches = _limited_stretches(loudness, gain, len(energies))
    with ThreadPoolExecutor(count_cores()) as pool:
        all_measured = pool.map(partial(_measure_stretch, source, gain_db), stretches)
        for (first, last), measured in zip(stretches, all_measured, strict=True):
            energies[first:last] = bin_energies([measured])
            highest = max(highest, measured.true_peak)
    untouched = min(max(part.true_peak for part in loudness) * gain, float(TARGET))
    return integrated_lufs(energies) or ABSOLUTE_GATE_LUFS, max(highest, untouched)


def _measure_stretch(
    source: Source | Sequence[MixSegment], gain_db: float, bins: tuple[int, int]
) -> SegmentLoudness:
    """Measure the whole bins [first, last) of the limited mix."""
    start, stop = (at * BIN for at in bins)
    own = source if isinstance(source, Sequence) else source.copy()  # a thread's own files
    with Mixdown(own, MasterGain(gain_db, limiting=True)) as mix:
        before = mix.read(max(start - SETTLING, 0), start)
        parts = (
            mix.read(at, min(at - at % BLOCK + BLOCK, stop))
            for at in (start, *range(start - start % BLOCK + BLOCK, stop, BLOCK))
        )
        after = mix.read(stop, min(stop + REACH, mix.samples))
        return measure_blocks(parts, before, after)


def _limited_stretches(
    loudness: Sequence[SegmentLoudness], gain: float, bins: int
) -> list[tuple[int, int]]:
    """Find the runs of whole mastering bins, [first, last), that the limiter may touch."""
    starts = [0, *accumulate(part.samples for part in loudness)]
    touched = np.zeros(bins, bool)
    for start, part in zip(starts, loudness, strict=False):
        for index in np.flatnonzero(part.peaks * gain > TARGET):
            at = start + int(index) * BIN
            first = max(at - 2 * LOOK_AHEAD, 0) // BIN
            touched[first : (at + BIN + RELEASE + LOOK_AHEAD) // BIN + 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], touched, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _loudness_at(gain_db: float, energies: NDArray[np.float64]) -> float | None:
    return integrated_lufs(energies * 10 ** (gain_db / 10))


def _finished(
    gain_db: float,
    loudness_lufs: float | None,
    true_peak_dbtp: float | None,
    reduction_db: float,
    reason: str | None,
) -> tuple[MasterGain, MasteringReport]:
    report = MasteringReport(
        gain_db, loudness_lufs, true_peak_dbtp, reduction_db, TARGET_LUFS, reason is None, reason
    )
    return MasterGain(gain_db, limiting=reduction_db > 0), report


def _db(linear: float) -> float:
    return 20 * math.log10(linear)
