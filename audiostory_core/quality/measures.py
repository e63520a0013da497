"""What is measured of a clip in the job that made it; checks.py says what it means.

Imports scipy through loudness; not for the HTTP process.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np

from audiostory_core.audio.loudness import (
    BIN,
    MOMENTARY_BINS,
    integrated_lufs,
    measure_energies,
)
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import highest_true_peak
from audiostory_core.story.plan import CHANNELS

SILENT_DBFS = -70.0  # a 100 ms bin below is silent: under the noise of a quiet room at any volume
FULL_SCALE = 0.9999  # a waveform that was cut sits here
CUT_RUN = 3  # samples in a row at full scale; a limited peak touches it once
FLOOR_DB = -200.0  # stands for silence where JSON has no -inf


@dataclass(frozen=True)
class Measures:
    """Measures of one clip; those of level are 0 or the floor where it cannot be measured.

    One that this version does not take of a clip, or an earlier one did not, is None.

    Attributes:
        finite: every value is a number.
        exact_length: stereo, and as long as its request asked for.
        peak: linear sample peak.
        true_peak: linear, oversampled.
        rms_db: of the whole clip, both channels, dBFS.
        loudest_db: RMS of the loudest 400 ms (or of the whole if shorter), dBFS.
        dc: largest mean of a channel, linear.
        clipped_samples: in runs of at least `CUT_RUN` at full scale.
        silent_fraction: of 100 ms bins below `SILENT_DBFS`, 0 … 1.
        loudness_lufs: integrated; None where undefined.
        spoken: of dialogue, where somebody speaks: [start, stop) in samples.
    """

    finite: bool | None = None
    exact_length: bool | None = None
    peak: float | None = None
    true_peak: float | None = None
    rms_db: float | None = None
    loudest_db: float | None = None
    dc: float | None = None
    clipped_samples: int | None = None
    silent_fraction: float | None = None
    loudness_lufs: float | None = None
    spoken: tuple[tuple[int, int], ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the measures for JSON; `from_stored` reads them."""
        measures = asdict(self)
        if self.spoken is None:  # as measures were before there were stems
            del measures["spoken"]
        return measures

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        """Read what any version has stored: others' measures are left out, missing ones None."""
        return cls(**{field.name: stored.get(field.name) for field in fields(cls)})


class BinPowers(NamedTuple):
    """A clip in bins of 100 ms."""

    powers: np.ndarray  # sums of squares
    counts: np.ndarray  # how many numbers each sums


def measure(waveform: Waveform, expected_samples: int) -> Measures:
    """Measure a clip, [2, N]; `expected_samples` is what its request wants."""
    exact = waveform.shape == (CHANNELS, expected_samples)
    finite = bool(np.isfinite(waveform).all())
    if not finite or not waveform.size or waveform.shape[0] != CHANNELS:
        return Measures(finite, exact, 0.0, 0.0, FLOOR_DB, FLOOR_DB, 0.0, 0, 1.0, None)
    bins = bin_powers(waveform)
    heard = waveform[:, : _heard_samples(bins)]
    return Measures(
        finite=True,
        exact_length=exact,
        peak=sample_peak(waveform),
        true_peak=highest_true_peak(heard),
        rms_db=rms_db(bins),
        loudest_db=loudest_db(bins),
        dc=offset(waveform),
        clipped_samples=clipped_samples(waveform),
        silent_fraction=silent_fraction(bins),
        loudness_lufs=integrated_lufs(measure_energies(heard)),
    )


def _heard_samples(bins: BinPowers) -> int:
    """Return after how many samples nothing more is heard, not even by a gated block."""
    sounding = np.flatnonzero(bins.powers)
    last = int(sounding[-1]) if sounding.size else 0
    return (last + 1 + MOMENTARY_BINS) * BIN


def sample_peak(waveform: Waveform) -> float:
    """Return the largest value, linear."""
    return float(np.abs(waveform).max())


def offset(waveform: Waveform) -> float:
    """Return the largest mean of a channel, linear."""
    return float(np.abs(waveform.mean(axis=1, dtype=np.float64)).max())


def bin_powers(waveform: Waveform) -> BinPowers:
    """Cut a clip into bins of 100 ms; the last may be shorter."""
    starts = np.arange(0, waveform.shape[1], BIN)
    squares = np.zeros(waveform.shape[1])
    for channel in waveform:
        squares += np.square(channel, dtype=np.float64)
    counts = np.diff([*starts, waveform.shape[1]]) * waveform.shape[0]
    return BinPowers(np.add.reduceat(squares, starts), counts)


def rms_db(bins: BinPowers) -> float:
    """Return the level of the whole, dBFS."""
    return _db(float(bins.powers.sum() / bins.counts.sum()))


def loudest_db(bins: BinPowers) -> float:
    """Return the level of the loudest 400 ms, or of the whole if it is shorter, dBFS."""
    powers, counts = bins
    if len(powers) <= MOMENTARY_BINS:
        return rms_db(bins)
    blocks = np.lib.stride_tricks.sliding_window_view(powers, MOMENTARY_BINS).sum(axis=1)
    sizes = np.lib.stride_tricks.sliding_window_view(counts, MOMENTARY_BINS).sum(axis=1)
    return _db(float((blocks / sizes).max()))


def silent_fraction(bins: BinPowers) -> float:
    """Return the share of bins below `SILENT_DBFS`, 0 … 1."""
    return float(np.mean(bins.powers <= bins.counts * 10 ** (SILENT_DBFS / 10)))


def clipped_samples(waveform: Waveform) -> int:
    """Return how many samples stand in runs of at least `CUT_RUN` at full scale."""
    clipped = 0
    for channel in np.abs(waveform) >= FULL_SCALE:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], channel, [False]])))
        runs = edges[1::2] - edges[::2]
        clipped += int(runs[runs >= CUT_RUN].sum())
    return clipped


def _db(power: float) -> float:
    return max(10 * float(np.log10(power)), FLOOR_DB) if power > 0 else FLOOR_DB
