import asyncio
import logging
import multiprocessing
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, text, update

from api.settings import Settings
from api.store import open_store
from graph.checkpoints.sqlite import open_checkpoints
from storage import events
from storage.database import Database
from storage.errors import StoreTooNew, StoreUnusable
from storage.models import Event, Story
from storage.schema import SCHEMA, current_schema
from storage.wal import LIMIT, checkpoint
from tests.support.other_process import commit_events
from tests.support.postgres import ON_BOTH_DATABASES, ON_POSTGRES

LONG_S = 20.0  # a wait that ends this late was not woken
WRITERS, COMMITS, PAYLOAD = 3, 80, 100_000


def _process(*arguments: object) -> multiprocessing.Process:
    return multiprocessing.get_context("spawn").Process(target=commit_events, args=arguments)


async def _append(database: Database, story_id: str, kind: str = "test") -> None:
    async with database.write() as session:
        await events.append(session, story_id, kind)


@ON_BOTH_DATABASES
async def test_waiter_is_woken_by_a_commit_of_its_own_process(studio):
    story = await studio.add("rain")
    database = studio.store.database
    await database.wait_for_change(database.changes(), 0.2)
    seen = database.changes()
    waiting = [asyncio.create_task(database.wait_for_change(seen, LONG_S)) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)

    await _append(database, story.id)

    begun = time.monotonic()
    await asyncio.gather(*waiting)
    assert time.monotonic() - begun < 1.0


@ON_BOTH_DATABASES
async def test_waiter_is_woken_by_a_commit_of_another_process(studio):
    story = await studio.add("rain")
    database = studio.store.database
    other = _process(studio.settings, story.id, 1)
    other.start()

    begun = time.monotonic()
    seen = database.changes()
    while (await studio.events(story.id))[-1].kind != "test":
        await database.wait_for_change(seen, LONG_S)
        seen = database.changes()

    assert time.monotonic() - begun < LONG_S
    await asyncio.to_thread(other.join)


@ON_BOTH_DATABASES
async def test_commit_between_the_look_and_the_wait_is_not_missed(studio):
    story = await studio.add("rain")
    database = studio.store.database
    await database.wait_for_change(database.changes(), 0.2)

    for _ in range(20):
        seen = database.changes()
        other = Database(database.location)  # as another process: it shares nothing but the store
        await _append(other, story.id)
        await other.close()
        begun = time.monotonic()
        await database.wait_for_change(seen, LONG_S)
        assert time.monotonic() - begun < 1.0


@ON_BOTH_DATABASES
async def test_wait_without_a_change_ends_with_its_timeout(studio):
    database = studio.store.database
    await database.wait_for_change(database.changes(), 0.3)

    begun = time.monotonic()
    await database.wait_for_change(database.changes(), 0.3)

    assert 0.25 < time.monotonic() - begun < 1.0


@ON_BOTH_DATABASES
async def test_transaction_that_wrote_nothing_wakes_nobody(studio):
    database = studio.store.database
    await database.wait_for_change(database.changes(), 0.3)
    seen = database.changes()

    async with database.write() as session:
        await session.execute(select(func.count()).select_from(Story))
    begun = time.monotonic()
    await database.wait_for_change(seen, 0.3)

    assert time.monotonic() - begun > 0.25


@ON_BOTH_DATABASES
async def test_waiting_costs_next_to_nothing(studio):
    database = studio.store.database
    process = psutil.Process()
    before = sum(process.cpu_times()[:2])
    begun = time.monotonic()

    while time.monotonic() - begun < 2.0:
        await database.wait_for_change(database.changes(), 2.0)

    assert sum(process.cpu_times()[:2]) - before < 0.05 * (time.monotonic() - begun)


@ON_BOTH_DATABASES
async def test_reader_sees_one_snapshot_whatever_is_committed_meanwhile(studio):
    story = await studio.add("rain")
    database = studio.store.database
    counting = select(func.count()).where(Event.story_id == story.id)
    async with database.read() as session:
        before = await session.scalar(counting)
        await _append(database, story.id)
        assert await session.scalar(counting) == before

    assert len(await studio.events(story.id)) == before + 1


