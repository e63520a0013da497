"""A seam made from the files of the clips on its two sides, or on one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.mixdown import Mixdown, MixSegment
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import CHANNELS

Clip = Path | Waveform  # a file, or what is read from it


@dataclass(frozen=True)
class RenderedSeam:
    """A seam with all that it is measured by; [2, overlap], or less where a clip is shorter.

    Attributes:
        before: what is heard just before the seam, of the clip that ends.
        left: the tail of that clip; silence where it is not heard.
        waveform: the seam.
        right: the opening of the clip that begins.
        after: what is heard just after the seam, of that clip.
    """

    before: Waveform
    left: Waveform
    waveform: Waveform
    right: Waveform
    after: Waveform

    @property
    def in_place(self) -> tuple[Waveform, int]:
        """The seam between what surrounds it, and the sample at which it begins there."""
        stretch = np.concatenate([self.before, self.waveform, self.after], axis=1)
        return stretch, self.before.shape[1]


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


def render_end(left: Clip, left_end: int, overlap: int) -> RenderedSeam:
    """Fade the tail of a clip out that nothing follows; see `render_seam`."""
    before, tail = _around(left, left_end, overlap)
    nothing = np.zeros_like(tail)
    return RenderedSeam(before, tail, crossfade(tail, nothing), nothing, nothing)


def render_opening(
    left: Clip | None, left_end: int, right: Clip | None, overlap: int
) -> RenderedSeam:
    """Begin a clip as it is, as dialogue does, and any clip that follows none.

    Args:
        left: the clip that ends where the seam begins; None is silence.
        left_end: sample of that clip at which it ends.
        right: the clip that begins; None is silence.
        overlap: samples of the seam.

    Raises:
        UnreadableAudio: if a file is missing, damaged or too short.
    """
    nothing = np.zeros((CHANNELS, overlap), np.float32)
    before = nothing if left is None else _read(left, max(left_end - overlap, 0), left_end)
    opening, after = (nothing, nothing) if right is None else _around(right, overlap, overlap)
    return RenderedSeam(before, nothing, opening, opening, after)


def _around(clip: Clip, border: int, samples: int) -> tuple[Waveform, Waveform]:
    """Read up to `samples` of a clip before a border within it, and `samples` after it."""
    start, stop = max(border - samples, 0), border + samples
    stretch = _read(clip, start, stop)
    before, after = stretch[:, : border - start], stretch[:, border - start :]
    return np.ascontiguousarray(before), np.ascontiguousarray(after)


def _read(clip: Clip, start: int, stop: int) -> Waveform:
    if not isinstance(clip, Path):
        return np.ascontiguousarray(clip[:, start:stop])
    with Mixdown([MixSegment(clip, start, stop - start)]) as read:
        return read.read(0, read.samples)
