"""The door to SQL: one engine, two kinds of transaction.

On SQLite every transaction that may write begins with BEGIN IMMEDIATE: a deferred one that reads
first and writes later fails with "database is locked" at once, whatever the busy timeout.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from storage.errors import StoreTooNew, StoreUnusable
from storage.migrating import SCHEMA, current_schema, is_known, migrate

BUSY_TIMEOUT_MS = 60_000  # a writer waits this long for the one before it
UNUSABLE = ("disk is full", "readonly", "disk I/O", "database is locked")  # SQLite's own words


class Database:
    """Transactions on the studio's database.

    Args:
        path: the SQLite file; see `open` for making and migrating it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=4)
        event.listen(self._engine.sync_engine, "connect", _configure)
        event.listen(self._engine.sync_engine, "begin", _begin)
        self._writing = self._engine.execution_options(writes=True)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database, made or migrated to this version's schema first.

        Raises:
            StoreTooNew: if a newer version made it.
            StoreUnusable: if the folder cannot be made or written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = current_schema(path)
            if found != SCHEMA:
                if found is not None and not is_known(found):
                    raise StoreTooNew(str(path.parent), found, SCHEMA)
                migrate(path)
        except (OSError, DBAPIError) as error:
            raise _unusable(path.parent, error) from error
        return cls(path)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session whose transaction only reads, on one consistent snapshot."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Give a session that commits at the end, or rolls everything back on an error.

        Raises:
            StoreUnusable: if the disk is full, the file may not be written, or another process
                keeps it locked.
        """
        async with AsyncSession(self._writing, expire_on_commit=False) as session:
            try:
                yield session
                await session.commit()
            except DBAPIError as error:
                reason = str(error.orig)
                if any(sign in reason for sign in UNUSABLE):
                    raise _unusable(self.path.parent, error) from error
                raise

    async def ping(self) -> None:
        """Make sure that the database can be read.

        Raises:
            StoreUnusable: if it cannot.
        """
        try:
            async with self.read() as session:
                await session.execute(text("SELECT 1 FROM store"))
        except DBAPIError as error:
            raise _unusable(self.path.parent, error) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _configure(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin alone
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")  # a committed clip survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _unusable(folder: Path, error: Exception) -> StoreUnusable:
    reason = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)
    remedy = "Free some space or fix its permissions, or name another folder in AUDIOSTORY_HOME."
    if "locked" in reason:
        remedy = "Another process holds it, perhaps a stopped one: let it go on, or end it."
    return StoreUnusable(f"The data folder {folder} cannot be used: {reason}. {remedy}")
