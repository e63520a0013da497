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
GRAIN = 16  # samples; divides what a hop reads
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
    hops = samples // HOP
    whole = hops * HOP
    peaks = np.zeros(samples, np.float32)
    peaks[whole:] = true_peaks(stretch[:, whole:])
    if hops:
        inner = stretch[:, : whole + 2 * REACH]
        chosen = _leading_hops(inner, starts)
        at = chosen * HOP + np.arange(HOP + 2 * REACH)[:, None]
        peaks[:whole].reshape(hops, HOP)[chosen] = _oversampled(stretch[:, at]).T
    return peaks


def highest_true_peak(waveform: Waveform) -> float:
    """Return the highest true peak of a [C, N] waveform with silence around it, linear."""
    stretch = np.pad(waveform, ((0, 0), (REACH, REACH)))
    return float(leading_true_peaks(stretch, np.zeros(1, np.int64)).max(initial=0.0))


def _leading_hops(stretch: Waveform, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the hops in which the highest value of a bin may lie.

    Estimated are only those whose samples allow more than the highest sample of their bins.
    """
    highest = np.abs(stretch).max(axis=0)
    edges = np.arange((len(highest) - 2 * REACH) // HOP) * HOP
    bins = tuple(np.searchsorted(starts, at, side="right") - 1 for at in (edges, edges + HOP - 1))
    halves = _maxima(highest, GRAIN // 2)
    reached = _maxima(halves[2 * REACH // GRAIN : -2 * REACH // GRAIN], 2 * HOP // GRAIN)
    near = _maxima(halves, 2)
    near = np.maximum.reduce([near[k : len(near) - 4 + k : 2] for k in range(5)])
    allowed = near * np.float32(OVERSHOOT * (1 + MARGIN))
    chosen = np.flatnonzero(~(allowed <= _rivals(reached, *bins)))  # what is not a number leads
    estimates = _estimates(stretch, chosen)
    bins = tuple(each[chosen] for each in bins)
    margin = MARGIN * float(highest.max())
    return chosen[~(estimates < _rivals(estimates, *bins) - 2 * margin)]


def _maxima(heights: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return the highest of every `width` in a row, a power of two that divides their number.

    By halves: numpy takes six times as long to reduce many short rows.
    """
    while width > 1:
        heights, width = np.maximum(heights[::2], heights[1::2]), width // 2
    return heights


def _rivals(
    heights: NDArray[np.float32], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return for each hop what it has to exceed to lead its first bin or its last one."""
    lead = np.zeros(int(last.max(initial=0)) + 1, np.float32)
    inside = first == last
    np.maximum.at(lead, first[inside], heights[inside])
    return np.minimum(lead[first], lead[last])


def _estimates(stretch: Waveform, hops: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the true peaks of some hops to within a margin, [len(hops)]."""
    windows = np.lib.stride_tricks.sliding_window_view(stretch, HOP + 2 * REACH, axis=1)[:, ::HOP]
    filled = np.append(hops, np.repeat(hops[-1:], -len(hops) % ROWS))
    estimates = np.empty(len(filled), np.float32)
    for at in range(0, len(filled), HOPS_AT_ONCE):
        part = windows[:, filled[at : at + HOPS_AT_ONCE]].reshape(-1, ROWS, HOP + 2 * REACH)
        between = part[..., 1:] @ _PRODUCT
        highest = np.abs(between, out=between).max(axis=2)
        samples = np.abs(part[..., REACH:-REACH]).max(axis=2)
        both = np.maximum(highest, samples).reshape(len(stretch), -1)
        estimates[at : at + HOPS_AT_ONCE] = both.max(axis=0)
    return estimates[: len(hops)]


def _product() -> NDArray[np.float32]:
    """Return what turns the samples around a hop into those between its samples."""
    product = np.zeros((HOP + 2 * REACH - 1, len(TAPS), HOP), np.float32)
    for at in range(HOP):
        product[at : at + 2 * REACH, :, at] = TAPS.T
    return product.reshape(len(product), -1)


_PRODUCT = _product()


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
