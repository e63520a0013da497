"""A seam made from the files of the clips on its two sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.mixdown import Mixdown, MixSegment
from audiostory_core.audio.pcm import Waveform

Clip = Path | Waveform  # a file, or what is read from it


@dataclass(frozen=True)
class RenderedSeam:
    """A seam with all that it is measured by; [2, overlap], or less where a clip is shorter.

    Attributes:
        before: what is heard just before the seam, of the clip that ends.
        left: the tail of that clip.
        waveform: the seam.
        right: the opening of the clip that begins.
        after: what is heard just after the seam, of that clip.
    """

    before: Waveform
    left: Waveform
    waveform: Waveform
    right: Waveform
    after: Waveform


def render_seam(left: Clip, left_end: int, right: Clip, overlap: int) -> RenderedSeam:
    """Fade from the tail of one clip to the opening of another.

    Args:
        left: the clip that ends.
        left_end: sample of that clip at which its tail begins.
        right: the clip that begins.
        overlap: samples of the seam.

    Raises:
        UnreadableAudio: if a file is missing, damaged or too short.
    """
    before, tail = _around(left, left_end, overlap)
    opening, after = _around(right, overlap, overlap)
    return RenderedSeam(before, tail, crossfade(tail, opening), opening, after)


def _around(clip: Clip, border: int, samples: int) -> tuple[Waveform, Waveform]:
    """Read up to `samples` of a clip before a border within it, and `samples` after it."""
    start, stop = max(border - samples, 0), border + samples
    if not isinstance(clip, Path):
        before, after = clip[:, start:border], clip[:, border:stop]
        return np.ascontiguousarray(before), np.ascontiguousarray(after)
    with Mixdown([MixSegment(clip, start, stop - start)]) as read:
        return read.read(0, border - start), read.read(border - start, read.samples)
