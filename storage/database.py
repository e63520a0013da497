"""The door to SQL: two kinds of transaction, on an SQLite file or on a Postgres server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol, Self

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage.commit_signal import Changes
from storage.errors import BadText, Clash, StoreUnusable
from storage.schema import bring_up_to_date
from storage.sqlite import SqliteFile


class Backend(Protocol):
    """What differs between the databases."""

    reading: AsyncEngine
    writing: AsyncEngine
    changes: Changes

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait until this process may begin to write."""

    async def commit(self, session: AsyncSession) -> None:
        """Commit, and wake tasks that wait for changes."""

    def explain(self, error: Exception) -> StoreUnusable | None:
        """Return the error to raise instead, if the store is at fault and not its user."""

    def is_clash(self, error: object) -> bool:
        """Tell whether what was to be stored is there already, and may be there only once."""

    def unreadable(self, error: Exception) -> StoreUnusable:
        """Return the error to raise when not even reading works."""

    async def close(self) -> None:
        """Close all connections."""


class Database:
    """Transactions on the studio's database.

    Args:
        location: the SQLite file, or the URL of a Postgres database; see `open` for making and
            migrating it.
    """

    def __init__(self, location: Path | str) -> None:
        self.location = location
        self._backend = _choose(location)
        self._engine = self._backend.reading

    @classmethod
    def open(cls, location: Path | str) -> Self:
        """Open the database, made or migrated to this version's schema first.

        Args:
            location: the SQLite file, or the URL of a Postgres database that exists.

        Raises:
            StoreTooNew: if a newer version made it.
            StoreUnusable: if the folder cannot be made or written, or the server not be reached.
        """
        bring_up_to_date(location)
        return cls(location)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session whose transaction only reads, on one consistent snapshot.

        Raises:
            StoreUnusable: if the file or the server cannot be read; see `write`.
        """
        with self._explained():
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Give a session that commits at the end, or rolls everything back on an error.

        Raises:
            StoreUnusable: if the disk is full, the file may not be written, or another process
                keeps it locked; `is_passing` if the connection to the server was lost, or the
                transaction clashed with another: begin it anew.
            Clash: if another stored what may be there but once.
            BadText: if some text cannot be stored.
        """
        with self._explained():
            async with (
                self._backend.turn(),
                AsyncSession(self._backend.writing, expire_on_commit=False) as session,
            ):
                yield session
                await self._backend.commit(session)

    def changes(self) -> int:
        """Return a count that grows with every commit of any process; read it before looking."""
        return self._backend.changes.count()

    async def wait_for_change(self, seen: int, timeout_s: float) -> None:
        """Wait until something was committed since `seen` was read, by whichever process.

        It may return without a change, at the first wait always does on a server, and returns in
        any case in the end: look again. What no commit tells, as a lease that runs out, is for
        the timeout to find.

        Args:
            seen: what `changes` returned before the caller looked for work and found none.
            timeout_s: seconds after which it returns all the same.
        """
        await self._backend.changes.wait(seen, timeout_s)

    async def ping(self) -> None:
        """Make sure that the database can be read.

        Raises:
            StoreUnusable: if it cannot.
        """
        try:
            async with self.read() as session:
                await session.execute(text("SELECT 1 FROM store"))
        except SQLAlchemyError as error:
            raise self._backend.unreadable(error) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._backend.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (StatementError, PoolTimeout) as error:
            if isinstance(error, StatementError) and isinstance(error.orig, BadText):
                raise error.orig from None
            if isinstance(error, IntegrityError) and self._backend.is_clash(error.orig):
                raise Clash from error
            explained = self._backend.explain(error)
            if explained is None:
                raise
            raise explained from error


def _choose(location: Path | str) -> Backend:
    if isinstance(location, Path):
        return SqliteFile(location)
    from storage.postgres import PostgresServer  # noqa: PLC0415 - its driver is an extra

    return PostgresServer(location)
