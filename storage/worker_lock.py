"""Knowing at once that a worker on this machine is dead, without waiting for its leases.

A living worker holds a lock on a file of its own; the kernel releases it however the worker ends.
"""

import fcntl
import socket
import uuid
from io import TextIOWrapper
from pathlib import Path


class WorkerLock:
    """A worker's sign of life.

    Args:
        folder: where the workers of a store keep their lock files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.owner = f"{socket.gethostname()}-{uuid.uuid4().hex}"
        self._path = folder / self.owner
        unborn = folder / f".{self.owner}"  # nobody may see the file before it is locked
        self._lock = unborn.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unborn.rename(self._path)

    def find_dead(self) -> list[str]:
        """Find the workers of this host that are gone, and forget their files' locks."""
        dead = []
        for path in sorted(self._folder.glob(f"{socket.gethostname()}-*")):
            if path != self._path and _is_free(path):
                dead.append(path.name)
        return dead

    def forget(self, owner: str) -> None:
        """Remove the file of a dead worker once its leases are ended."""
        (self._folder / owner).unlink(missing_ok=True)

    def close(self, *, leaves_leases: bool = False) -> None:
        """End the sign of life; call it once the leases are ended.

        Args:
            leaves_leases: they could not be ended, so others must find this owner dead and end them.
        """
        if not leaves_leases:
            self._path.unlink(missing_ok=True)
        self._lock.close()


def count_alive(folder: Path) -> int:
    """Count the workers of this host whose sign of life is in the folder."""
    return sum(not _is_free(path) for path in folder.glob(f"{socket.gethostname()}-*"))


def is_dead(folder: Path, owner: str) -> bool:
    """Tell whether a worker is known to be gone: one of this host without a sign of life."""
    path = folder / owner
    return owner.startswith(f"{socket.gethostname()}-") and (not path.exists() or _is_free(path))


def _is_free(path: Path) -> bool:
    try:
        file: TextIOWrapper = path.open("r+")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
