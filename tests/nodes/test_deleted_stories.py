"""A story is deleted while somebody still knows of it; SQLite gives the ids of its rows again."""

import asyncio

import pytest

from api.revisions.service import cancel
from nodes.errors import RunStopped
from nodes.interleave import interleave
from nodes.plan import plan
from nodes.state import fresh_state
from storage.deletion import delete_story
from storage.models import RunState

PATIENCE_S = 60.0


async def _delete(studio, story_id):
    async with studio.store.database.write() as session:
        await delete_story(session, story_id)


async def test_story_after_a_deleted_one_is_made_as_its_own_plan_says(studio):
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        first = await studio.add("rain\nthunder", duration_s=4.0)
        await asyncio.wait_for(studio.settle(first.id), PATIENCE_S)
        run, made = await studio.latest_run(first.id), len(studio.engine.made)
        await _delete(studio, first.id)
        second = await studio.add("a bell\na horn", duration_s=4.0)
        await asyncio.wait_for(studio.settle(second.id), PATIENCE_S)
        worker.stop()
        await working

    again = await studio.latest_run(second.id)
    assert (again.id, again.revision_id) == (run.id, run.revision_id)  # or this would test nothing
    assert again.state == RunState.FINISHED
    captions = [request.caption for request in studio.engine.made[made:]]
    assert sorted(captions) == ["a bell", "a horn"]


@pytest.mark.parametrize("is_another_there", [False, True])
async def test_step_of_a_story_that_was_deleted_stops(studio, is_another_there):
    story = await studio.add("rain", duration_s=2.0)
    run = await studio.latest_run(story.id)
    await studio.offer()
    state = fresh_state(story.id, run.id)
    state |= await plan(state, studio.services)
    await cancel(studio.store.database, story.id)
    await _delete(studio, story.id)
    if is_another_there:
        other = await studio.add("a bell", duration_s=2.0)
        other_run = await studio.latest_run(other.id)
        await plan(fresh_state(other.id, other_run.id), studio.services)

    with pytest.raises(RunStopped):
        await interleave(state, studio.services)
