"""Keeping SQLite's write-ahead log short, without SQLite's own checkpoints.

SQLite before 3.51.3 may lose commits when a checkpoint runs while a writer begins the log anew.
Here a checkpoint runs only while its own process holds the write lock: then no writer can.
Every connection to a file that is kept so must be given `PRAGMAS`.
"""

import asyncio
import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

LIMIT = 4 * 2**20  # bytes of log after which a commit is followed by a checkpoint
BUSY_TIMEOUT_S = 5.0  # a checkpoint waits this long for the writer before it
PRAGMAS = (
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA journal_size_limit=0",  # begun anew, the file shrinks: its size is what it holds
)


class WriteAheadLog:
    """The log of one SQLite file.

    Args:
        path: the SQLite file, in WAL mode.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._lock = path.with_name(path.name + "-checkpoint.lock")
        self._due = LIMIT

    async def keep_short(self) -> None:
        """Copy the log into the file if it is long; call it after a commit.

        The next writer then begins the log anew. One process does it at a time; the others go on
        without it. Where readers or writers are in the way, it is tried again `LIMIT` bytes later.
        """
        size = self.size()
        if size < LIMIT:
            self._due = LIMIT
        elif size >= self._due:
            self._due = size + LIMIT
            await asyncio.to_thread(self._checkpoint_alone)

    def size(self) -> int:
        """Return the length of the log in bytes, 0 if there is none."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint_alone(self) -> None:
        try:
            with self._lock.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                checkpoint(self._path)
        except (OSError, sqlite3.OperationalError):
            return  # somebody else does it, or cannot: the commit before it is safe in the log


def checkpoint(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Copy the log into the file while no writer can write.

    Raises:
        sqlite3.OperationalError: if a writer holds the lock for longer than `busy_timeout_s`.
    """
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_s)) as writer,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as copier,
    ):
        for connection in (writer, copier):
            for pragma in PRAGMAS:
                connection.execute(pragma)
        writer.execute("BEGIN IMMEDIATE")
        # TRUNCATE would take this lock itself, but turns into PASSIVE when it cannot have it.
        copier.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        writer.execute("COMMIT")
