"""Loudness after ITU-R BS.1770-4, kept so that a mix is measured once per segment.

A segment's loudness is K-weighted energies in bins of 10 ms counted from the segment's own start.
They belong to the segment wherever it stands; a mastering's loudness is made from those of its
segments alone. Imports scipy: not for the HTTP process.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio import filters
from audiostory_core.audio.mixdown import Mixdown, MixSegment, Source
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import REACH, leading_true_peaks
from audiostory_core.story.plan import CHANNELS, SAMPLE_RATE

# Segments start anywhere on the mastering's grid and energy is taken as even within their bins:
# bins of 100 ms would misread sparse clicks by up to 0.6 LU, 20 ms by 0.06, 10 ms by 0.02.
ENERGY_BIN = SAMPLE_RATE // 100  # samples
BIN = 10 * ENERGY_BIN  # of a mastering, 100 ms: the hop of 400 ms blocks that overlap by 75 %
MOMENTARY_BINS = 4  # 400 ms, also the gating block
SHORT_TERM_BINS = 30  # 3 s
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LUFS = -0.691  # makes a full-scale 997 Hz sine in one channel read -3.01
SETTLING = BIN  # samples after which the filters have forgotten: -60 dB after 30 ms
READ = 10 * BIN


def _k_weighting() -> NDArray[np.float64]:
    """Second-order sections at `SAMPLE_RATE`, [2, 6].

    BS.1770 tabulates the two filters at 48 kHz only; these are the analog prototypes behind
    the table, as libebur128 (ebur128.c, `ebur128_init_filter`) states them.
    """
    k = math.tan(math.pi * 1681.974450955533 / SAMPLE_RATE)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - band * k / q + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / q + k * k) / a0,
    ]
    k = math.tan(math.pi * 38.13547087602444 / SAMPLE_RATE)
    q = 0.5003270373238773
    a0 = 1 + k / q + k * k
    rumble = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    return np.array([shelf, rumble])


K_WEIGHTING = _k_weighting()


@dataclass(frozen=True)
class SegmentLoudness:
    """What mastering needs to know of one segment, wherever it stands.

    Attributes:
        samples: length of the segment.
        energies: float32, K-weighted squares summed over both channels and each `ENERGY_BIN`; the
            last bin may be shorter.
        peaks: float32, linear true peak of each `BIN`; the last may be shorter.
    """

    samples: int
    energies: NDArray[np.float32]
    peaks: NDArray[np.float32]

    @property
    def true_peak(self) -> float:
        """Linear true peak of the segment."""
        return float(self.peaks.max(initial=0.0))

    def as_bytes(self) -> bytes:
        """Return energies and peaks for keeping; `from_bytes` reads them."""
        return np.concatenate([self.energies, self.peaks]).astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, samples: int, kept: bytes) -> Self:
        """Read what `as_bytes` wrote of a segment of `samples`.

        Raises:
            ValueError: if the bytes are not those of so long a segment.
        """
        values = np.frombuffer(kept, "<f4")
        bins = -(-samples // ENERGY_BIN)
        if len(values) != bins + -(-samples // BIN):
            raise ValueError(f"{len(values)} values kept of a segment of {samples} samples")
        return cls(samples, values[:bins], values[bins:])


def measure_blocks(
    blocks: Iterable[Waveform], before: Waveform | None = None, after: Waveform | None = None
) -> SegmentLoudness:
    """Measure a segment given in blocks of any length.

    Args:
        blocks: [2, n] each.
        before: [2, n] what is heard just before, so that the filters start settled and peaks
            across the border count; the last `SETTLING` samples are used. None is silence.
        after: [2, n] what is heard just after; the first `REACH` samples are used.
    """
    past = _context(before, SETTLING, last=True)
    future = _context(after, REACH, last=False)
    state = np.zeros((len(K_WEIGHTING), CHANNELS, 2))
    _, state = filters.sosfilt(K_WEIGHTING, past, axis=1, zi=state)
    energies = _Bins(ENERGY_BIN, np.add)
    peaks = _Bins(BIN, np.maximum)
    behind = past[:, -REACH:]
    for block, ahead in _with_next(blocks, future):
        weighted, state = filters.sosfilt(K_WEIGHTING, block, axis=1, zi=state)
        energies.extend(np.square(weighted, out=weighted).sum(axis=0))
        stretch = np.concatenate([behind, block, ahead], axis=1)
        peaks.extend(leading_true_peaks(stretch, peaks.starts(block.shape[1])))
        behind = stretch[:, -2 * REACH : -REACH]
    return SegmentLoudness(energies.samples, energies.values(), peaks.values())


def measure_waveform(
    waveform: Waveform, before: Waveform | None = None, after: Waveform | None = None
) -> SegmentLoudness:
    """Measure a segment that is at hand as a [2, N] waveform; see `measure_blocks`."""
    parts = (waveform[:, at : at + READ] for at in range(0, waveform.shape[1], READ))
    return measure_blocks(parts, before, after)


def measure_energies(waveform: Waveform) -> NDArray[np.float64]:
    """Return the energies of the whole 100 ms bins of a [2, N] waveform with silence around it."""
    state = np.zeros((len(K_WEIGHTING), CHANNELS, 2))
    energies = _Bins(ENERGY_BIN, np.add)
    for at in range(0, waveform.shape[1], READ):
        block = waveform[:, at : at + READ]
        weighted, state = filters.sosfilt(K_WEIGHTING, block, axis=1, zi=state)
        energies.extend(np.square(weighted, out=weighted).sum(axis=0))
    return bin_energies([SegmentLoudness(energies.samples, energies.values(), np.zeros(0, "f4"))])


def measure_segment(segment: MixSegment) -> SegmentLoudness:
    """Measure a slice of a file, streaming; what surrounds it in the file is its context.

    Right for the body of a scene, whose clip goes on into both seams; give a seam to
    `measure_waveform` with its neighbors.

    Raises:
        UnreadableAudio: if the file is missing, damaged or too short.
    """
    length = MixSegment.whole(segment.path).samples
    first = max(segment.offset - SETTLING, 0)
    stop = segment.offset + segment.samples
    last = max(min(stop + REACH, length), stop)
    with Mixdown([MixSegment(segment.path, first, last - first)]) as clip:
        start, end = segment.offset - first, stop - first
        after = clip.read(end, last - first)
        before = clip.read(0, start)
        parts = (clip.read(at, min(at + READ, end)) for at in range(start, end, READ))
        return measure_blocks(parts, before, after)


def measure_slice(clip: Waveform, offset: int, samples: int) -> SegmentLoudness:
    """Measure a slice of a [2, N] clip that is at hand as `measure_segment` does one of its file."""
    stop = offset + samples
    before, after = clip[:, max(offset - SETTLING, 0) : offset], clip[:, stop : stop + REACH]
    return measure_waveform(clip[:, offset:stop], before, after)


def measure_range(source: Source, start: int, stop: int) -> SegmentLoudness:
    """Measure samples `start` to `stop` of a source, streaming; what surrounds them is context.

    Raises:
        UnreadableAudio: if a file is missing, damaged or too short.
    """
    after = source.read(stop, min(stop + REACH, source.samples))
    before = source.read(max(start - SETTLING, 0), start)
    parts = (source.read(at, min(at + READ, stop)) for at in range(start, stop, READ))
    return measure_blocks(parts, before, after)


def bin_energies(loudness: Sequence[SegmentLoudness]) -> NDArray[np.float64]:
    """Return the energies of a mastering's whole 100 ms bins, counted from its start."""
    start, so_far = 0, 0.0
    totals = [np.zeros(1)]
    for part in loudness:
        edges = np.minimum(np.arange(len(part.energies) + 1) * ENERGY_BIN, part.samples)
        running = np.concatenate([[0.0], np.cumsum(part.energies, dtype=np.float64)])
        grid = np.arange(start - start % BIN + BIN, start + part.samples + 1, BIN) - start
        totals.append(so_far + np.interp(grid, edges, running))
        start, so_far = start + part.samples, so_far + float(running[-1])
    return np.diff(np.concatenate(totals))


