"""Files by which a vLLM server of this machine hands over hidden states.

A server is not to be trusted with a path: it may be another than the one that was started. So only
a file directly inside the folder is opened, by its base name and through no link.
"""

import fcntl
import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from audiostory_core.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors")
LOCK = ".lock"  # beside each file; its writer holds it until the file is whole
LARGEST_BYTES = 1 << 30
SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # no link, and a pipe keeps nobody waiting
LOOK_S = 0.002  # between two looks whether the writer is done, at first
LONGEST_LOOK_S = 0.1
ORPHAN_S = 600.0  # of age; whoever asked is gone then


class StatesLost(Exception):
    """The server did not finish writing the states that it announced."""


class StateFolder:
    """A folder that a server writes to and the studio reads from.

    Args:
        folder: in memory (tmpfs) if there is one; see `default_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make it, for this user alone.

        Raises:
            BadInput: if it cannot be made, or is another user's.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            told = self.folder.lstat()
        except OSError as error:
            raise self._unusable(f"cannot be made ({error.strerror})") from error
        if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.geteuid():
            raise self._unusable("is not a folder of this user")

    def take(self, path: str, patience_s: float) -> bytes:
        """Return the content of a file that was announced, and delete it.

        Args:
            path: as the server told it; all but its base name is left aside.
            patience_s: for its writer to finish.

        Raises:
            BadInput: if there is no such folder, or the name is not one that a server would write.
            StatesLost: if the file is not there in time.
        """
        name = os.path.basename(path)  # noqa: PTH119 - a server's text, no path of ours
        if not NAME.fullmatch(name):
            raise self._unusable(f"is not where the server writes: it told {path[:80]!r}")
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unusable(f"cannot be opened ({error.strerror})") from error
        try:
            _wait(folder, name + LOCK, time.monotonic() + patience_s)
            return _read(folder, name)
        except OSError as error:
            raise StatesLost(f"{name} cannot be read: {error.strerror}") from error
        finally:
            for one in (name, name + LOCK):
                with suppress(OSError):
                    os.unlink(one, dir_fd=folder)
            os.close(folder)

    def sweep(self, age_s: float = ORPHAN_S) -> int:
        """Delete the files, and only those, that nobody has fetched for so long; count them."""
        swept = 0
        oldest = time.time() - age_s
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                is_ours = NAME.fullmatch(path.name.removesuffix(LOCK)) is not None
                with suppress(OSError):
                    if is_ours and path.lstat().st_mtime < oldest:
                        path.unlink()
                        swept += 1
        return swept

    def _unusable(self, problem: str) -> BadInput:
        return BadInput(
            "AUDIOSTORY_LLM_STATES",
            str(self.folder),
            problem,
            "Name the folder that `audiostory llm serve` printed.",
        )


def default_folder() -> Path:
    """Where servers of this user write by default: in memory where that is usual."""
    memory = Path("/dev/shm")
    root = memory if memory.is_dir() else Path(tempfile.gettempdir())
    return root / f"audiostory-states-{os.geteuid()}"


def _wait(folder: int, name: str, deadline: float) -> None:
    """Wait until a writer lets go of its lock, or is gone and with it the lock."""
    lock = os.open(name, SAFELY, dir_fd=folder)
    look_s = LOOK_S
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StatesLost(f"{name} is still being written") from None
                time.sleep(look_s)
                look_s = min(2 * look_s, LONGEST_LOOK_S)
            else:
                return
    finally:
        os.close(lock)


def _read(folder: int, name: str) -> bytes:
    opened = os.open(name, SAFELY, dir_fd=folder)
    with os.fdopen(opened, "rb") as file:
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode) or told.st_size > LARGEST_BYTES:
            raise StatesLost(f"{name} is no file of states")
        return file.read()
