"""Look-ahead true-peak limiter of finite memory.

Every stretch of a mix can be limited on its own, bit-identical to the same stretch of the whole:
the gain at a sample depends on no more than `BEFORE` samples before it and `AFTER` after it,
and is always computed on the same absolute grid of `BLOCK` samples.

    true peaks → needed gain → release (a straight line in dB) → lowest over the look-ahead
    → three boxes as long as the look-ahead together

The last two make the gain arrive at its lowest just as the peak does, without a corner.
"""

import math

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import REACH, true_peaks
from audiostory_core.story.plan import SAMPLE_RATE

BLOCK = 1 << 16
CEILING_DBTP = -1.0  # promised
# True-peak meters differ by their filters: by 0.55 dB for white noise limited by 6 dB.
METER_MARGIN_DB = 0.7
TARGET_DBTP = CEILING_DBTP - METER_MARGIN_DB  # limited to
MAX_REDUCTION_DB = 6.0
# The mastering's gain keeps within MAX_REDUCTION_DB; peaks across a seam may exceed what its two
# sides were measured at by a hair.
DEEPEST_DB = MAX_REDUCTION_DB + 1.0
RELEASE_DB_S = 40.0  # dB per second
BOX = round(0.002 * SAMPLE_RATE)  # samples; an attack of 6 ms in all
LOOK_AHEAD = 3 * (BOX - 1)
RELEASE = math.ceil(DEEPEST_DB / RELEASE_DB_S * SAMPLE_RATE)
BEFORE = RELEASE + LOOK_AHEAD + 2 * REACH
AFTER = LOOK_AHEAD + 2 * REACH
TARGET = np.float32(10 ** (TARGET_DBTP / 20))


def limit(stretch: Waveform) -> Waveform:
    """Limit one block of a mix to `TARGET_DBTP`, both channels by the same gain.

    Args:
        stretch: [C, BEFORE + N + AFTER] samples of the mix around the block, silence beyond its
            ends.

    Returns:
        [C, N] the block alone. Untouched, to the bit, where nothing near exceeds the target.
    """
    block = stretch[:, BEFORE : stretch.shape[1] - AFTER]
    peaks = true_peaks(stretch, above=float(TARGET))
    if peaks.max() <= TARGET:
        return block
    gain = 10 ** (_gain_db(peaks) / 20)
    return (block * gain).astype(np.float32)


def _gain_db(peaks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn the true peaks of a stretch, without its outermost REACH, into the block's gain."""
    over_db = 20 * np.log10(np.maximum(peaks, TARGET).astype(np.float64) / float(TARGET))
    needed = -np.minimum(over_db, DEEPEST_DB)
    slope = np.arange(len(needed)) * (RELEASE_DB_S / SAMPLE_RATE)
    released = np.minimum.accumulate(needed - slope) + slope
    # A peak is heard REACH samples either side of where it is: the gain stays put there.
    held = _lowest(released, LOOK_AHEAD + 1 + 2 * REACH)
    smooth = held
    for _ in range(3):
        smooth = _moving_mean(smooth, BOX)
    return np.minimum(smooth[RELEASE:], 0.0)


def _lowest(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the minimum of each `window` values in a row, in log2(window) passes."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    rest = window - width
    return np.minimum(values[:-rest], values[rest:]) if rest else values


def _moving_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[window:] - total[:-window]) / window