def integrated_lufs(energies: NDArray[np.float64]) -> float | None:
    """Return the gated loudness of a mastering's 100 ms bins, or None where it is undefined.

    Undefined: shorter than 400 ms, or nothing above the absolute gate of -70 LUFS.
    """
    blocks = _windows(energies, MOMENTARY_BINS)
    heard = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
    if not heard.size:
        return None
    gate = _lufs(heard.mean()) + RELATIVE_GATE_LU
    return float(_lufs(heard[_lufs(heard) > gate].mean()))


def sliding_lufs(energies: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return loudness over time, a value every 100 ms over the `bins` before it; -inf is silence.

    `MOMENTARY_BINS` gives momentary loudness, `SHORT_TERM_BINS` short-term; [len - bins + 1].
    """
    return _lufs(_windows(energies, bins))


def _windows(energies: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Mean square of every `bins` bins in a row, both channels added."""
    if len(energies) < bins:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(energies, bins)
    return windows.sum(axis=1) / (bins * BIN)


def _lufs(mean_square: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(OFFSET_LUFS + 10 * np.log10(mean_square))


class _Bins:
    """Sums or maxima of bins of equal width over a stream."""

    def __init__(self, width: int, combine: np.ufunc) -> None:
        self.samples = 0
        self._width = width
        self._combine = combine
        self._parts: list[NDArray[np.float64]] = []

    def extend(self, stretch: NDArray[np.floating]) -> None:
        at = self.samples % self._width
        starts = self.starts(len(stretch))
        binned = self._combine.reduceat(stretch, starts).astype(np.float64)
        if at:
            self._parts[-1][-1] = self._combine(self._parts[-1][-1], binned[0])
            binned = binned[1:]
        if len(binned):
            self._parts.append(binned)
        self.samples += len(stretch)

    def starts(self, samples: int) -> NDArray[np.int64]:
        """Return where the bins of the next `samples` begin, the one that is open at 0."""
        return np.arange(-(self.samples % self._width), samples, self._width).clip(0)

    def values(self) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0), *self._parts]).astype(np.float32)


def _context(waveform: Waveform | None, samples: int, *, last: bool) -> Waveform:
    """Cut or pad with silence to `samples`, keeping the end (`last`) or the beginning."""
    known = np.zeros((CHANNELS, 0), np.float32) if waveform is None else waveform
    if last:
        kept = known[:, max(known.shape[1] - samples, 0) :]
        return np.pad(kept, ((0, 0), (samples - kept.shape[1], 0)))
    kept = known[:, :samples]
    return np.pad(kept, ((0, 0), (0, samples - kept.shape[1])))


def _with_next(blocks: Iterable[Waveform], future: Waveform) -> Iterator[tuple[Waveform, Waveform]]:
    """Pair each block with the `REACH` samples after it; short blocks are joined first."""
    pending: Waveform | None = None
    for block in blocks:
        if pending is not None and block.shape[1] < REACH:
            pending = np.concatenate([pending, block], axis=1)
            continue
        if pending is not None and pending.shape[1]:
            yield pending, block[:, :REACH]
        pending = block
    if pending is not None and pending.shape[1]:
        yield pending, future
