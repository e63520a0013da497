import pytest

from storage import clips, runs, stories, work
from storage.errors import Clash
from storage.models import Run, RunState, WorkKind, WorkState
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES


async def test_second_active_run_of_a_story_is_refused(studio):
    story = await studio.add("rain")

    with pytest.raises(Clash):
        async with studio.store.database.write() as session:
            await stories.queue_run(session, story, review=False)


async def test_run_is_claimed_by_one_worker_until_its_lease_runs_out(studio):
    await studio.add("rain")
    async with studio.store.database.write() as session:
        first = await runs.claim(session, "a", -1.0)
    async with studio.store.database.write() as session:
        second = await runs.claim(session, "b", 60.0)
        third = await runs.claim(session, "c", 60.0)

    assert (first.owner, second.owner, third) == ("a", "b", None)
    async with studio.store.database.write() as session:
        assert not await runs.renew(session, first.id, "a", 60.0)
        assert await runs.renew(session, first.id, "b", 60.0)


async def test_run_that_lost_its_lease_can_neither_park_nor_finish(studio):
    story = await studio.add("rain")
    async with studio.store.database.write() as session:
        run = await runs.claim(session, "a", -1.0)
        await runs.claim(session, "b", 60.0)
    async with studio.store.database.write() as session:
        await runs.park(session, run.id, "a", "clips")
        await runs.finish(session, run.id, "a")

    assert (await studio.latest_run(story.id)).state == RunState.RUNNING


async def test_run_that_kills_its_workers_is_failed(studio):
    story = await studio.add("rain")
    for _ in range(runs.MAX_ATTEMPTS + 1):
        async with studio.store.database.write() as session:
            await runs.claim(session, "a", -1.0)

    run = await studio.latest_run(story.id)
    assert run.state == RunState.FAILED
    assert "workers died" in run.error


async def test_leases_of_a_dead_owner_end_at_once(studio):
    await studio.add("rain")
    async with studio.store.database.write() as session:
        await runs.claim(session, "dead", 3600.0)
        assert await runs.claim(session, "b", 60.0) is None
        await runs.release_owner(session, ["dead"])
        taken = await runs.claim(session, "b", 60.0)

    assert taken is not None
    async with studio.store.database.read() as session:
        assert (await session.get_one(Run, taken.id)).owner == "b"


async def test_retry_gives_a_run_and_its_unmade_clips_their_attempts_again(studio):
    story = await studio.add("rain")
    async with studio.store.database.write() as session:
        for _ in range(runs.MAX_ATTEMPTS):
            run = await runs.claim(session, "a", -1.0)
        for key in ("stale", "held", "failed"):
            await clips.want(session, run, key, "tone", "{}")
        for clip in await work.claim(session, "dead", -1.0, WorkKind.CLIP, ["tone"], 9):
            clip.attempt = work.MAX_ATTEMPTS
            clip.expires_at = 1e12 if clip.key == "held" else 0.0
            clip.state = WorkState.FAILED if clip.key == "failed" else clip.state

    async with studio.store.database.write() as session:
        await runs.retry(session, await runs.get(session, run.id))

    async with studio.store.database.write() as session:
        made = await work.list_by_key(session, WorkKind.CLIP, ["stale", "held", "failed"])
        assert {key: (clip.state, clip.attempt) for key, clip in made.items()} == {
            "stale": (WorkState.QUEUED, 0),
            "held": (WorkState.CLAIMED, work.MAX_ATTEMPTS),
            "failed": (WorkState.QUEUED, 0),
        }
        assert (await runs.claim(session, "b", 60.0)).story_id == story.id
