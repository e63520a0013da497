from sqlalchemy import select

from storage.models import Clip, Run, Work, WorkState
from storage.stats import tally
from storage.verification import repair, verify
from tests.support.finished_stories import SAMPLES, TAIL, hear, shelve
from tests.support.postgres import ON_BOTH_DATABASES


@ON_BOTH_DATABASES
async def test_tallies_count_runs_clips_and_samples(studio):
    store = studio.store
    story = await shelve(store, "rain", "thunder", "wind")
    async with store.database.write() as session:
        clip = await session.get_one(Work, (story.clip_keys[0], "clip"))
        clip.state, clip.attempt = WorkState.FAILED, 3
        (await session.get_one(Clip, story.clip_keys[0])).file = None
        (await session.scalar(select(Run))).state = "parked"

    async with store.database.read() as session:
        found = await tally(session)

    assert found.runs == {"parked": 1}
    assert found.clips == {("tone", "finished"): 2, ("tone", "failed"): 1}
    assert found.samples == {"tone": 2 * SAMPLES + TAIL}
    assert found.failed_attempts == {"tone": 3}
    assert (found.oldest_clip_s, found.oldest_run_s, found.deliveries_due) == (0, 0, 0)


@ON_BOTH_DATABASES
async def test_damaged_clip_is_queued_on_either_database(studio):
    store = studio.store
    story = await shelve(store, "rain", "wind")
    assert await hear(store, story.id)
    async with store.database.read() as session:
        file = (await session.get_one(Clip, story.clip_keys[0])).file
    store.audio.path(file).write_bytes(b"damage")

    (damage,) = await verify(store.database, store.audio, story.id)

    assert await repair(store.database, store.audio, damage) == 1
    async with store.database.read() as session:
        queued = await session.get_one(Work, (story.clip_keys[0], "clip"))
    assert queued.state == WorkState.QUEUED