async def test_write_ahead_log_stays_short_under_many_writers_and_nothing_is_lost(studio):
    story = await studio.add("rain")
    writers = [_process(studio.settings, story.id, COMMITS, PAYLOAD) for _ in range(WRITERS)]
    log = studio.settings.home / "studio.db-wal"
    for writer in writers:
        writer.start()
    longest = 0
    while any(writer.is_alive() for writer in writers):
        longest = max(longest, log.stat().st_size)
        assert await studio.latest_run(story.id)  # readers come and go
        await asyncio.sleep(0.005)

    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert LIMIT < longest < 5 * LIMIT < WRITERS * COMMITS * PAYLOAD
    kept = [event for event in await studio.events(story.id) if event.kind == "test"]
    assert len(kept) == WRITERS * COMMITS
    await studio.store.database.close()
    with closing(sqlite3.connect(studio.settings.database_file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_log_is_left_alone_while_a_writer_holds_the_file(studio):
    story = await studio.add("rain")
    with closing(sqlite3.connect(studio.settings.database_file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            checkpoint(studio.settings.database_file, busy_timeout_s=0.05)
        writer.execute("ROLLBACK")

    await _append(studio.store.database, story.id)


async def test_log_that_a_reader_holds_is_shortened_once_it_lets_go(studio):
    story = await studio.add("rain")
    database, log = studio.store.database, studio.settings.home / "studio.db-wal"
    long_event = {"payload": "x" * 500_000}
    async with database.read() as session:
        await session.execute(select(Story))
        for _ in range(30):
            async with database.write() as writing:
                await events.append(writing, story.id, "test", **long_event)
        assert log.stat().st_size > 2 * LIMIT

    for _ in range(30):
        async with database.write() as writing:
            await events.append(writing, story.id, "test", **long_event)

    assert log.stat().st_size < 2 * LIMIT


async def test_connection_of_the_database_never_checkpoints_by_itself(studio):
    async with studio.store.database.read() as session:
        assert await session.scalar(text("PRAGMA wal_autocheckpoint")) == 0


@ON_BOTH_DATABASES
@pytest.mark.parametrize("kind", ["read", "write"])
async def test_task_that_is_cancelled_in_a_transaction_leaves_no_error_and_no_lock(
    studio, caplog, kind
):
    story = await studio.add("rain")
    database = studio.store.database

    async def work() -> None:
        async with getattr(database, kind)() as session:
            for _ in range(5):
                await session.execute(select(Story))
            if kind == "write":
                await events.append(session, story.id, "test")

    for number in range(160):
        working = asyncio.create_task(work())
        await asyncio.sleep((number % 80) / 6000)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await asyncio.sleep(0)

    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
    async with asyncio.timeout(5):
        await _append(database, story.id, "after")
    assert (await studio.events(story.id))[-1].kind == "after"


@ON_POSTGRES
async def test_server_that_restarts_is_used_again(studio, postgres, caplog):
    caplog.set_level(logging.ERROR)
    story = await studio.add("rain")
    database = studio.store.database
    await database.wait_for_change(database.changes(), 0.3)
    seen = database.changes()
    waiting = asyncio.create_task(database.wait_for_change(seen, LONG_S))

    async def be_cut_off() -> None:
        async with database.write() as session:
            await events.append(session, story.id, "lost")
            await session.flush()
            await asyncio.to_thread(postgres.stop)

    with pytest.raises(StoreUnusable, match="start the server") as broken:
        await be_cut_off()
    assert broken.value.is_passing
    try:
        with pytest.raises(StoreUnusable) as down:
            await database.ping()
        assert down.value.is_passing
        with pytest.raises(StoreUnusable) as refused:
            Database.open(database.location)
        assert refused.value.is_passing
    finally:
        await asyncio.to_thread(postgres.start)

    await _append(database, story.id, "kept")
    await waiting
    heard = await studio.events(story.id)
    assert heard[-1].kind == "kept"
    assert "lost" not in [event.kind for event in heard]
    seen = database.changes()
    await _append(database, story.id)
    begun = time.monotonic()
    await database.wait_for_change(seen, LONG_S)
    assert time.monotonic() - begun < 1.0


@ON_POSTGRES
async def test_checkpoints_say_that_the_server_is_gone_and_go_on_when_it_is_back(studio, postgres):
    thread = {"configurable": {"thread_id": "story:1:run:1", "checkpoint_ns": ""}}
    async with open_checkpoints(studio.settings.checkpoints) as checkpoints:
        assert await checkpoints.aget_tuple(thread) is None
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(StoreUnusable) as gone:
                await checkpoints.aget_tuple(thread)
            assert gone.value.is_passing
        finally:
            await asyncio.to_thread(postgres.start)
        assert await checkpoints.aget_tuple(thread) is None


@ON_POSTGRES
async def test_deadlock_is_told_as_something_that_passes(studio):
    stories = [await studio.add("rain"), await studio.add("thunder")]
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with studio.store.database.write() as session:
            await session.execute(update(Story).where(Story.id == first).values(language="xx"))
            await both_hold_one.wait()
            await session.execute(update(Story).where(Story.id == second).values(language="xx"))

    ids = [story.id for story in stories]
    ended = await asyncio.gather(lock(*ids), lock(*reversed(ids)), return_exceptions=True)

    (victim,) = [error for error in ended if error is not None]
    assert isinstance(victim, StoreUnusable)
    assert victim.is_passing


def _open_all(url: str, home: Path) -> None:
    async def open_both() -> None:
        store = await open_store(Settings(home=home, database_url=url))
        async with open_checkpoints(url):
            await store.database.close()

    asyncio.run(open_both())


async def test_processes_that_open_an_empty_server_database_at_once_all_can(postgres, tmp_path):
    postgres.execute("CREATE DATABASE fresh")
    context = multiprocessing.get_context("spawn")
    openers = [
        context.Process(target=_open_all, args=(postgres.url("fresh"), tmp_path / "home"))
        for _ in range(2)
    ]
    for opener in openers:
        opener.start()
    for opener in openers:
        await asyncio.to_thread(opener.join)

    assert [opener.exitcode for opener in openers] == [0, 0]
    assert current_schema(postgres.url("fresh")) == SCHEMA
    postgres.execute("DROP DATABASE fresh WITH (FORCE)")


def test_server_database_of_a_newer_version_is_refused(postgres, postgres_url):
    with postgres.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match=r"newer version.*9999"):
        Database.open(postgres_url)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("postgresql://author:secret@/none?host=/nowhere", "cannot be used"),
        ("postgresql://author:secret@127.0.0.1:1/none", "cannot be used"),
        ("postgresql://author:secret@host:port/none", "no URL"),
    ],
)
def test_server_that_cannot_be_reached_is_explained_without_its_password(location, told):
    with pytest.raises(StoreUnusable, match=told) as refused:
        Database.open(location)

    assert "secret" not in str(refused.value)


def test_server_database_that_does_not_exist_is_explained(postgres):
    with pytest.raises(StoreUnusable, match='"nowhere" does not exist'):
        Database.open(postgres.url("nowhere"))
