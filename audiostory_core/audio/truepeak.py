"""True peak: the largest value of a waveform between its samples, at four times the rate.

One estimator for the meter and for the limiter, so that what one promises the other keeps.
"""

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.pcm import Waveform

REACH = 24  # samples either side that the interpolation reads
OVERSAMPLING = 4
KAISER_BETA = 6.0
CHUNK = 8192  # samples worked on at once; fits a processor's cache


def _interpolators() -> NDArray[np.float32]:
    """Windowed sinc at 1/4, 2/4 and 3/4 between two samples, [3, 2 * REACH]."""
    offsets = np.arange(OVERSAMPLING)[1:, None] / OVERSAMPLING
    at = offsets - (np.arange(2 * REACH) - (REACH - 1))
    window = np.i0(KAISER_BETA * np.sqrt(1 - (at / REACH) ** 2)) / np.i0(KAISER_BETA)
    taps = np.sinc(at) * window
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)


TAPS = _interpolators()
OVERSHOOT = float(np.abs(TAPS).sum(axis=1).max())  # true peak ≤ sample peak × this, always


def true_peaks(stretch: Waveform, above: float = 0.0) -> NDArray[np.float32]:
    """Return the peak magnitude from each sample to the next, over all channels.

    Args:
        stretch: [C, REACH + N + REACH]; the first and last `REACH` samples are only read.
        above: linear; where nothing near can exceed it, 0 is returned, which costs little.

    Returns:
        [N] linear. The same samples give the same values wherever the stretch begins.
    """
    peaks = np.zeros(stretch.shape[1] - 2 * REACH, np.float32)
    for at in range(0, len(peaks), CHUNK):
        chunk = stretch[:, at : at + CHUNK + 2 * REACH]
        if np.abs(chunk).max() * OVERSHOOT > above:
            peaks[at : at + CHUNK] = _oversampled(chunk)
    return peaks


def _oversampled(stretch: Waveform) -> NDArray[np.float32]:
    inner = stretch.shape[1] - 2 * REACH
    # Taps at 1/4 and 3/4 mirror each other: their even and odd parts share the work.
    even, odd, middle = (TAPS[0] + TAPS[2]) / 2, (TAPS[0] - TAPS[2]) / 2, TAPS[1]
    quarter, half, skew, both, term = np.zeros((5, len(stretch), inner), np.float32)
    for k in range(REACH):
        before = stretch[:, 1 + k : 1 + k + inner]
        after = stretch[:, 2 * REACH - k : 2 * REACH - k + inner]
        np.add(before, after, out=both)
        quarter += np.multiply(both, even[k], out=term)
        half += np.multiply(both, middle[k], out=term)
        np.subtract(before, after, out=both)
        skew += np.multiply(both, odd[k], out=term)
    peaks = np.abs(stretch[:, REACH : REACH + inner])
    for between in (quarter + skew, half, quarter - skew):
        np.maximum(peaks, np.abs(between, out=between), out=peaks)
    highest: NDArray[np.float32] = peaks.max(axis=0)
    return highest
