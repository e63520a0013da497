"""Where LangGraph keeps its program counter: disposable.

Deleting it loses nothing; the run is then rebuilt from SQL. Beside an SQLite database it is a file
of its own; on a Postgres server it is tables of the same database.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.checkpoints.explained import ExplainedCalls
from storage.errors import StoreUnusable
from storage.schema import alone
from storage.wal import PRAGMAS, WriteAheadLog

BUSY_TIMEOUT_S = 60.0


@asynccontextmanager
async def open_checkpoints(location: Path | str) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the checkpoints, made when missing; a damaged file is made anew.

    Args:
        location: the SQLite file, or the URL of a Postgres database that exists.

    Raises:
        StoreUnusable: if they cannot be opened, or later not be written. With a server the saver
            raises it from each call, `is_passing` where the connection was lost.
    """
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    if isinstance(location, Path):
        async with _open_file(location, serde) as in_file:
            yield in_file
        return
    from graph.checkpoints.postgres import open_on_server  # noqa: PLC0415 - its driver is an extra

    async with open_on_server(location, serde) as on_server:
        yield on_server


@asynccontextmanager
async def _open_file(path: Path, serde: JsonPlusSerializer) -> AsyncIterator[AsyncSqliteSaver]:
    try:
        with alone(path):
            if not _prepare(path):
                for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                    path.with_name(name).unlink(missing_ok=True)
                _prepare(path)
        async with aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S) as connection:
            await connection.execute("PRAGMA synchronous=NORMAL")  # kill-safe; SQL is the truth
            for pragma in PRAGMAS:
                await connection.execute(pragma)
            saver = _FileSaver(connection, serde, path)
            await saver.setup()
            try:
                yield saver
            finally:
                async with saver.lock:  # LangGraph leaves writes of a cancelled run to themselves
                    await connection.close()
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


class _FileSaver(ExplainedCalls, AsyncSqliteSaver):
    """Keeps its file's write-ahead log short; see storage.wal."""

    def __init__(
        self, connection: aiosqlite.Connection, serde: JsonPlusSerializer, path: Path
    ) -> None:
        super().__init__(connection, serde=serde)
        self._path = path
        self._log = WriteAheadLog(path)

    @asynccontextmanager
    async def explained(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            await self._roll_back()
            raise
        except sqlite3.Error as error:
            await self._roll_back()
            raise _unusable(self._path, error) from error
        await self._log.keep_short()

    async def _roll_back(self) -> None:
        """End what was begun, which would keep the file locked."""
        async with self.lock:
            await self.conn.rollback()


def _unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    return StoreUnusable(
        f"The checkpoint file {path} cannot be used: {error}. "
        "Free some space, fix its permissions or delete it: nothing is lost with it."
    )


def _prepare(path: Path) -> bool:
    """Put the file into WAL mode; False if it is damaged."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        checked = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return False
        raise
    finally:
        connection.close()
    return bool(checked == ("ok",))
