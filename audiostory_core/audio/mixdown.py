"""A mix read from its segments: never whole in memory, any stretch as good as any other.

A mix is stored un-normalized, as slices of clip files and of rendered seams. Its mastering, one
gain and perhaps a limiter, is applied while reading.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from audiostory_core.audio.limiter import AFTER, BEFORE, BLOCK, limit
from audiostory_core.audio.pcm import Waveform
from audiostory_core.errors import UnreadableAudio
from audiostory_core.story.plan import CHANNELS

OPEN_FILES = 4  # a body, its seam and the next body, and one to spare


@dataclass(frozen=True)
class MixSegment:
    """A slice of an audio file: the body of a scene or a seam."""

    path: Path
    offset: int  # samples from the beginning of the file
    samples: int

    @classmethod
    def whole(cls, path: Path) -> Self:
        """Return a whole file as one segment.

        Raises:
            UnreadableAudio: if the file is missing or damaged.
        """
        try:
            return cls(path, 0, soundfile.info(path).frames)
        except soundfile.LibsndfileError as error:
            raise UnreadableAudio(path, f"cannot be read: {error.error_string}") from error


@dataclass(frozen=True)
class MasterGain:
    """What makes the mix as loud as it should be."""

    gain_db: float
    limiting: bool  # False promises that no peak needs the limiter; reading is cheaper then


class Mixdown:
    """The samples of a mix; a context manager, used by one thread at a time.

    Args:
        segments: in order; they follow each other without gap or overlap.
        mastering: None reads the segments as they are stored.
        is_intact: asked of every file before it is opened; float seams have no checksum of their
            own. None trusts the files.
    """

    def __init__(
        self,
        segments: Sequence[MixSegment],
        mastering: MasterGain | None = None,
        is_intact: Callable[[Path], bool] | None = None,
    ) -> None:
        self._is_intact = is_intact
        self.segments = tuple(segment for segment in segments if segment.samples)
        self.mastering = mastering
        self._starts = np.array([0, *accumulate(s.samples for s in self.segments)], np.int64)
        self._files: OrderedDict[Path, soundfile.SoundFile] = OrderedDict()
        self._held_start = 0
        self._held = np.zeros((CHANNELS, 0), np.float32)

    @property
    def samples(self) -> int:
        """Length of the mix."""
        return int(self._starts[-1])

    def read(self, start: int, stop: int) -> Waveform:
        """Return samples `start` to `stop` of the mix, [2, stop - start].

        Equal to the same slice of the whole, to the bit.

        Raises:
            ValueError: if the range does not lie in the mix.
            UnreadableAudio: if a file is missing, damaged or too short.
        """
        if not 0 <= start <= stop <= self.samples:
            raise ValueError(f"samples {start} to {stop} are not within 0 to {self.samples}")
        if self.mastering is None:
            return self._stored(start, stop)
        gain = np.float32(10 ** (self.mastering.gain_db / 20))
        if not self.mastering.limiting:
            return self._stored(start, stop) * gain
        blocks = [
            self._limited(block, gain)[:, max(start - block, 0) : stop - block]
            for block in range(start - start % BLOCK, stop, BLOCK)
        ]
        return np.concatenate(blocks or [self._stored(start, start)], axis=1)

    def blocks(self) -> Iterator[Waveform]:
        """Yield the whole mix in blocks of [2, BLOCK], the last one shorter."""
        for start in range(0, self.samples, BLOCK):
            yield self.read(start, min(start + BLOCK, self.samples))

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _limited(self, block: int, gain: np.float32) -> Waveform:
        stop = min(block + BLOCK, self.samples)
        first, last = max(block - BEFORE, 0), min(stop + AFTER, self.samples)
        around = self._held_stretch(first, last) * gain
        silence = (BEFORE - (block - first), AFTER - (last - stop))
        return limit(np.pad(around, ((0, 0), silence)))

    def _held_stretch(self, start: int, stop: int) -> Waveform:
        """Read, reusing what the stretch before it has read: FLAC is slow to go back."""
        held_stop = self._held_start + self._held.shape[1]
        if self._held_start <= start <= held_stop < stop:
            known = self._held[:, start - self._held_start :]
            stretch = np.concatenate([known, self._stored(held_stop, stop)], axis=1)
        else:
            stretch = self._stored(start, stop)
        self._held_start, self._held = start, stretch
        return stretch

    def _stored(self, start: int, stop: int) -> Waveform:
        stretch = np.empty((CHANNELS, stop - start), np.float32)
        index = int(np.searchsorted(self._starts, start, side="right")) - 1
        at = start
        while at < stop:
            segment, origin = self.segments[index], int(self._starts[index])
            until = min(stop, origin + segment.samples)
            part = self._slice(segment, at - origin, until - at)
            stretch[:, at - start : until - start] = part
            at, index = until, index + 1
        return stretch

    def _slice(self, segment: MixSegment, start: int, samples: int) -> Waveform:
        try:
            file = self._open(segment.path)
            if file.tell() != segment.offset + start:
                file.seek(segment.offset + start)
            frames = file.read(samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UnreadableAudio(segment.path, f"cannot be read: {error.error_string}") from error
        if frames.shape != (samples, CHANNELS):
            raise UnreadableAudio(segment.path, "is shorter than the mix needs, or not stereo")
        return np.ascontiguousarray(frames.T)

    def _open(self, path: Path) -> soundfile.SoundFile:
        if path not in self._files:
            while len(self._files) >= OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            if self._is_intact is not None and not self._is_intact(path):
                raise UnreadableAudio(path, "is missing or damaged")
            self._files[path] = soundfile.SoundFile(path)
        self._files.move_to_end(path)
        return self._files[path]
