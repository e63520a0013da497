"""A process that drives stories and has no engine, beside one that has and drives none."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from graph.build import build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.maker import ClipMaker
from graph.worker import Worker
from nodes.services import Services
from storage import runs
from storage.models import (
    EngineOffer,
    Revision,
    RunState,
    SceneVersion,
    Wait,
    Work,
    WorkKind,
)
from storage.worker_lock import WorkerLock
from tests.support.fakes import ToneEngine
from tests.support.postgres import ON_BOTH_DATABASES
from tests.support.studio import Studio

PATIENCE_S = 60.0


@asynccontextmanager
async def driving(studio: Studio):
    services = studio.services
    bare = Services(services.database, services.audio, {}, services.planners)
    async with open_checkpoints(studio.settings.checkpoints) as checkpoints:
        presence = WorkerLock(studio.store.workers)
        async with working(Worker(bare, presence, graph=build_graph(checkpoints))):
            yield


@asynccontextmanager
async def working(maker: ClipMaker):
    work = asyncio.create_task(maker.work())
    try:
        yield
    finally:
        maker.stop()
        await work


def maker(studio: Studio, **options) -> ClipMaker:
    return ClipMaker(studio.services, WorkerLock(studio.store.workers), **options)


async def _until(is_true):
    async with asyncio.timeout(PATIENCE_S):
        while not await is_true():  # noqa: ASYNC110 - a worker's doing
            await asyncio.sleep(0.01)


async def _clip_keys(studio: Studio) -> list[str]:
    async with studio.store.database.read() as session:
        is_clip = Work.kind == WorkKind.CLIP
        return sorted(await session.scalars(select(Work.key).where(is_clip)))


@ON_BOTH_DATABASES
async def test_story_waits_in_words_for_an_engine_and_is_made_once_there_is_one(studio, tmp_path):
    story = await studio.add("rain\nthunder\nbirds", duration_s=6.0, tail_s=0.1)

    async def is_waiting():
        return (await studio.latest_run(story.id)).waits_for == Wait.ENGINE

    async with driving(studio):
        await _until(is_waiting)
        assert studio.planner.planned == []
        async with working(maker(studio)):
            await asyncio.wait_for(_settled(studio, story.id), PATIENCE_S)

    run = await studio.latest_run(story.id)
    assert (run.state, run.error) == (RunState.FINISHED, None)
    happened = await studio.events(story.id)
    waiting = [event.data for event in happened if event.kind == "engine.waiting"]
    assert [data["engine"] for data in waiting] == ["tone"]
    assert "audiostory worker --engine tone" in waiting[0]["problem"]
    whole = await Studio.make(tmp_path / "whole")
    other = await whole.add("rain\nthunder\nbirds", duration_s=6.0, tail_s=0.1)
    assert (await whole.run(other.id)).state == RunState.FINISHED
    assert await _clip_keys(studio) == await _clip_keys(whole)
    await whole.store.database.close()


async def test_scene_of_an_engine_that_is_nowhere_waits_and_the_scenes_before_it_do_not(studio):
    story = await studio.add("rain\nthunder", duration_s=4.0, tail_s=0.1, review=True)
    run = await studio.run(story.id)
    await _give_engine(studio, run.revision_id, "lute")

    async def waits():
        return (await studio.latest_run(story.id)).waits_for == Wait.ENGINE

    async with driving(studio), working(maker(studio)):
        await _approve(studio, story.id)
        await _until(waits)
        assert len(await _clip_keys(studio)) == 1
        studio.engines["lute"] = ToneEngine(name="lute")
        async with working(maker(studio)):
            await asyncio.wait_for(_settled(studio, story.id), PATIENCE_S)

    assert (await studio.latest_run(story.id)).waits_for == Wait.MIX_REVIEW


@pytest.mark.parametrize("names", [["tone"], []])
async def test_only_what_a_maker_would_make_is_offered(studio, names):
    studio.engines["lute"] = ToneEngine(name="lute")
    async with working(maker(studio, engines=names)):
        pass

    async with studio.store.database.read() as session:
        offers = {offer.name: offer for offer in await session.scalars(select(EngineOffer))}
    assert offers.keys() == {"tone", *([] if names else ["lute"])}
    assert offers["tone"].revision == "1"
    assert offers["tone"].card["longest_clip_s"] == 33.0


async def test_driver_divides_shapes_as_the_worker_that_has_the_engine_would(studio, tmp_path):
    rain = {"kind": "ambience", "text": "rain", "gain_db": -6.0, "distance": 0.5}
    scenes = [{"caption": "rain", "duration_s": 2.0, "layers": [rain]}] * 2
    plan = {"version": 2, "instruction": "rain", "language": "en", "sub_events": scenes}
    studio.engine.fields = {"shapes": ["distance"]}
    whole = await Studio.make(tmp_path / "whole")
    whole.engine.fields = {"shapes": ["distance"]}

    story = await studio.add("rain", given_plan=plan, tail_s=0.1)
    async with driving(studio), working(maker(studio)):
        await asyncio.wait_for(_settled(studio, story.id), PATIENCE_S)
    other = await whole.add("rain", given_plan=plan, tail_s=0.1)
    await whole.run(other.id)

    assert await _clip_keys(studio) == await _clip_keys(whole)
    shapes = {
        (layer.gain_db, layer.distance, request.shape)
        for request in studio.engine.made
        for layer in request.layers
    }
    assert shapes == {(None, 0.5, None)}
    await whole.store.database.close()


async def test_new_revision_of_an_engine_is_what_later_clips_are_asked_of(studio):
    first = await studio.add("rain", duration_s=2.0)
    await studio.run(first.id)
    studio.engine.revision = "2"
    second = await studio.add("rain", duration_s=2.0)
    await studio.run(second.id)

    assert len(await _clip_keys(studio)) == 2
    async with studio.store.database.read() as session:
        assert (await session.get_one(EngineOffer, "tone")).revision == "2"


async def _settled(studio: Studio, story_id: str) -> None:
    async def is_settled():
        run = await studio.latest_run(story_id)
        return run.state == RunState.FINISHED or run.waits_for == Wait.MIX_REVIEW

    await _until(is_settled)


async def _give_engine(studio: Studio, revision_id: int, name: str) -> None:
    """Let the last scene of a revision be made by another engine."""
    async with studio.store.database.write() as session:
        revision = await session.get_one(Revision, revision_id)
        (await session.get_one(SceneVersion, revision.scenes[-1])).engine = name


async def _approve(studio: Studio, story_id: str) -> None:
    async with studio.store.database.write() as session:
        run = await runs.lock(session, (await studio.latest_run(story_id)).id)
        await runs.approve(session, run, Wait.PLAN_REVIEW)
