"""Several workers and many stories: fair shares, priority, canceling, clips that cannot be made."""

import asyncio
import time

import psutil
import psycopg
import pytest
from sqlalchemy import func, select

from api.revisions.service import ask, cancel, resume
from audiostory_core.story.changes import Edits
from audiostory_core.story.edits import Reword
from storage import runs, work
from storage.models import Run, RunState, Wait, Work, WorkKind, WorkState
from tests.support import tone_process
from tests.support.cards import ENGINES, VARIABLE
from tests.support.failed_clips import list_failed
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

PATIENCE_S = 120.0


@pytest.fixture(autouse=True)
def known_engine(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(ENGINES))


@pytest.fixture
def crew(studio, tmp_path):
    log = tmp_path / "log"
    log.touch()
    return tone_process.Crew(studio.settings, log, (0.0, 0.0))


async def test_short_story_behind_many_long_ones_is_among_the_first_to_finish(studio, crew):
    many = [await studio.add(_lines(8, f"of {n}"), **_short(8)) for n in range(12)]
    short = await studio.add(_lines(3, "of the brief one"), **_short(3))
    studio.engine.pause_s = PATIENCE_S
    async with studio.worker(drain_s=0.0) as driver:  # until all wait for clips
        driving = asyncio.create_task(driver.work())
        for story in [*many, short]:
            await _until_parked_for_clips(studio, story.id)
        driver.stop()
        await driving
    workers = [crew.work() for _ in range(4)]
    try:
        for story in [short, *many]:
            await asyncio.wait_for(studio.settle(story.id), PATIENCE_S)
    finally:
        await _kill(workers)

    ended = [await studio.latest_run(story.id) for story in many]
    last = await studio.latest_run(short.id)
    assert {run.state for run in [*ended, last]} == {RunState.FINISHED}
    assert sum(run.finished_at < last.finished_at for run in ended) <= 1
    begun = [line.clip for line in tone_process.read(crew.log) if line.what == tone_process.BEGUN]
    assert len(begun) == len(set(begun)) == 12 * 8 + 3


async def test_run_that_had_fewer_turns_is_driven_first(studio):
    long, short = [await studio.add(_lines(count, "x"), **_short(count)) for count in (4, 2)]
    studio.engine.pause_s = PATIENCE_S
    async with studio.worker(drain_s=0.0) as driver:
        driving = asyncio.create_task(driver.work())
        await _until_parked_for_clips(studio, long.id, short.id)
        driver.stop()
        await driving
    async with studio.store.database.write() as session:
        for story in (long, short):
            await runs.wake(session, await runs.lock(session, (await _run(studio, story)).id))
    late = await studio.add("rain")

    claimed = []
    for _ in range(3):
        async with studio.store.database.write() as session:
            claimed.append((await runs.claim(session, "driver", 60.0)).story_id)

    assert claimed == [late.id, short.id, long.id]


async def test_stories_in_review_cost_a_worker_nothing(studio, crew):
    worker = crew.work()
    try:
        await _park(studio, 10)
        before = _costs(worker.pid, studio.settings)
        await _park(studio, 60)
        after = _costs(worker.pid, studio.settings)
    finally:
        await _kill([worker])

    (memory, *open_before), (grown, *open_after) = before, after
    of_pools = 10  # connections are pooled, and opened when they are first needed
    assert all(more - less < of_pools for less, more in zip(open_before, open_after, strict=True))
    assert grown - memory < 8e6


async def test_story_of_higher_priority_overtakes(studio):
    studio.engine.pause_s = 0.02
    others = [await studio.add(_lines(10, f"of {n}"), **_short(10)) for n in range(3)]
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        await _until(lambda: len(studio.engine.made) > 3)
        urgent = await studio.add(_lines(5, "of the urgent one"), priority=1, **_short(5))
        for story in [urgent, *others]:
            await asyncio.wait_for(studio.settle(story.id), PATIENCE_S)
        worker.stop()
        await working

    first = (await studio.latest_run(urgent.id)).finished_at
    ended = [await studio.latest_run(other.id) for other in others]
    assert all(run.finished_at > first for run in ended)
    made = [request.caption.endswith("urgent one") for request in studio.engine.made]
    assert sum(made[-10:]) == 0


async def test_clip_that_another_story_wants_survives_a_cancel(studio):
    studio.engine.pause_s = 0.5
    first, second = [await studio.add("rain\nthunder") for _ in range(2)]
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        await _until_parked_for_clips(studio, first.id, second.id)
        await cancel(studio.store.database, first.id)
        await asyncio.wait_for(studio.settle(second.id), PATIENCE_S)
        worker.stop()
        await working

    assert (await studio.latest_run(first.id)).state == RunState.CANCELLED
    assert (await studio.latest_run(second.id)).state == RunState.FINISHED
    assert sorted(request.caption for request in studio.engine.made) == ["rain", "thunder"]


