"""A store that is away for a while, and workers that are told to stop: no loss, nothing made twice."""

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from itertools import count

import pytest
from sqlalchemy import select

from storage import runs, work
from storage.errors import StoreUnusable
from storage.models import RunState, Work, WorkKind, WorkState
from tests.support.disks import mount_disk
from tests.support.postgres import ON_BOTH_DATABASES, ON_POSTGRES
from tests.support.studio import Studio

__all__ = ["mount_disk"]

SCENES = 8
STORY = "\n".join(f"scene {n}" for n in range(SCENES))
PATIENCE_S = 60.0  # of the tests, on a loaded machine


@asynccontextmanager
async def at_work(studio, **options):
    """A worker that works meanwhile, and is there at the end."""
    async with studio.worker(**{"retry_s": 0.05} | options) as worker:
        working = asyncio.create_task(worker.work())
        try:
            yield worker
            assert not working.done(), working.exception()
        finally:
            worker.stop()
            await asyncio.wait_for(working, PATIENCE_S)


async def until(condition):
    """Look again and again until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - it changes in a database
            await asyncio.sleep(0.01)


async def clips_of(studio):
    async with studio.store.database.read() as session:
        return list(await session.scalars(select(Work).where(Work.kind == WorkKind.CLIP)))


async def settled(studio, story_id):
    await asyncio.wait_for(studio.settle(story_id), PATIENCE_S)
    return await studio.latest_run(story_id)


def has_begun(studio, count):
    async def is_so():
        return len(studio.engine.made) >= count

    return is_so


def is_told(studio, story_id):
    async def is_so():
        return "store.unusable" in [event.kind for event in await studio.events(story_id)]

    return is_so


@ON_POSTGRES
async def test_server_that_is_away_for_a_while_ends_no_worker_and_costs_no_clip(studio, postgres):
    story = await studio.add(STORY, duration_s=16.0, tail_s=0.1)
    studio.engine.pause_s = 0.3
    async with at_work(studio):
        await until(has_begun(studio, 3))
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(10.0)  # the fault
        await asyncio.to_thread(postgres.start)
        run = await settled(studio, story.id)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    made = Counter(request.caption for request in studio.engine.made)
    assert made == Counter(STORY.splitlines())
    assert {clip.attempt for clip in await clips_of(studio)} == {1}


@pytest.mark.parametrize("fault", ["full", "read-only"])
async def test_audio_folder_that_cannot_be_written_is_waited_for(studio, mount_disk, fault):
    disk = mount_disk(studio.store.audio.folder, 64)
    story = await studio.add(STORY, duration_s=16.0, tail_s=0.1)
    studio.engine.pause_s = 0.05
    async with at_work(studio):
        await until(has_begun(studio, 3))
        disk.fill() if fault == "full" else disk.set_writable(False)
        await until(is_told(studio, story.id))
        begun, made = len(studio.engine.made), await clips_of(studio)
        finished = sum(clip.state == WorkState.FINISHED for clip in made)
        assert {clip.attempt for clip in made} <= {0, 1}
        with pytest.raises(StoreUnusable, match="Free some space or fix its permissions"):
            studio.store.audio.probe()
        disk.free() if fault == "full" else disk.set_writable(True)
        run = await settled(studio, story.id)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    assert {clip.attempt for clip in await clips_of(studio)} == {1}
    assert len(studio.engine.made) == begun + SCENES - finished
    told = [event for event in await studio.events(story.id) if event.kind == "store.unusable"]
    assert len(told) == 1
    assert "cannot be written" in told[0].data["problem"]


async def test_room_for_less_than_the_clip_that_was_lost_is_too_little(studio, mount_disk):
    disk = mount_disk(studio.store.audio.folder, 8)
    disk.fill()
    with pytest.raises(StoreUnusable) as full:
        studio.store.audio.add(".flac", bytes(3 << 20))
    disk.fill(but_bytes=1 << 20)

    studio.store.audio.probe()
    with pytest.raises(StoreUnusable):
        studio.store.audio.probe(full.value.lacking_bytes)
    disk.free()
    studio.store.audio.probe(full.value.lacking_bytes)
    assert not any(disk.folder.glob("*.tmp"))


@pytest.fixture
async def small_studio(tmp_path, mount_disk):
    disk = mount_disk(tmp_path / "small", 64)
    studio = await Studio.make(disk.folder)
    yield studio, disk
    await studio.store.database.close()


async def test_disk_that_is_full_for_database_and_audio_is_waited_for(small_studio):
    studio, disk = small_studio
    story = await studio.add(STORY, duration_s=16.0, tail_s=0.1)
    studio.engine.pause_s = 0.05
    async with at_work(studio):
        await until(has_begun(studio, 3))
        disk.fill()
        with pytest.raises(StoreUnusable, match="disk is full"):
            await _fill_log(studio)
        disk.free()
        run = await settled(studio, story.id)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    made = [clip for clip in await clips_of(studio) if clip.needs == "tone"]
    assert {clip.attempt for clip in made} == {1}


async def _fill_log(studio):
    """Write until the database's log, too, has no room left that it could write over."""
    for number in count():
        async with studio.store.database.write() as session:
            withdrawn = {"state": WorkState.WITHDRAWN, "attempt": 0, "priority": 0, "start_tag": 0}
            named = {"key": f"{number}", "kind": WorkKind.CLIP, "needs": "none"}
            session.add(Work(**named, request="{}" * 9000, **withdrawn))


