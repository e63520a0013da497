"""An engine whose revision changes between the queueing of a clip and its making."""

import asyncio

import pytest
from sqlalchemy import select

from storage.models import Clip, RunState, Wait


@pytest.mark.parametrize("revision", ["1", "2"])
async def test_clip_by_another_revision_than_was_asked_for_is_made_and_says_so(studio, revision):
    story = await studio.add("rain", duration_s=2.0)
    fast, studio.engine.pause_s = studio.engine, 30.0

    async def waits_for(story):
        return (await studio.latest_run(story.id)).waits_for

    async with studio.worker(drain_s=0.0) as worker:
        working = asyncio.create_task(worker.work())
        while not fast.made or await waits_for(story) != Wait.CLIPS:  # noqa: ASYNC110 - its doing
            await asyncio.sleep(0.01)
        worker.stop()
        await working

    fast.pause_s, fast.revision = 0.0, revision
    run = await asyncio.wait_for(studio.run(story.id), 60.0)

    assert run.state == RunState.FINISHED
    async with studio.store.database.read() as session:
        [clip] = await session.scalars(select(Clip))
    expected = [] if revision == "1" else ["made by revision 2 of tone; queued for 1"]
    assert clip.engine_report["warnings"] == expected
