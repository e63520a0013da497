"""The studio's database in one SQLite file.

Every transaction that may write begins with BEGIN IMMEDIATE: a deferred one that reads first and
writes later fails with "database is locked" at once, whatever the busy timeout.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from storage.commit_signal import Changes, end
from storage.direct import Connection as DirectConnection
from storage.errors import StoreUnusable
from storage.wal import PRAGMAS, WriteAheadLog

BUSY_TIMEOUT_S = 60.0  # a writer waits this long for the one before it
LOOK_S = 0.05  # how soon a commit of another process is noticed
# SQLite's own words.
UNUSABLE = ("disk is full", "readonly", "disk I/O", "unable to open", "database is locked")


class SqliteFile:
    """One SQLite file, opened by any number of processes of this host.

    Writers of this process queue here, in the order they came; only the first asks SQLite for its
    lock, which has no order. Readers have connections of their own, and wait for no writer.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._committing = ThreadPoolExecutor(1, "commit")
        self._writer = asyncio.Lock()
        self.reading = self._engine(8, None, "BEGIN")
        self.writing = self._engine(1, self._committing, "BEGIN IMMEDIATE")
        self._log = WriteAheadLog(path)
        self.changes: Changes = FileChanges(path)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the writers of this process that came before."""
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_S):
                await self._writer.acquire()
        except TimeoutError as error:
            raise unusable(self._path.parent, sqlite3.OperationalError("database is locked")) from (
                error
            )
        try:
            yield
        finally:
            self._writer.release()

    async def commit(self, session: AsyncSession) -> None:
        """Commit, wake waiting tasks of this process, and keep the log short."""
        await session.commit()
        self.changes.count()
        await self._log.keep_short()

    def explain(self, error: Exception) -> StoreUnusable | None:
        """Return the error to raise instead, if it is the folder's fault."""
        reason = str(getattr(error, "orig", error))
        if isinstance(error, PoolTimeout) or any(sign in reason for sign in UNUSABLE):
            return unusable(self._path.parent, error)
        return None

    def is_clash(self, error: object) -> bool:
        """Tell whether what was to be stored is there already, and may be there only once."""
        code = getattr(error, "sqlite_errorcode", None)
        return code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)

    def unreadable(self, error: Exception) -> StoreUnusable:
        """Return the error to raise when not even reading works."""
        return unusable(self._path.parent, error)

    async def close(self) -> None:
        """Close all connections."""
        await self.changes.close()
        await self.reading.dispose()
        await self.writing.dispose()
        self._committing.shutdown(wait=False)

    def _engine(self, connections: int, committing: Executor | None, begin: str) -> AsyncEngine:
        async def connect() -> DirectConnection:
            return DirectConnection(self._path, BUSY_TIMEOUT_S, committing)

        def begin_transaction(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self._path}", async_creator=connect, pool_size=connections
        )
        event.listen(engine.sync_engine, "connect", _configure)
        event.listen(engine.sync_engine, "begin", begin_transaction)
        return engine


class FileChanges(Changes):
    """Commits to an SQLite file by any process, noticed by the file's own counter.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version: object = None
        self._waiting = 0
        self._watching: asyncio.Task[None] | None = None

    def count(self) -> int:
        """Return the count with every commit up to now."""
        version = self._read_version()
        if version is None or version != self._version:
            self._version = version
            self.note()
        return super().count()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once something was committed, or after `timeout_s` seconds."""
        self._waiting += 1
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            await super().wait(seen, timeout_s)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Stop noticing."""
        await end(self._watching)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _watch(self) -> None:
        while self._waiting:
            self.count()
            await asyncio.sleep(LOOK_S)

    def _read_version(self) -> object:
        """Read the counter, which takes microseconds and no lock; None if it cannot be read."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    self._path, isolation_level=None, timeout=0, check_same_thread=False
                )
            return self._connection.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            return None


def unusable(folder: Path, error: Exception) -> StoreUnusable:
    """Explain why a data folder cannot be used, and what to do about it."""
    reason = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)
    remedy = "Free some space or fix its permissions, or name another folder in AUDIOSTORY_HOME."
    if "malformed" in reason or "not a database" in reason:
        remedy = "Its database is damaged: restore the stories from backups into another folder."
    if "locked" in reason:
        remedy = "Another process holds it, perhaps a stopped one: let it go on, or end it."
    return StoreUnusable(f"The data folder {folder} cannot be used: {reason}. {remedy}")


def _configure(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")  # a committed clip survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
