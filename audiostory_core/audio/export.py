"""A mix as a file: for an author's disk, and byte ranges of the same file for HTTP.

A file appears complete or not at all, and the same mix always gives the same bytes.
"""

import io
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiostory_core.audio.limiter import BLOCK
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.pcm import (
    SampleFormat,
    pcm24,
    wav_header,
    wav_length,
)
from audiostory_core.errors import BadInput
from audiostory_core.story.plan import CHANNELS, SAMPLE_RATE

SUFFIXES = (".wav", ".flac")
Progress = Callable[[int, int], None]  # samples done, samples in all


class Writer(Protocol):
    """Writes a stretch of a mix elsewhere, into a file that is there."""

    def begin(self, file: Path, start: int, stop: int) -> None:
        """Begin with `write_stretch` of samples `start` to `stop`."""

    def finish(self) -> bool:
        """Wait until it ends; False if it could not be written."""


def check_destination(
    destination: Path, suffixes: Sequence[str] = SUFFIXES, field: str = "output"
) -> None:
    """Make sure that a file can be written, before anything is made for it.

    Raises:
        BadInput: if the suffix is unknown, the folder is missing or not writable, or the path is
            something other than a file.
    """
    with _explained(destination, field):
        _, partial, file = _begin(destination, suffixes, field)
        file.close()
        partial.unlink()


def export(
    mixdown: Mixdown,
    destination: Path,
    on_progress: Progress | None = None,
    writers: Sequence[Writer] = (),
    form: SampleFormat = SampleFormat.PCM_24,
) -> None:
    """Write a mix as WAV (RF64 beyond 4 GiB) or PCM-24 FLAC, whichever the suffix says.

    Args:
        mixdown: read from beginning to end.
        destination: ends in one of `SUFFIXES`; see `whole_file`.
        on_progress: called after every block.
        writers: share the work of a WAV of PCM-24; what they cannot write is written here.
        form: of the samples of a WAV.

    Raises:
        BadInput: if it cannot be written: see `check_destination`; also a full disk.
        StudioError: if the mix cannot be read.
    """
    suffix = destination.suffix.lower()
    with whole_file(destination, SUFFIXES, "output") as file:
        write_audio(mixdown, file, suffix, on_progress or _ignored, writers, form)


def write_audio(
    mixdown: Mixdown,
    file: io.FileIO,
    suffix: str,
    on_progress: Progress,
    writers: Sequence[Writer] = (),
    form: SampleFormat = SampleFormat.PCM_24,
) -> None:
    """Write to a file that is open what `export` would write to one of that suffix.

    Raises:
        OSError: if the disk is full.
        StudioError: if the mix cannot be read.
    """
    if suffix == ".flac":
        _write_flac(mixdown, file, on_progress)
    else:
        _write_wav(mixdown, file, on_progress, writers, form)


def write_stretch(
    mixdown: Mixdown,
    file: io.FileIO,
    start: int,
    stop: int,
    on_progress: Progress,
    form: SampleFormat = SampleFormat.PCM_24,
) -> None:
    """Write samples `start` to `stop` of a mix where they belong in its WAV."""
    file.seek(len(wav_header(mixdown.samples, form)) + start * form.frame_bytes)
    for at in range(start, stop, BLOCK):
        until = min(at + BLOCK, stop)
        write_all(file, form.encode(mixdown.read(at, until)))
        on_progress(until - start, stop - start)


@contextmanager
def whole_file(destination: Path, suffixes: Sequence[str], field: str) -> Iterator[io.FileIO]:
    """Open a file that appears at its destination complete or not at all.

    Written beside the destination and renamed when the block ends; a file that was there before
    is replaced only then. A link is followed.

    Raises:
        BadInput: named `field`, for everything that keeps the file from being written.
    """
    with _explained(destination, field):
        target, partial, file = _begin(destination, suffixes, field)
        try:
            with file:
                yield file
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:  # Ctrl-C too: nothing half-written may stay
            partial.unlink(missing_ok=True)
            raise


