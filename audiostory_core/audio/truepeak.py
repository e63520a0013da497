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
HOP = 32  # samples estimated by one product; longer ones multiply more zeros
ROWS = 8  # hops in one product: so small a one BLAS does in one thread, whatever the machine
HOPS_AT_ONCE = 16 * ROWS  # what they need is small enough for malloc to keep it
# Of the highest sample. Rounding in single precision, of an estimate and of what is exact alike,
# is within 2 * REACH * 2**-24 * OVERSHOOT, a tenth of it.
MARGIN = 1e-4


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


def leading_true_peaks(stretch: Waveform, starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what `true_peaks` does where it may be the highest of its bin, and 0 elsewhere.

    So the highest value of each bin is that of `true_peaks`, to the bit, at a third of the work.

    Args:
        stretch: [C, REACH + N + REACH]; the first and last `REACH` samples are only read.
        starts: first sample of each bin, rising from 0 to below N; no bin but the first and the
            last may be shorter than `HOP`.

    Returns:
        [N] linear.
    """
    samples = stretch.shape[1] - 2 * REACH
    hops = samples // (ROWS * HOP) * ROWS
    whole = hops * HOP
    peaks = np.zeros(samples, np.float32)
    peaks[whole:] = true_peaks(stretch[:, whole:])
    if hops:
        inner = stretch[:, : whole + 2 * REACH]
        chosen = np.flatnonzero(_may_lead(_estimates(inner, hops), starts, _margin(inner)))
        at = chosen * HOP + np.arange(HOP + 2 * REACH)[:, None]
        peaks[:whole].reshape(hops, HOP)[chosen] = _oversampled(stretch[:, at]).T
    return peaks


def _estimates(stretch: Waveform, hops: int) -> NDArray[np.float32]:
    """Return the true peak of each hop to within `_margin`, [hops]."""
    estimates = np.empty(hops, np.float32)
    for first in range(0, hops, HOPS_AT_ONCE):
        last = min(first + HOPS_AT_ONCE, hops)
        part = stretch[:, first * HOP : last * HOP + 2 * REACH]
        windows = np.lib.stride_tricks.sliding_window_view(part[:, 1:], len(_PRODUCT), axis=1)
        between = windows[:, ::HOP].reshape(-1, ROWS, len(_PRODUCT)) @ _PRODUCT
        highest = np.abs(between, out=between).max(axis=2).reshape(len(part), -1)
        samples = np.abs(part[:, REACH:-REACH]).reshape(len(part), -1, HOP).max(axis=2)
        estimates[first:last] = np.maximum(highest, samples).max(axis=0)
    return estimates


def _product() -> NDArray[np.float32]:
    """Return what turns the samples around a hop into those between its samples."""
    product = np.zeros((HOP + 2 * REACH - 1, len(TAPS), HOP), np.float32)
    for at in range(HOP):
        product[at : at + 2 * REACH, :, at] = TAPS.T
    return product.reshape(len(product), -1)


_PRODUCT = _product()


def _margin(stretch: Waveform) -> float:
    return MARGIN * float(np.abs(stretch).max())


def _may_lead(
    estimates: NDArray[np.float32], starts: NDArray[np.int64], margin: float
) -> NDArray[np.bool_]:
    """Tell for each hop whether the highest value of a bin that it touches may lie in it."""
    edges = np.arange(len(estimates)) * HOP
    first = np.searchsorted(starts, edges, side="right") - 1
    last = np.searchsorted(starts, edges + HOP - 1, side="right") - 1
    lead = np.zeros(len(starts), np.float32)
    inside = first == last
    np.maximum.at(lead, first[inside], estimates[inside])
    rivals = np.minimum(lead[first], lead[last])
    return ~(estimates < rivals - 2 * margin)  # what is not a number leads


def _oversampled(stretch: Waveform) -> NDArray[np.float32]:
    """Return the true peaks of [C, REACH + N + REACH, ...] over all channels, [N, ...]."""
    inner = stretch.shape[1] - 2 * REACH
    # Taps at 1/4 and 3/4 mirror each other: their even and odd parts share the work.
    even, odd, middle = (TAPS[0] + TAPS[2]) / 2, (TAPS[0] - TAPS[2]) / 2, TAPS[1]
    quarter, half, skew, both, term = np.zeros(
        (5, len(stretch), inner, *stretch.shape[2:]), np.float32
    )
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