async def test_cancel_stops_the_engine_within_a_step_and_frees_its_worker(studio):
    studio.engine.pause_s = 10 * PATIENCE_S  # in steps of 10 ms
    story = await studio.add("rain\nthunder\nbirds")
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        await _until_parked_for_clips(studio, story.id)
        await _until(lambda: studio.engine.made)
        started = time.monotonic()
        await cancel(studio.store.database, story.id)
        await _until_withdrawn(studio, 3)
        took_s = time.monotonic() - started
        studio.engine.pause_s = 0.0
        other = await studio.add("wind")
        await asyncio.wait_for(studio.settle(other.id), PATIENCE_S)
        worker.stop()
        await working

    assert took_s < PATIENCE_S / 4
    assert (await studio.latest_run(story.id)).state == RunState.CANCELLED
    assert (await studio.latest_run(other.id)).state == RunState.FINISHED
    assert (await studio.events(story.id))[-1].kind == "run.cancelled"


async def test_cancelled_story_resumes_and_nothing_finished_is_made_again(studio):
    studio.engine.pause_s = 0.05
    story = await studio.add(_lines(30, "of a long one"), **_short(30))
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        await _until(lambda: len(studio.engine.made) > 3)
        await cancel(studio.store.database, story.id)
        told = await _settled_events(studio, story.id)
        studio.engine.pause_s = 0.0
        finished = {event.data["clip"] for event in told if event.kind == "clip.finished"}
        made = len(studio.engine.made)
        assert 3 <= len(finished) < 30
        await resume(studio.store.database, story.id)
        await asyncio.wait_for(studio.settle(story.id), PATIENCE_S)
        worker.stop()
        await working

    assert (await studio.latest_run(story.id)).state == RunState.FINISHED
    assert len(studio.engine.made) == made + 30 - len(finished)
    kinds = [event.kind for event in await studio.events(story.id)]
    assert kinds.count("plan.ready") == 1
    assert kinds.count("clip.finished") == 30


async def test_clip_that_cannot_be_made_is_brought_before_the_author_who_rewords_it(studio):
    story = await studio.add("rain\nfails\nbirds", duration_s=3.0, tail_s=0.1)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert (run.state, run.waits_for) == (RunState.PARKED, Wait.CLIP_REVIEW)
    async with studio.store.database.read() as session:
        [failed] = await list_failed(session)
    assert (failed.attempt, failed.error) == (work.MAX_ATTEMPTS, "cannot make 'fails'")

    reword = Edits(edits=(Reword(sub_event=2, caption="thunder"),))
    await ask(studio.store.database, story.id, reword, accept=True)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    captions = [request.caption for request in studio.engine.made]
    assert sorted(captions) == ["birds", "fails", "fails", "fails", "rain", "thunder"]


def _lines(count, told):
    return "\n".join(f"scene {n} {told}" for n in range(count))


def _short(count):
    return {"duration_s": 0.5 * count, "tail_s": 0.1}


async def _run(studio, story):
    return await studio.latest_run(story.id)


async def _park(studio, count):
    """Have stories made as far as the review of their plans."""
    for n in range(count):
        story = await studio.add(_lines(3, f"of {n}"), review=True, **_short(3))
    await asyncio.wait_for(studio.settle(story.id), PATIENCE_S)
    async with studio.store.database.read() as session:
        states = await session.execute(select(Run.state, func.count()).group_by(Run.state))
        assert [state for state, _ in states] == [RunState.PARKED]


def _costs(pid, settings):
    """Return resident bytes, open files, threads and the server's connections."""
    process = psutil.Process(pid)
    connections = 0
    if settings.database_url is not None:
        with psycopg.connect(settings.database_url) as server:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            connections = server.execute(asked).fetchone()[0]
    return process.memory_info().rss, process.num_fds(), process.num_threads(), connections


async def _until(is_true):
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def _until_parked_for_clips(studio, *story_ids):
    for story_id in story_ids:
        while (await studio.latest_run(story_id)).waits_for != "clips":  # noqa: ASYNC110 - a worker's doing
            await asyncio.sleep(0.01)


async def _until_withdrawn(studio, count):
    while await _count(studio, WorkState.WITHDRAWN) < count:  # noqa: ASYNC110 - a worker's doing
        await asyncio.sleep(0.01)


async def _count(studio, state):
    async with studio.store.database.read() as session:
        is_counted = (Work.kind == WorkKind.CLIP, Work.state == state)
        return await session.scalar(select(func.count()).select_from(Work).where(*is_counted))


async def _settled_events(studio, story_id):
    """Return the events of a cancelled story once no clip of it is being made any more."""
    while await _count(studio, WorkState.CLAIMED):  # noqa: ASYNC110 - a worker's doing
        await asyncio.sleep(0.01)
    return await studio.events(story_id)


async def _kill(workers):
    for worker in workers:
        worker.kill()
        await asyncio.to_thread(worker.join)
