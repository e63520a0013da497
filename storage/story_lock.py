"""Which process works on a story for its author: one of those that share a data folder.

It holds a lock on a file, and the others follow its progress. The kernel releases the lock however
the process ends, and the next to try takes the story.
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import Self, TextIO

UNKNOWN = "it has not said which"


class StoryLock:
    """A try to take a story for this process; a context manager that gives it back.

    Args:
        folder: where the workers of a store keep their lock files.
        story_id: of a story that exists.
    """

    def __init__(self, folder: Path, story_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f".story-{story_id}"  # hidden from the search for workers
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._path.unlink()
            self._lock.close()
            self._lock = None

    def take(self) -> bool:
        """Take the lock if it is free; call it again only after False."""
        while True:
            lock = self._path.open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            if _is_at(self._path, lock):
                lock.truncate(0)
                lock.write(f"pid {os.getpid()}, host {socket.gethostname()}")
                lock.flush()
                self._lock = lock
                return True
            lock.close()  # its holder removed it between the two calls

    def holder(self) -> str:
        """Return the process and host that hold the lock, as far as they have said so."""
        try:
            return self._path.read_text() or UNKNOWN
        except FileNotFoundError:
            return UNKNOWN


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
