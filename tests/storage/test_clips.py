import pytest
from sqlalchemy import event

from storage import clips, runs, stories
from storage.models import Clip, ClipState, Run, RunState
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

LEASE_S = 60.0


@pytest.fixture
async def queued(studio):
    """Two stories whose first runs both want one clip."""
    wanting = [await studio.add("rain"), await studio.add("thunder")]
    run_ids = []
    async with studio.store.database.write() as session:
        for story in wanting:
            run = await stories.find_latest_run(session, story.id)
            await clips.want(session, run, "key", "tone", "{}")
            run_ids.append(run.id)
    return run_ids


async def _claim(studio, owner: str, lease_s: float = LEASE_S) -> list[Clip]:
    async with studio.store.database.write() as session:
        return await clips.claim(session, owner, lease_s, ["tone"], 4)


async def _complete(studio, clip: Clip) -> bool:
    async with studio.store.database.write() as session:
        return await clips.complete(
            session, clip, file="f", measures={}, engine_report={}, render_s=1.0
        )


async def test_clip_wanted_by_two_stories_is_queued_once(studio, queued):
    assert [clip.key for clip in await _claim(studio, "a")] == ["key"]
    assert await _claim(studio, "b") == []


async def test_clip_of_an_engine_that_is_not_here_is_left_alone(studio, queued):
    async with studio.store.database.write() as session:
        assert await clips.claim(session, "a", LEASE_S, ["other"], 4) == []


async def test_clip_whose_lease_ran_out_is_completed_by_its_new_owner_alone(studio, queued):
    (stale,) = await _claim(studio, "a", lease_s=-1.0)
    (taken,) = await _claim(studio, "b")

    assert not await _complete(studio, stale)
    assert await _complete(studio, taken)
    assert not await _complete(studio, taken)


async def test_owner_that_claims_again_cannot_complete_its_first_attempt(studio, queued):
    (first,) = await _claim(studio, "a", lease_s=-1.0)
    (second,) = await _claim(studio, "a")

    assert not await _complete(studio, first)
    assert await _complete(studio, second)


async def test_clip_that_fails_three_times_is_failed_for_good(studio, queued):
    for _ in range(clips.MAX_ATTEMPTS):
        (claimed,) = await _claim(studio, "a")
        async with studio.store.database.write() as session:
            await clips.fail(session, claimed, "no such sound")

    assert await _claim(studio, "a") == []
    async with studio.store.database.read() as session:
        clip = await session.get_one(Clip, "key")
    assert (clip.state, clip.error) == (ClipState.FAILED, "no such sound")


async def test_clip_whose_workers_die_three_times_is_failed_for_good(studio, queued):
    for _ in range(clips.MAX_ATTEMPTS):
        assert len(await _claim(studio, "a", lease_s=-1.0)) == 1

    assert await _claim(studio, "a") == []
    async with studio.store.database.read() as session:
        assert (await session.get_one(Clip, "key")).state == ClipState.FAILED


async def test_last_clip_wakes_every_run_that_waits_for_it(studio, queued):
    for run_id in queued:
        await _drive_to_park(studio, run_id)

    (claimed,) = await _claim(studio, "a")
    await _complete(studio, claimed)

    async with studio.store.database.read() as session:
        states = [(await session.get_one(Run, run_id)).state for run_id in queued]
    assert states == [RunState.QUEUED, RunState.QUEUED]


async def test_run_that_parks_after_its_last_clip_was_made_is_queued_at_once(studio, queued):
    (claimed,) = await _claim(studio, "a")
    await _complete(studio, claimed)

    await _drive_to_park(studio, queued[0])

    async with studio.store.database.read() as session:
        assert (await session.get_one(Run, queued[0])).state == RunState.QUEUED


async def _drive_to_park(studio, run_id: int) -> None:
    async with studio.store.database.write() as session:
        run = await session.get_one(Run, run_id)
        claimed = await runs.claim(session, "driver", LEASE_S, run.story_id)
        assert claimed is not None
    async with studio.store.database.write() as session:
        await runs.park(session, run_id, "driver", "clips")


async def test_clip_that_failed_before_is_claimed_alone(studio, queued):
    async with studio.store.database.write() as session:
        for key in ("key 2", "key 3"):
            await clips.want(session, await runs.get(session, queued[0]), key, "tone", "{}")
    batch = await _claim(studio, "a")
    async with studio.store.database.write() as session:
        for clip in batch:
            await clips.fail(session, clip, "one of them cannot be made")

    again = [await _claim(studio, "a") for _ in range(3)]

    assert sorted(clip.key for clip in batch) == ["key", "key 2", "key 3"]
    assert [len(claimed) for claimed in again] == [1, 1, 1]


async def test_clips_are_looked_for_in_the_index_of_open_ones(studio, queued):
    """However many are finished, an idle worker's look costs the same."""
    if studio.settings.database_url:
        pytest.skip("Postgres chooses by how many there are")
    statements = []
    listening = (studio.store.database._engine.sync_engine, "before_cursor_execute")
    event.listen(*listening, lambda *told: statements.append(told[2:4]))
    async with studio.store.database.read() as session:
        run = await session.get_one(Run, queued[0])
        for story_id in (None, run.story_id):
            statements.clear()
            await clips.has_claimable(session, ["tone"], story_id)
            statement, values = statements[0]
            connection = await session.connection()
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            assert "clip USING INDEX ix_clip_claimable" in "\n".join(row[3] for row in rows)


async def test_process_goes_on_beside_the_clip_it_made_or_at_its_share_of_the_rest(studio):
    story = await studio.add("rain")
    keys = [f"clip {number}" for number in range(1, 11)]
    async with studio.store.database.write() as session:
        run = await stories.find_latest_run(session, story.id)
        for key in keys:
            await clips.want(session, run, key, "tone", "{}")

    async def claim(tag: int | None, share: float) -> int:
        async with studio.store.database.write() as session:
            near = clips.Near(tag, share)
            [clip] = await clips.claim(session, "a", LEASE_S, ["tone"], 1, story.id, near)
        assert keys.index(clip.key) + first == clip.start_tag
        return clip.start_tag - first + 1

    async with studio.store.database.read() as session:
        listed = await clips.list_by_key(session, keys)
    first = min(clip.start_tag for clip in listed.values())

    def tag_of(number: int) -> int:
        return number + first - 1

    assert await claim(None, 0.0) == 1
    assert await claim(None, 0.5) == 6  # of 2 … 10
    assert await claim(tag_of(6), 0.5) == 7
    assert [await claim(tag_of(number), 0.0) for number in (1, 2, 3, 4)] == [2, 3, 4, 5]
    assert await claim(tag_of(5), 0.0) == 8  # the first that is left
    assert await claim(tag_of(7), 0.5) == 10  # of 9 and 10
    assert await claim(tag_of(10), 0.99) == 9
