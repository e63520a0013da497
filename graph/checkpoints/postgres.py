"""LangGraph's program counter in tables of the studio's Postgres database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from graph.checkpoints.explained import ExplainedCalls
from storage.postgres import conninfo, is_lost, unusable
from storage.schema import LOOK_S, SERVER_LOCK

MAX_CONNECTIONS = 2  # the saver uses one at a time
WAIT_S = 5.0  # for a connection, before the server counts as gone

Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]


@asynccontextmanager
async def open_on_server(
    location: str, serde: JsonPlusSerializer
) -> AsyncIterator[AsyncPostgresSaver]:
    """Open the checkpoints of a Postgres database, their tables made when missing.

    Args:
        location: the URL of the database.
        serde: how the state is written down.

    Raises:
        StoreUnusable: if the server cannot be used, from here and from each call of the saver.
    """
    pool = Pool(
        conninfo(location),
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=0,
        max_size=MAX_CONNECTIONS,
        check=AsyncConnectionPool.check_connection,
        timeout=WAIT_S,
        reconnect_timeout=1.0,  # the next to ask tries again; its back-off grows to minutes
        open=False,
    )
    async with pool:
        saver = _ServerSaver(location, pool, serde)
        async with saver.explained(), _alone(location):
            await saver.setup()
        yield saver


@asynccontextmanager
async def _alone(location: str) -> AsyncIterator[None]:
    """Keep other processes out while the tables are made.

    The lock is tried for, not waited for: a statement that waits keeps a snapshot, for which the
    indexes that the holder makes concurrently would wait.
    """
    async with await psycopg.AsyncConnection.connect(conninfo(location), autocommit=True) as keeper:
        while not await _try_lock(keeper):  # noqa: ASYNC110 - others hold it in other processes
            await asyncio.sleep(LOOK_S)
        yield  # the lock ends with its connection


async def _try_lock(keeper: psycopg.AsyncConnection) -> bool:
    tried = await keeper.execute("SELECT pg_try_advisory_lock(%s)", [SERVER_LOCK])
    return await tried.fetchone() == (True,)


class _ServerSaver(ExplainedCalls, AsyncPostgresSaver):
    """Says that the store is unusable where the driver says that the server is gone."""

    def __init__(self, location: str, pool: Pool, serde: JsonPlusSerializer) -> None:
        super().__init__(pool, serde=serde)
        self._location = location

    @asynccontextmanager
    async def explained(self) -> AsyncIterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise unusable(self._location, error, is_passing=is_lost(error)) from error
