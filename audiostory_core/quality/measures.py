"""What is measured of a clip in the job that made it, and what check makes of it.

Imports scipy through loudness; not for the HTTP process.
"""

from dataclasses import asdict, dataclass
from typing import Any

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
FAINT_DBFS = -65.0  # loudest 400 ms; the faintest ambience an engine means to be heard is above
FULL_SCALE = 0.9999  # a waveform that was cut sits here
CUT_RUN = 3  # samples in a row at full scale; a limited peak touches it once
MAX_DC = 0.02  # costs 0.2 dB of headroom, and clicks where a clip is cut
FLOOR_DB = -200.0  # stands for silence where JSON has no -inf


@dataclass(frozen=True)
class Measures:
    """Measures of one clip; those of level are 0 or the floor where it cannot be measured.

    Attributes:
        peak: linear sample peak.
        true_peak: linear, oversampled.
        rms_db: of the whole clip, both channels, dBFS.
        loudest_db: RMS of the loudest 400 ms (or of the whole if shorter), dBFS.
        dc: largest mean of a channel, linear.
        clipped_samples: in runs of at least `CUT_RUN` at full scale.
        silent_fraction: of 100 ms bins below `SILENT_DBFS`, 0 … 1.
        loudness_lufs: integrated; None where undefined.
    """

    finite: bool
    exact_length: bool
    peak: float
    true_peak: float
    rms_db: float
    loudest_db: float
    dc: float
    clipped_samples: int
    silent_fraction: float
    loudness_lufs: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the measures for JSON; `Measures(**kept)` reads them."""
        return asdict(self)


def measure(waveform: Waveform, expected_samples: int) -> Measures:
    """Measure a clip, [2, N]; `expected_samples` is what its request asked for."""
    exact = waveform.shape == (CHANNELS, expected_samples)
    finite = bool(np.isfinite(waveform).all())
    if not finite or not waveform.size or waveform.shape[0] != CHANNELS:
        return Measures(finite, exact, 0.0, 0.0, FLOOR_DB, FLOOR_DB, 0.0, 0, 1.0, None)
    powers, counts = _bin_powers(waveform)
    return Measures(
        finite=True,
        exact_length=exact,
        peak=float(np.abs(waveform).max()),
        true_peak=highest_true_peak(waveform),
        rms_db=_db(float(powers.sum() / counts.sum())),
        loudest_db=_db(_loudest(powers, counts)),
        dc=float(np.abs(waveform.mean(axis=1, dtype=np.float64)).max()),
        clipped_samples=_clipped_samples(waveform),
        silent_fraction=float(np.mean(powers <= counts * 10 ** (SILENT_DBFS / 10))),
        loudness_lufs=integrated_lufs(measure_energies(waveform)),
    )


def verdict(measures: Measures, sound_expected: bool) -> tuple[str, ...]:
    """Say what is wrong with a clip; empty if nothing is.

    Args:
        measures: of the clip.
        sound_expected: False for a scene that asks for silence.
    """
    if not measures.finite:
        return ("it holds values that are not numbers",)
    if not measures.exact_length:
        return ("it has the wrong length",)
    wrongs = []
    if sound_expected and measures.loudest_db < FAINT_DBFS:
        wrongs.append("it is silent where sound is expected")
    if measures.peak > 1.0 or measures.clipped_samples:
        wrongs.append("it is clipped")
    if measures.dc > MAX_DC:
        wrongs.append("it has a constant offset")
    return tuple(wrongs)


def _bin_powers(waveform: Waveform) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares per 100 ms bin and how many numbers each sums."""
    starts = np.arange(0, waveform.shape[1], BIN)
    squares = np.square(waveform, dtype=np.float64).sum(axis=0)
    counts = np.diff([*starts, waveform.shape[1]]) * waveform.shape[0]
    return np.add.reduceat(squares, starts), counts


def _loudest(powers: np.ndarray, counts: np.ndarray) -> float:
    if len(powers) <= MOMENTARY_BINS:
        return float(powers.sum() / counts.sum())
    blocks = np.lib.stride_tricks.sliding_window_view(powers, MOMENTARY_BINS).sum(axis=1)
    sizes = np.lib.stride_tricks.sliding_window_view(counts, MOMENTARY_BINS).sum(axis=1)
    return float((blocks / sizes).max())


def _clipped_samples(waveform: Waveform) -> int:
    clipped = 0
    for channel in np.abs(waveform) >= FULL_SCALE:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], channel, [False]])))
        runs = edges[1::2] - edges[::2]
        clipped += int(runs[runs >= CUT_RUN].sum())
    return clipped


def _db(power: float) -> float:
    return max(10 * float(np.log10(power)), FLOOR_DB) if power > 0 else FLOOR_DB