def wav_bytes(
    mixdown: Mixdown,
    first_byte: int,
    last_byte: int,
    form: SampleFormat = SampleFormat.PCM_24,
) -> Iterator[bytes]:
    """Yield bytes `first_byte` to `last_byte` (inclusive) of the WAV that `export` would write.

    Raises:
        ValueError: if the range does not lie in the file.
        StudioError: if the mix cannot be read.
    """
    if not 0 <= first_byte <= last_byte < wav_length(mixdown.samples, form):
        raise ValueError(f"bytes {first_byte} to {last_byte} are not within the file")
    header = wav_header(mixdown.samples, form)
    if first_byte < len(header):
        yield header[first_byte : last_byte + 1]
    at, end = max(first_byte - len(header), 0), last_byte + 1 - len(header)
    while at < end:
        start = at // form.frame_bytes
        grid = start - start % BLOCK + BLOCK
        stop = min(grid, -(-end // form.frame_bytes))
        frames = form.encode(mixdown.read(start, stop))
        origin = start * form.frame_bytes
        yield frames[at - origin : end - origin]
        at = stop * form.frame_bytes


class _FlacSink(io.RawIOBase):
    """Takes libsndfile's bytes to a file.

    An exception cannot pass through libsndfile's C code: the first is kept here, the bytes after
    it are dropped, and `check` raises it once control is back in Python.
    """

    mode = "wb"  # soundfile asks

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        self._file = file
        self._error: OSError | None = None

    def write(self, chunk: bytes) -> int:  # type: ignore[override]  # soundfile gives bytes
        if self._error is None:
            try:
                write_all(self._file, chunk)
            except OSError as error:
                self._error = error
        return len(chunk)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _write_flac(mixdown: Mixdown, file: io.FileIO, on_progress: Progress) -> None:
    sink = _FlacSink(file)
    with soundfile.SoundFile(
        sink, "w", SAMPLE_RATE, CHANNELS, subtype="PCM_24", format="FLAC"
    ) as flac:
        for block in _counted(mixdown, on_progress):
            flac.write(pcm24(block))
            sink.check()
    sink.check()


def _write_wav(
    mixdown: Mixdown,
    file: io.FileIO,
    on_progress: Progress,
    writers: Sequence[Writer],
    form: SampleFormat,
) -> None:
    write_all(file, wav_header(mixdown.samples, form))
    blocks = -(-mixdown.samples // BLOCK)
    shares = len(writers) + 1
    borders = [min(blocks * share // shares * BLOCK, mixdown.samples) for share in range(shares)]
    stretches = list(pairwise([*borders, mixdown.samples]))
    for writer, stretch in zip(writers, stretches[1:], strict=True):
        writer.begin(Path(os.fsdecode(file.name)), *stretch)
    write_stretch(mixdown, file, *stretches[0], on_progress, form)
    for writer, stretch in zip(writers, stretches[1:], strict=True):
        if not writer.finish():
            write_stretch(mixdown, file, *stretch, on_progress, form)


def _counted(mixdown: Mixdown, on_progress: Progress) -> Iterator[NDArray[np.float32]]:
    done = 0
    for block in mixdown.blocks():
        yield block
        done += block.shape[1]
        on_progress(done, mixdown.samples)


def _ignored(done: int, total: int) -> None:
    """Progress without a listener."""


def write_all(file: io.FileIO, chunk: bytes) -> None:
    """Write every byte; `FileIO.write` alone may take fewer than it is given."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _begin(destination: Path, suffixes: Sequence[str], field: str) -> tuple[Path, Path, io.FileIO]:
    """Return the path behind links and a new file beside it, with ordinary permissions."""
    target = Path(os.path.realpath(destination))
    if destination.suffix.lower() not in suffixes:
        remedy = f"Let it end in {' or '.join(suffixes)}."
        raise BadInput(field, str(destination), "has a suffix that cannot be written", remedy)
    if not target.parent.is_dir():
        problem = f"the folder {target.parent} does not exist"
        raise BadInput(field, str(destination), problem, "Make the folder, or choose another.")
    if target.exists() and not target.is_file():
        raise BadInput(field, str(destination), "is not a file", "Choose another name.")
    partial = target.parent / f".{secrets.token_hex(8)}.part"
    return target, partial, io.FileIO(partial, "x")


@contextmanager
def _explained(destination: Path, field: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        remedy = "Choose a folder that can be written to, with enough free space."
        raise BadInput(field, str(destination), problem, remedy) from error
