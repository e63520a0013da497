"""Audio files named by their content, so that equal sounds are one file and nothing is overwritten.

No name here ever comes from a user.
"""

import fcntl
import hashlib
import io
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import DamagedFile, StoreUnusable

NAME = re.compile(r"([0-9a-f]{64})\.(?:flac|wav|au|safetensors)", re.ASCII)
DAMAGED = ".damaged"  # suffix of a file that was moved aside
LEFTOVERS = (".tmp", ".part", DAMAGED)
LOCK_FILE = "lock"
PROBE = b"the audio folder can be written"
HASH = re.compile(r"([0-9a-f]{64})\.\w+", re.ASCII)  # how a name ends that tells the content
MAX_EXAMINED = 1 << 16  # files whose examination is remembered
CLOCK_TICK_NS = 50_000_000  # file systems may give two writes within it the same time

Stamp = tuple[int, int, int, int]  # of a file; differs once it was written to


class AudioFiles:
    """The audio folder of a store.

    Args:
        folder: made when missing; shared by all workers of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._examined: dict[Path, tuple[Stamp, bool]] = {}

    def path(self, name: str) -> Path:
        """Return where the file of that content name lies."""
        return Path(f"{self.folder}/{name[:2]}/{name}")  # a third of the time of two slashes

    def add(self, suffix: str, content: bytes) -> str:
        """Write a file under a temporary name, then give it the name of its content.

        Args:
            suffix: with its dot, `.flac`.
            content: the whole file.

        Returns:
            The content name: sha256 of the bytes and the suffix.

        Raises:
            StoreUnusable: if the disk is full or the folder may not be written; nothing is left.
        """
        name = hashlib.sha256(content).hexdigest() + suffix
        with self._temporary("then resume the story", len(content)) as temporary:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._give_name(temporary, name)
        return name

    def add_written(
        self, suffix: str, write: Callable[[io.FileIO], None], size: int
    ) -> tuple[str, int]:
        """Do as `add` does with a file that is too large for memory.

        Args:
            suffix: with its dot, `.wav`.
            write: writes the whole file; what it raises is raised, and nothing is left.
            size: bytes that there must be room for, at most.

        Returns:
            The content name and the size in bytes.

        Raises:
            StoreUnusable: if the disk is full or the folder may not be written.
        """
        with self._temporary("then it is made", size) as temporary:
            with io.FileIO(temporary, "x+") as file:
                write(file)
                os.fsync(file.fileno())
                file.seek(0)
                name = hashlib.file_digest(file, "sha256").hexdigest() + suffix
                length = file.tell()
            self._give_name(temporary, name)
        return name, length

    def read(self, name: str) -> bytes:
        """Read a file whole.

        Raises:
            DamagedFile: if it is missing, or its content is not what its name says.
        """
        path = self.path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedFile(path, error.strerror or str(error)) from error
        if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
            raise DamagedFile(path, "its content is not what its name says")
        return content

    def is_whole(self, name: str) -> bool:
        """Tell whether a file is there and its content is what its name says; reads all of it."""
        try:
            return self._examine(self.path(name))
        except OSError:  # missing, or on a disk that fails: either way it cannot be heard
            return False

    def is_intact(self, path: Path) -> bool:
        """Tell what `is_whole` tells, but read a file again only after it was written to.

        The file may lie in another folder, if its name ends in its hash and a suffix.
        """
        try:
            known = self._recall(path)
            return self._examine(path) if known is None else known
        except OSError:
            return False

    def find_problem(self, path: Path) -> str | None:
        """Return what keeps a file from being heard, as far as is known without reading it."""
        try:
            return "is damaged" if self._recall(path) is False else None
        except OSError:
            return "is missing"

    def find_damaged(self, names: Collection[str]) -> dict[str, str]:
        """Return the files that are "missing" or "damaged", by name; see `is_intact`."""
        wrong = [name for name in sorted(names) if not self.is_intact(self.path(name))]
        return {name: "damaged" if self.path(name).exists() else "missing" for name in wrong}

    def find_missing(self, names: Collection[str]) -> dict[str, str]:
        """Return the files that are not there as "missing", by name; reads none."""
        return {name: "missing" for name in sorted(names) if not self.path(name).exists()}

    def find_names(self) -> Iterator[tuple[str, os.stat_result]]:
        """Find all content names in the folder with what the file system says of their files."""
        for path in self.folder.glob("??/*"):
            if NAME.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    yield path.name, path.stat()

    def find_leftovers(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Find files that a process died over, and those that were moved aside."""
        for pattern in ("*", "??/*"):
            for path in self.folder.glob(pattern):
                if path.suffix in LEFTOVERS:
                    with suppress(FileNotFoundError):
                        yield path, path.stat()

    def remove_older(self, path: Path, age_s: float) -> bool:
        """Remove a file unless it was written less than `age_s` seconds ago.

        `add` gives a file its name under the same lock: it has either made the file young before
        it is looked at here, or makes it again after it is gone.

        Raises:
            StoreUnusable: if the folder may not be written.
        """
        with self._explained("then sweep again"), self._locked(fcntl.LOCK_EX):
            try:
                if time.time() - path.stat().st_mtime < age_s:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def set_aside(self, name: str) -> bool:
        """Rename a damaged file to `<name>.damaged`; False if it is whole after all, or gone.

        Raises:
            StoreUnusable: if the folder may not be written.
        """
        path = self.path(name)
        with self._explained("then verify again"), self._locked(fcntl.LOCK_EX):
            if not path.exists() or self.is_whole(name):
                return False
            aside = path.with_name(name + DAMAGED)
            path.replace(aside)
            os.utime(aside)  # it is kept as long as anything else that is found to be loose
        return True

    def probe(self, room_bytes: int = 0) -> None:
        """Write a small file and remove it.

        Args:
            room_bytes: what there must be room for besides.

        Raises:
            StoreUnusable: if that fails, whatever the permissions promise.
        """
        file = self.folder / f"{secrets.token_hex(8)}.tmp"
        try:
            with self._explained("nothing can be made until then", room_bytes):
                with file.open("wb") as written:
                    written.write(PROBE)
                    written.flush()
                    if room_bytes:
                        os.posix_fallocate(written.fileno(), 0, room_bytes)
                file.unlink()
        except StoreUnusable:
            with suppress(OSError):
                file.unlink()
            raise

    @contextmanager
    def _temporary(self, then: str, lacking_bytes: int) -> Iterator[Path]:
        """Give a path in the folder; what is still there when the block fails is removed."""
        temporary = self.folder / f"{secrets.token_hex(8)}.tmp"
        try:
            with self._explained(then, lacking_bytes):
                self.folder.mkdir(parents=True, exist_ok=True)
                yield temporary
        except BaseException:  # whatever ended it: nothing half-written may stay
            with suppress(OSError):
                temporary.unlink()
            raise

    def _give_name(self, temporary: Path, name: str) -> None:
        final = self.path(name)
        final.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            temporary.replace(final)
        _sync_folder(final.parent)

    def _recall(self, path: Path) -> bool | None:
        """Return whether the file as it is now is whole; None: not examined yet."""
        stamp, is_whole = self._examined.get(path, (None, False))
        return is_whole if stamp == _stamp_of(path.stat()) else None

    def _examine(self, path: Path) -> bool:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        expected = HASH.search(path.name)
        is_whole = expected is not None and expected[1] == digest
        if time.time_ns() - status.st_ctime_ns > CLOCK_TICK_NS:  # else a write may go unseen
            if len(self._examined) >= MAX_EXAMINED:
                self._examined.clear()
            self._examined[path] = (_stamp_of(status), is_whole)
        return is_whole

    @contextmanager
    def _explained(self, then: str, lacking_bytes: int = 0) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnusable(
                f"The audio folder {self.folder} cannot be written: {error.strerror or error}. "
                f"Free some space or fix its permissions, {then}.",
                lacking_bytes=lacking_bytes,
            ) from error

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        """Keep `remove_older` and `set_aside` from what others just gave a name, on every host."""
        with (self.folder / LOCK_FILE).open("a") as lock:
            fcntl.flock(lock, mode)
            yield


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
