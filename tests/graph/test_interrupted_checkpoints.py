"""A process that ends between any two writes of LangGraph's checkpoints loses nothing.

Nor does a run that is cancelled there keep others from theirs.
"""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from graph.build import build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.drive import drive
from storage import revisions, runs, stories
from storage.models import RunState

SCENES = 2


class Killed(BaseException):
    """Ends the process's work at once, as a signal would; nothing handles it."""


def end_after(saver, writes):
    """Let a saver write so many times, before the process is no more."""
    left = writes

    def limited(write):
        async def write_or_die(*args, **kwargs):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return await write(*args, **kwargs)

        return write_or_die

    saver.aput = limited(saver.aput)
    saver.aput_writes = limited(saver.aput_writes)


async def work_until_killed(studio, story_id, writes):
    """Drive a run, and do the work that it waits for; False if killed before its end."""
    async with open_checkpoints(studio.settings.checkpoint_file) as saver:
        graph = build_graph(saver)
        if writes is not None:
            end_after(saver, writes)
        async with studio.store.database.write() as session:
            await runs.release_owner(session, ["killed"])
        while True:
            async with studio.store.database.write() as session:
                run = await runs.claim(session, "killed", 30.0)
            if run is None:
                if (await studio.latest_run(story_id)).state == RunState.FINISHED:
                    return True
                await studio.do_work()
                continue
            try:
                await drive(run, graph, studio.services)
            except Killed:
                return False


async def test_run_goes_on_wherever_its_process_ended(studio):
    writes, is_whole = 0, False
    await studio.offer()
    while not is_whole:
        story = await studio.add("rain\nthunder", seed=writes)
        is_whole = await work_until_killed(studio, story.id, writes)
        assert await work_until_killed(studio, story.id, None)
        async with studio.store.database.read() as session:
            revision_id = (await stories.get(session, story.id)).revision_id
            assert await revisions.find_mix(session, revision_id) is not None
        kinds = [event.kind for event in await studio.events(story.id)]
        assert kinds.count("clip.finished") == SCENES
        assert kinds[-1] == "run.finished"
        writes += 1
    assert writes > 10


THREAD = {"configurable": {"thread_id": "story:1:run:1", "checkpoint_ns": "", "checkpoint_id": "1"}}


def assert_is_free(path):
    """Assert that whoever wants to write can."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")


async def test_write_that_is_cancelled_keeps_no_file_locked(studio, monkeypatch):
    file = studio.settings.checkpoint_file
    is_written = asyncio.Event()

    async def commit_never():
        is_written.set()
        await asyncio.Event().wait()

    async with open_checkpoints(file) as saver:
        with monkeypatch.context() as patch:
            patch.setattr(saver.conn, "commit", commit_never)
            writing = asyncio.create_task(saver.aput_writes(THREAD, [("a", 1)], "task"))
            await is_written.wait()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing

        assert_is_free(file)


async def test_write_that_nobody_waits_for_ends_before_the_file_is_closed(studio, monkeypatch):
    file = studio.settings.checkpoint_file
    is_written = asyncio.Event()

    async with open_checkpoints(file) as saver:
        commit = saver.conn.commit

        async def commit_late():
            is_written.set()
            await asyncio.sleep(0.05)
            await commit()

        monkeypatch.setattr(saver.conn, "commit", commit_late)
        writing = asyncio.create_task(saver.aput_writes(THREAD, [("a", 1)], "task"))
        await is_written.wait()

    assert_is_free(file)
    await writing
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT task_id, channel FROM writes").fetchall() == [
            ("task", "a")
        ]
