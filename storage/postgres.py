"""The studio's database on a Postgres server, for workers on many hosts."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, nullcontext

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from storage.commit_signal import Changes, end
from storage.errors import StoreUnusable
from storage.location import CONNECTION, server_url, shown

CHANNEL = "audiostory"
PAUSE_S = 0.02  # commits that follow one another this closely wake waiters once
RECONNECT_S = 0.5
# Notifies on commit, unless nothing was written.
NOTIFY = text(
    f"SELECT pg_notify('{CHANNEL}', '') WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
)

# Why a server refuses a connection for a while only, in its own words.
UNREADY = ("starting up", "shutting down", "terminating", "recovery", "too many", "slots")

log = logging.getLogger(__name__)


class PostgresServer:
    """One database of a Postgres server, opened by any number of processes of any host.

    Args:
        location: its URL, `postgresql://user:password@host:port/database`.
    """

    def __init__(self, location: str) -> None:
        self._location = location
        # Pools of their own: readers go on while writers wait for locks.
        self.reading = _engine(location, "REPEATABLE READ").execution_options(
            postgresql_readonly=True
        )
        self.writing = _engine(location, "READ COMMITTED")  # whatever the database's default is
        self.changes: Changes = ServerChanges(conninfo(location))

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Do not wait: the server lets any number write."""
        return nullcontext()

    async def commit(self, session: AsyncSession) -> None:
        """Commit, and wake waiting tasks of every process."""
        await session.flush()
        if session.in_transaction():
            await session.execute(NOTIFY)
        await session.commit()

    def explain(self, error: Exception) -> StoreUnusable | None:
        """Return the error to raise instead, if it is the server's fault or the connection's."""
        if isinstance(error, PoolTimeout):
            return unusable(self._location, error, is_passing=True)
        cause = getattr(error, "orig", error)
        if is_lost(cause):
            return unusable(self._location, error, is_passing=True)
        is_full = isinstance(cause, psycopg.errors.DiskFull | psycopg.errors.ReadOnlySqlTransaction)
        return unusable(self._location, error) if is_full else None

    def is_clash(self, error: object) -> bool:
        """Tell whether what was to be stored is there already, and may be there only once."""
        return isinstance(error, psycopg.errors.UniqueViolation)

    def unreadable(self, error: Exception) -> StoreUnusable:
        """Return the error to raise when not even reading works."""
        return self.explain(error) or unusable(self._location, error)

    async def close(self) -> None:
        """Close all connections."""
        await self.changes.close()
        await self.reading.dispose()
        await self.writing.dispose()


class ServerChanges(Changes):
    """Commits by any process, heard on one connection that is opened when somebody first waits.

    Args:
        connection: the server in libpq's form.
    """

    def __init__(self, connection: str) -> None:
        super().__init__()
        self._connection = connection
        self._listening: asyncio.Task[None] | None = None

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once something was committed, or after `timeout_s` seconds."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        await super().wait(seen, timeout_s)

    async def close(self) -> None:
        """Stop listening."""
        await end(self._listening)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_until_lost()
            except psycopg.Error as error:
                log.warning("The database's news are not heard: %s", str(error).strip())
                await asyncio.sleep(RECONNECT_S)

    async def _listen_until_lost(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._connection, autocommit=True
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:
                self.note()  # at first for what was committed while nobody listened
                await asyncio.sleep(PAUSE_S)
                async for _ in connection.notifies(stop_after=1):
                    pass


def _engine(location: str, isolation_level: str) -> AsyncEngine:
    return create_async_engine(
        server_url(location),
        isolation_level=isolation_level,
        pool_size=4,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=60,
    )


def conninfo(location: str) -> str:
    """Return a server's URL in libpq's form, with this program's settings of a connection."""
    own = conninfo_to_dict(location)
    return make_conninfo(location, **{k: v for k, v in CONNECTION.items() if k not in own})


def is_lost(error: object) -> bool:
    """Tell whether a transaction may succeed when it is begun anew, perhaps a little later.

    So it is when the connection was lost or could not be made, and when the server ended the
    transaction because of others: a deadlock, a lock that another kept too long.
    """
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = error.sqlstate
    if state is None:  # the server said none, or there was no server to say one
        is_refused = "FATAL:" in str(error)
        return not is_refused or any(sign in str(error) for sign in UNREADY)
    return state[:2] in ("08", "40", "55", "57") or state in ("53300", "25P03")


def unusable(location: str, error: Exception, *, is_passing: bool = False) -> StoreUnusable:
    """Explain why a server cannot be used, and what to do about it."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    remedy = (
        "Nothing is lost: try again, and start the server if it is down."
        if is_passing
        else "Mend it there, or name another server in AUDIOSTORY_DATABASE_URL."
    )
    return StoreUnusable(
        f"The database {shown(location)} cannot be used: {reason}. {remedy}", is_passing=is_passing
    )