@ON_BOTH_DATABASES
async def test_clip_that_takes_long_is_given_back_when_the_worker_stops(studio):
    story = await studio.add("rain")
    studio.engine.pause_s = 30.0
    async with at_work(studio, drain_s=0.2) as worker:
        await until(has_begun(studio, 1))
        begun = time.monotonic()
        worker.stop()
    assert time.monotonic() - begun < 20

    [clip] = await clips_of(studio)
    assert (clip.state, clip.attempt, clip.owner) == (WorkState.QUEUED, 0, None)
    studio.engine.pause_s = 0.0
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert run.state == RunState.FINISHED


async def test_clip_that_is_nearly_done_is_finished_when_the_worker_stops(studio):
    await studio.add("rain")
    studio.engine.pause_s = 0.3
    async with at_work(studio) as worker:
        await until(has_begun(studio, 1))
        worker.stop()

    [clip] = await clips_of(studio)
    assert (clip.state, clip.attempt) == (WorkState.FINISHED, 1)


@ON_BOTH_DATABASES
async def test_run_stops_after_the_step_it_is_at_and_goes_on_from_there(studio):
    story = await studio.add(STORY, duration_s=16.0, tail_s=0.1)
    conditioned = []

    class Engine(type(studio.engine)):
        def interleave(self, plan, places, known):
            for part in super().interleave(plan, places, known):
                conditioned.extend(part)
                time.sleep(0.05)
                yield part

    studio.engine = Engine()

    async def is_midway():
        return len(conditioned) >= 3

    async with at_work(studio) as worker:
        await until(is_midway)
        worker.stop()

    run = await studio.latest_run(story.id)
    assert (run.state, run.owner, run.attempt) == (RunState.QUEUED, None, 0)
    assert len(conditioned) < SCENES
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert run.state == RunState.FINISHED
    assert conditioned == list(range(SCENES))


@ON_BOTH_DATABASES
async def test_what_a_worker_gives_up_is_queued_uncounted(studio):
    story = await studio.add(STORY)
    async with studio.store.database.write() as session:
        await runs.claim(session, "me", 30.0)
    async with studio.store.database.write() as session:
        assert await runs.give_up(session, "another") == []
        assert await runs.give_up(session, "me") == [story.id]
        assert await work.give_up(session, "me") == []

    run = await studio.latest_run(story.id)
    assert (run.state, run.owner, run.attempt) == (RunState.QUEUED, None, 0)
