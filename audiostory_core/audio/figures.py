"""Figures of a stretch in which several stems sound at once.

A body is measured inside the clips that it is a slice of, a seam between what it was rendered
from; so both depend on these files and on the balance there alone. Imports scipy: not for the
HTTP process.
"""

from collections.abc import Callable, Mapping

import numpy as np

from audiostory_core.audio.balance import Balance
from audiostory_core.audio.loudness import SETTLING, SegmentLoudness, measure_range
from audiostory_core.audio.mixdown import Chain, MixSegment, Silence, Source
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.rendering import Clip, RenderedSeam
from audiostory_core.audio.stems import InMemory, StemSum
from audiostory_core.audio.truepeak import REACH
from audiostory_core.stem import Stem
from audiostory_core.story.plan import CHANNELS

Slice = tuple[Clip, int]  # a clip and the sample at which the stretch begins in it


def measured_span(at: int, samples: int) -> tuple[int, int]:
    """Return the samples of the story whose balance the figures of a stretch depend on."""
    return at - SETTLING, at + samples + REACH


def measure_sum(
    stems: Mapping[Stem, Slice], samples: int, balance: Balance, at: int
) -> SegmentLoudness:
    """Measure a stretch of a sum as `measure_segment` does one of a file.

    Args:
        stems: the clip that each stem plays there, `RenderedSeam.in_place` of a seam; what is
            not among them is silent.
        samples: length of the stretch.
        balance: how loud each stem is.
        at: sample of the story at which the stretch begins.

    Raises:
        UnreadableAudio: if a file is missing, damaged or too short.
    """
    sources: dict[Stem, Source] = {
        stem: _surrounded(clip, offset, samples) for stem, (clip, offset) in stems.items()
    }
    total: Source = StemSum(sources, balance, at - SETTLING)
    if not sources:
        total = Chain([Silence(SETTLING + samples + REACH)])
    try:
        return measure_range(total, SETTLING, SETTLING + samples)
    finally:
        total.close()


def sum_seams(seams: Mapping[Stem, RenderedSeam], balance: Balance, at: int) -> RenderedSeam:
    """Add up the seams of some stems at one place, by their gains.

    Args:
        seams: of equal length, at least one.
        balance: how loud each stem is.
        at: sample of the story at which the seams begin.
    """
    stop = at + next(iter(seams.values())).waveform.shape[1]

    def add(
        part: Callable[[RenderedSeam], Waveform], place: int, *, is_end: bool = False
    ) -> Waveform:
        parts = {stem: part(seam) for stem, seam in seams.items()}
        longest = max(waveform.shape[1] for waveform in parts.values())
        total = np.zeros((CHANNELS, longest), np.float32)
        for stem, waveform in parts.items():
            length = waveform.shape[1]
            start = place - length if is_end else place
            heard = total[:, longest - length :] if is_end else total[:, :length]
            heard += waveform * balance.gain(stem, start, start + length)
        return total

    return RenderedSeam(
        before=add(lambda seam: seam.before, at, is_end=True),
        left=add(lambda seam: seam.left, at),
        waveform=add(lambda seam: seam.waveform, at),
        right=add(lambda seam: seam.right, at),
        after=add(lambda seam: seam.after, stop),
    )


def _surrounded(clip: Clip, offset: int, samples: int) -> Source:
    """Return a slice of a clip with `SETTLING` samples before and `REACH` after it."""
    first, stop = max(offset - SETTLING, 0), offset + samples
    length = clip.shape[1] if isinstance(clip, np.ndarray) else MixSegment.whole(clip).samples
    last = max(min(stop + REACH, length), stop)
    before, after = SETTLING - (offset - first), REACH - (last - stop)
    if isinstance(clip, np.ndarray):
        return InMemory(np.pad(clip[:, first:last], ((0, 0), (before, after))))
    return Chain([Silence(before), MixSegment(clip, first, last - first), Silence(after)])
