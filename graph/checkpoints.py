"""Where LangGraph keeps its program counter: a file of its own, disposable.

Deleting it loses nothing; the run is then rebuilt from SQL.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from storage.errors import StoreUnusable
from storage.migrating import alone

BUSY_TIMEOUT_S = 60.0


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the checkpoint file, made when missing or damaged.

    Raises:
        StoreUnusable: if it cannot be opened, or later not be written.
    """
    try:
        with alone(path):
            if not _prepare(path):
                for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                    path.with_name(name).unlink(missing_ok=True)
                _prepare(path)
        async with aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S) as connection:
            await connection.execute("PRAGMA synchronous=NORMAL")  # kill-safe; SQL is the truth
            serde = JsonPlusSerializer(allowed_msgpack_modules=None)
            saver = AsyncSqliteSaver(connection, serde=serde)
            await saver.setup()
            yield saver
    except sqlite3.Error as error:
        raise StoreUnusable(
            f"The checkpoint file {path} cannot be used: {error}. "
            "Free some space, fix its permissions or delete it: nothing is lost with it."
        ) from error


def _prepare(path: Path) -> bool:
    """Put the file into WAL mode; False if it is damaged."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return False
        raise
    finally:
        connection.close()
    return bool(found == ("ok",))
