"""A mix read from its segments: never whole in memory, any stretch as good as any other.

A mix is stored without normalization, as slices of clip files and of rendered seams: a chain of
them, or several that sound at once (stems.py). Its mastering, one gain and perhaps a limiter, is
applied while reading.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

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
class Silence:
    """A segment without a file."""

    samples: int


class Source(Protocol):
    """What a mix is read from, before its mastering; used by one thread at a time."""

    @property
    def samples(self) -> int:
        """Length, per channel."""

    @property
    def segments(self) -> tuple[MixSegment, ...]:
        """Every slice of a file that may be read."""

    def read(self, start: int, stop: int) -> Waveform:
        """Return samples `start` to `stop`, [2, stop - start], in an array of the caller's own.

        Equal to the same slice of the whole, to the bit.

        Raises:
            ValueError: if the range does not lie in the source.
            UnreadableAudio: if a file is missing, damaged or too short.
        """

    def close(self) -> None:
        """Close the files; reading opens them again."""

    def copy(self) -> "Source":
        """Return the same source with files of its own, for another thread."""


@dataclass(frozen=True)
class MasterGain:
    """What makes the mix as loud as it should be."""

    gain_db: float
    limiting: bool  # False promises that no peak needs the limiter; reading is cheaper then


class Chain:
    """Segments one after the other: a source.

    Args:
        parts: in order; they follow each other without gap or overlap.
        is_intact: asked of every file before it is opened; float seams have no checksum of their
            own. None trusts the files.
    """

    def __init__(
        self,
        parts: Iterable[MixSegment | Silence],
        is_intact: Callable[[Path], bool] | None = None,
    ) -> None:
        self._is_intact = is_intact
        self.parts = tuple(part for part in parts if part.samples)
        self._starts = np.array([0, *accumulate(part.samples for part in self.parts)], np.int64)
        self._files: OrderedDict[Path, soundfile.SoundFile] = OrderedDict()

    @property
    def samples(self) -> int:
        """See `Source`."""
        return int(self._starts[-1])

    @property
    def segments(self) -> tuple[MixSegment, ...]:
        """See `Source`."""
        return tuple(part for part in self.parts if isinstance(part, MixSegment))

    def read(self, start: int, stop: int) -> Waveform:
        """See `Source`."""
        check_range(start, stop, self.samples)
        stretch = np.empty((CHANNELS, stop - start), np.float32)
        index = int(np.searchsorted(self._starts, start, side="right")) - 1
        at = start
        while at < stop:
            part, origin = self.parts[index], int(self._starts[index])
            until = min(stop, origin + part.samples)
            if isinstance(part, Silence):
                stretch[:, at - start : until - start] = 0.0
            else:
                frames = self._slice(part, at - origin, until - at)
                stretch[:, at - start : until - start] = frames.T
            at, index = until, index + 1
        return stretch

    def close(self) -> None:
        """See `Source`."""
        while self._files:
            self._files.popitem()[1].close()

    def copy(self) -> "Chain":
        """See `Source`."""
        return Chain(self.parts, self._is_intact)

    def _slice(self, segment: MixSegment, start: int, samples: int) -> NDArray[np.float32]:
        """Read [samples, 2] of a segment."""
        try:
            file = self._open(segment.path)
            if file.tell() != segment.offset + start:
                file.seek(segment.offset + start)
            frames: NDArray[np.float32] = file.read(samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UnreadableAudio(segment.path, f"cannot be read: {error.error_string}") from error
        if frames.shape != (samples, CHANNELS):
            raise UnreadableAudio(segment.path, "is shorter than the mix needs, or not stereo")
        return frames

    def _open(self, path: Path) -> soundfile.SoundFile:
        if path not in self._files:
            while len(self._files) >= OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            if self._is_intact is not None and not self._is_intact(path):
                raise UnreadableAudio(path, "is missing or damaged")
            self._files[path] = soundfile.SoundFile(path)
        self._files.move_to_end(path)
        return self._files[path]


class Mixdown:
    """The samples of a mix; a context manager, used by one thread at a time.

    Args:
        source: what the mix is read from; segments are read as a `Chain`.
        mastering: None reads the source as it is.
        is_intact: of segments, see `Chain`; a source has its own.
    """

    def __init__(
        self,
        source: Source | Sequence[MixSegment | Silence],
        mastering: MasterGain | None = None,
        is_intact: Callable[[Path], bool] | None = None,
    ) -> None:
        if isinstance(source, Sequence):
            source = Chain(source, is_intact)
        elif is_intact is not None:
            raise TypeError("a source asks by itself whether its files are intact")
        self.source = source
        self.mastering = mastering
        self._stretch_start = 0
        self._stretch = np.zeros((CHANNELS, 0), np.float32)

    @property
    def samples(self) -> int:
        """Length of the mix."""
        return self.source.samples

    @property
    def segments(self) -> tuple[MixSegment, ...]:
        """Every slice of a file that the mix is read from."""
        return self.source.segments

    def read(self, start: int, stop: int) -> Waveform:
        """Return samples `start` to `stop` of the mix, [2, stop - start].

        Equal to the same slice of the whole, to the bit.

        Raises:
            ValueError: if the range does not lie in the mix.
            UnreadableAudio: if a file is missing, damaged or too short.
        """
        check_range(start, stop, self.samples)
        if self.mastering is None:
            return self.source.read(start, stop)
        gain = np.float32(10 ** (self.mastering.gain_db / 20))
        if not self.mastering.limiting:
            return self.source.read(start, stop) * gain
        blocks = [
            self._limited(block, gain)[:, max(start - block, 0) : stop - block]
            for block in range(start - start % BLOCK, stop, BLOCK)
        ]
        return np.concatenate(blocks or [self.source.read(start, start)], axis=1)

    def blocks(self) -> Iterator[Waveform]:
        """Yield the whole mix in blocks of [2, BLOCK], the last one shorter."""
        for start in range(0, self.samples, BLOCK):
            yield self.read(start, min(start + BLOCK, self.samples))

    def close(self) -> None:
        """Close the files."""
        self.source.close()

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
        around = self._read_stretch(first, last) * gain
        silence = (BEFORE - (block - first), AFTER - (last - stop))
        return limit(np.pad(around, ((0, 0), silence)))

    def _read_stretch(self, start: int, stop: int) -> Waveform:
        """Read, reusing what the stretch before it has read: FLAC is slow to go back."""
        stretch_stop = self._stretch_start + self._stretch.shape[1]
        if self._stretch_start <= start <= stretch_stop < stop:
            known = self._stretch[:, start - self._stretch_start :]
            stretch = np.concatenate([known, self.source.read(stretch_stop, stop)], axis=1)
        else:
            stretch = self.source.read(start, stop)
        self._stretch_start, self._stretch = start, stretch
        return stretch


def check_range(start: int, stop: int, samples: int) -> None:
    """Refuse a range that does not lie in a source.

    Raises:
        ValueError: if it does not.
    """
    if not 0 <= start <= stop <= samples:
        raise ValueError(f"samples {start} to {stop} are not within 0 to {samples}")
