"""SQLite spoken to from the event loop, a thread only for what takes long.

A query of a studio takes microseconds; handing each step of it to a thread and back, as aiosqlite
does, took most of the time of a request. So statements run at once in the loop. What would hold it
up goes elsewhere: a query past `LONG` is begun again in a thread, a commit waits for the disk in a
thread, and who finds the file locked asks again a little later instead of sleeping in the driver.

SQLAlchemy's dialect for aiosqlite works with these two classes as with that library's.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, Self

LONG = 100_000  # steps of SQLite's machine, some 5 ms
FIRST_WAIT_S, LONGEST_WAIT_S = 0.0005, 0.01  # between two tries for a file that is locked
# SQLite's own codes; BUSY with any other addition does not pass by waiting.
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY})


class Connection:
    """One connection to an SQLite file, for one coroutine at a time.

    Args:
        path: of the file.
        patience_s: how long to wait for a lock of another connection.
        committing: runs commits; None for a connection that only reads.
    """

    isolation_level = None  # transactions are begun by a statement

    def __init__(self, path: Path, patience_s: float, committing: Executor | None = None) -> None:
        self._patience_s = patience_s
        self._committing = committing
        self._connection: sqlite3.Connection | None = sqlite3.connect(
            path, isolation_level=None, timeout=0, check_same_thread=False, cached_statements=512
        )
        # Only what reads is interrupted: a write's whole transaction would be undone.
        self._is_watched = False
        self.raw.set_progress_handler(lambda: self._is_watched, LONG)

    @property
    def raw(self) -> sqlite3.Connection:
        """SQLite's own connection."""
        if self._connection is None:
            raise sqlite3.OperationalError("connection closed")
        return self._connection

    def cursor(self) -> "Cursor":
        """Return a fresh cursor."""
        return Cursor(self)

    async def run(self, work: Callable[[], Any], anew: Callable[[], Any] | None = None) -> Any:
        """Have SQLite do something, at once if it can be, and return the result.

        Args:
            work: the call; begun again while the file is locked.
            anew: does all of it in a thread, if it turns out to be long.
        """
        deadline = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        self._is_watched = anew is not None and self._committing is None
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode
                if anew is not None and code == sqlite3.SQLITE_INTERRUPT:
                    self._is_watched = False
                    return await _finish(None, anew)
                if code not in PASSING or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        """Give SQL a function."""
        self.raw.create_function(*arguments, **options)

    async def commit(self) -> None:
        """Commit; what was written is on the disk then."""
        if self.raw.in_transaction:
            await _finish(self._committing, self.raw.commit)

    async def rollback(self) -> None:
        """Undo what was written."""
        self.raw.rollback()

    async def close(self) -> None:
        """Close the connection; a second time is nothing."""
        self.stop()

    def stop(self) -> None:
        """Close the connection at once."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Cursor:
    """What one statement gives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.raw.cursor()
        self._all: Callable[[], list[Any]] | None = None  # runs the statement and reads all rows
        self.arraysize = 1

    @property
    def description(self) -> Any:
        """The columns of the rows; None for a statement without."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The key of the row that was inserted last."""
        return self._cursor.lastrowid

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        """Run a statement up to its first row."""
        begin = partial(self._cursor.execute, statement, parameters)
        self._all = lambda: begin().fetchall()
        await self._connection.run(begin, begin)
        return self

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> Self:
        """Run a statement once for each row of parameters."""
        await self._connection.run(partial(self._cursor.executemany, statement, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows, unless some were fetched before: then those that are left."""
        return await self._connection.run(self._cursor.fetchall, self._all)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows."""
        self._all = None
        return await self._connection.run(partial(self._cursor.fetchmany, size or self.arraysize))

    async def fetchone(self) -> Any:
        """Return the next row; None after the last."""
        self._all = None
        return await self._connection.run(self._cursor.fetchone)

    async def close(self) -> None:
        """Let go of the statement."""
        self._cursor.close()


async def _finish(executor: Executor | None, work: Callable[[], Any]) -> Any:
    """Do work in a thread, to its end even if the waiting task is cancelled.

    A connection that a thread still works with must not go back to the pool.
    """
    working = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError:
                continue  # it is raised again below, once
        raise
