import pytest
from sqlalchemy import event

from storage import clips, runs, stories, wants, work
from storage.models import Run, RunState, Wait, Work, WorkKind, WorkState
from storage.wants import Wanted
from storage.work import Near
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

LEASE_S = 60.0
FOR = {WorkKind.CLIP: Wait.CLIPS, WorkKind.CONDITION: Wait.CONDITIONS}
OF_EITHER_KIND = pytest.mark.parametrize("kind", list(FOR))


@pytest.fixture
async def run_ids(studio):
    """The first runs of two stories."""
    wanting = [await studio.add("rain"), await studio.add("thunder")]
    return [(await studio.latest_run(story.id)).id for story in wanting]


async def _want(studio, run_id: int, kind: WorkKind, *keys: str, needs: str = "tone") -> None:
    async with studio.store.database.write() as session:
        run = await runs.get(session, run_id)
        await wants.want_all(session, run, kind, [Wanted(key, needs, "{}") for key in keys])


async def _claim(
    studio, owner: str, kind: WorkKind, lease_s: float = LEASE_S, most: int = 4
) -> list[Work]:
    async with studio.store.database.write() as session:
        return await work.claim(session, owner, lease_s, kind, ["tone"], most)


async def _finish(studio, claimed: Work) -> bool:
    async with studio.store.database.write() as session:
        return await work.finish(session, claimed)


async def _get(studio, kind: WorkKind, key: str = "key") -> Work:
    async with studio.store.database.read() as session:
        return await session.get_one(Work, (key, kind))


async def _states(studio, run_ids: list[int]) -> list[str]:
    async with studio.store.database.read() as session:
        return [(await session.get_one(Run, run_id)).state for run_id in run_ids]


async def _drive_to_park(studio, run_id: int, wait: Wait) -> None:
    async with studio.store.database.write() as session:
        run = await session.get_one(Run, run_id)
        assert await runs.claim(session, "driver", LEASE_S, run.story_id) is not None
    async with studio.store.database.write() as session:
        await runs.park(session, run_id, "driver", wait)


@OF_EITHER_KIND
async def test_work_wanted_by_two_stories_is_queued_once(studio, run_ids, kind):
    for run_id in run_ids:
        await _want(studio, run_id, kind, "key")

    assert [claimed.key for claimed in await _claim(studio, "a", kind)] == ["key"]
    assert await _claim(studio, "b", kind) == []


async def test_kinds_have_a_queue_each_and_keys_of_their_own(studio, run_ids):
    for kind in WorkKind:
        await _want(studio, run_ids[0], kind, "key")

    for kind in WorkKind:
        (claimed,) = await _claim(studio, "a", kind)
        assert (claimed.key, claimed.kind) == ("key", kind)
        assert await _finish(studio, claimed)
    assert {(await _get(studio, kind)).state for kind in WorkKind} == {WorkState.FINISHED}


@OF_EITHER_KIND
async def test_work_that_needs_what_is_not_here_is_left_alone(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")

    async with studio.store.database.write() as session:
        assert await work.claim(session, "a", LEASE_S, kind, ["other"], 4) == []
        assert await work.claim(session, "a", LEASE_S, kind, [], 4) == []


@OF_EITHER_KIND
async def test_work_whose_lease_ran_out_is_finished_by_its_new_owner_alone(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")
    (stale,) = await _claim(studio, "a", kind, lease_s=-1.0)
    (taken,) = await _claim(studio, "b", kind)

    assert not await _finish(studio, stale)
    assert await _finish(studio, taken)
    assert not await _finish(studio, taken)


@OF_EITHER_KIND
async def test_owner_that_claims_again_cannot_finish_its_first_attempt(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")
    (first,) = await _claim(studio, "a", kind, lease_s=-1.0)
    (second,) = await _claim(studio, "a", kind)

    assert not await _finish(studio, first)
    assert await _finish(studio, second)


async def test_lease_is_renewed_by_its_owner_alone(studio, run_ids):
    await _want(studio, run_ids[0], WorkKind.CLIP, "key")
    (stale,) = await _claim(studio, "a", WorkKind.CLIP, lease_s=-1.0)
    (taken,) = await _claim(studio, "b", WorkKind.CLIP, lease_s=-1.0)

    async with studio.store.database.write() as session:
        await work.renew(session, [stale], 1000.0)
    assert (await _get(studio, WorkKind.CLIP)).expires_at == taken.expires_at
    async with studio.store.database.write() as session:
        await work.renew(session, [taken], 1000.0)
    assert (await _get(studio, WorkKind.CLIP)).expires_at > taken.expires_at + 900.0


@OF_EITHER_KIND
async def test_work_that_fails_three_times_is_failed_for_good(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")
    await _drive_to_park(studio, run_ids[0], FOR[kind])
    for _ in range(work.MAX_ATTEMPTS):
        (claimed,) = await _claim(studio, "a", kind)
        async with studio.store.database.write() as session:
            await work.fail(session, claimed, "no such sound")

    assert await _claim(studio, "a", kind) == []
    failed = await _get(studio, kind)
    assert (failed.state, failed.error) == (WorkState.FAILED, "no such sound")
    assert await _states(studio, run_ids[:1]) == [RunState.QUEUED]


async def test_bad_input_fails_work_at_once_and_a_retry_forgets_it(studio, run_ids):
    await _want(studio, run_ids[0], WorkKind.CONDITION, "key")
    (claimed,) = await _claim(studio, "a", WorkKind.CONDITION)
    async with studio.store.database.write() as session:
        await work.fail(session, claimed, "scene 1 is too long", is_bad_input=True)

    failed = await _get(studio, WorkKind.CONDITION)
    assert (failed.state, failed.is_bad_input) == (WorkState.FAILED, True)
    async with studio.store.database.write() as session:
        await runs.retry(session, await runs.get(session, run_ids[0]))
    queued = await _get(studio, WorkKind.CONDITION)
    assert (queued.state, queued.is_bad_input, queued.error) == (WorkState.QUEUED, False, None)


@OF_EITHER_KIND
async def test_work_whose_workers_die_three_times_is_failed_for_good(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")
    for _ in range(work.MAX_ATTEMPTS):
        assert len(await _claim(studio, "a", kind, lease_s=-1.0)) == 1

    assert await _claim(studio, "a", kind) == []
    assert (await _get(studio, kind)).state == WorkState.FAILED


@OF_EITHER_KIND
async def test_last_work_wakes_every_run_that_waits_for_it(studio, run_ids, kind):
    for run_id in run_ids:
        await _want(studio, run_id, kind, "key")
        await _drive_to_park(studio, run_id, FOR[kind])
    assert await _states(studio, run_ids) == [RunState.PARKED, RunState.PARKED]

    (claimed,) = await _claim(studio, "a", kind)
    await _finish(studio, claimed)

    assert await _states(studio, run_ids) == [RunState.QUEUED, RunState.QUEUED]


async def test_run_that_waits_for_conditions_does_not_wait_for_clips(studio, run_ids):
    for kind in WorkKind:
        await _want(studio, run_ids[0], kind, "key")
    await _drive_to_park(studio, run_ids[0], Wait.CONDITIONS)

    (claimed,) = await _claim(studio, "a", WorkKind.CONDITION)
    await _finish(studio, claimed)

    assert await _states(studio, run_ids[:1]) == [RunState.QUEUED]


@OF_EITHER_KIND
async def test_run_that_parks_after_its_last_work_was_done_is_queued_at_once(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key")
    (claimed,) = await _claim(studio, "a", kind)
    await _finish(studio, claimed)

    await _drive_to_park(studio, run_ids[0], FOR[kind])

    assert await _states(studio, run_ids[:1]) == [RunState.QUEUED]


@pytest.mark.parametrize("is_parked_first", [True, False])
async def test_run_that_goes_on_with_conditions_is_not_told_of_as_started_anew(
    studio, run_ids, is_parked_first
):
    await _want(studio, run_ids[0], WorkKind.CONDITION, "key")
    (claimed,) = await _claim(studio, "a", WorkKind.CONDITION)
    if is_parked_first:
        await _drive_to_park(studio, run_ids[0], Wait.CONDITIONS)
    await _finish(studio, claimed)
    if not is_parked_first:
        await _drive_to_park(studio, run_ids[0], Wait.CONDITIONS)
    async with studio.store.database.write() as session:
        run = await runs.get(session, run_ids[0])
        assert await runs.claim(session, "driver", LEASE_S, run.story_id) is not None

    kinds = [happened.kind for happened in await studio.events(run.story_id)]
    assert kinds.count("run.started") == 1
    assert "run.parked" not in kinds


@OF_EITHER_KIND
async def test_work_that_failed_before_is_claimed_alone(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "key", "key 2", "key 3")
    batch = await _claim(studio, "a", kind)
    async with studio.store.database.write() as session:
        for claimed in batch:
            await work.fail(session, claimed, "one of them cannot be made")

    again = [await _claim(studio, "a", kind) for _ in range(3)]

    assert sorted(claimed.key for claimed in batch) == ["key", "key 2", "key 3"]
    assert [len(claimed) for claimed in again] == [1, 1, 1]


@OF_EITHER_KIND
async def test_stories_take_turns_and_priority_comes_first(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "a 1", "a 2", "a 3")
    await _want(studio, run_ids[1], kind, "b 1", "b 2")
    urgent = await studio.add("now", priority=5)
    await _want(studio, (await studio.latest_run(urgent.id)).id, kind, "now")

    order = [(await _claim(studio, "w", kind, most=1))[0].key for _ in range(6)]

    assert order == ["now", "a 1", "b 1", "a 2", "b 2", "a 3"]


@OF_EITHER_KIND
async def test_what_a_cancelled_run_alone_wanted_is_withdrawn_and_queued_again(
    studio, run_ids, kind
):
    await _want(studio, run_ids[0], kind, "own", "shared")
    await _want(studio, run_ids[1], kind, "shared")
    async with studio.store.database.write() as session:
        await runs.cancel(session, await runs.get(session, run_ids[0]))

    assert (await _get(studio, kind, "own")).state == WorkState.WITHDRAWN
    assert [claimed.key for claimed in await _claim(studio, "a", kind)] == ["shared"]
    await _want(studio, run_ids[1], kind, "own")
    assert (await _get(studio, kind, "own")).state == WorkState.QUEUED


@OF_EITHER_KIND
async def test_work_given_back_is_queued_uncounted_if_it_is_wanted(studio, run_ids, kind):
    await _want(studio, run_ids[0], kind, "own")
    await _want(studio, run_ids[1], kind, "other")
    claimed = await _claim(studio, "a", kind)
    async with studio.store.database.write() as session:
        await runs.cancel(session, await runs.get(session, run_ids[0]))
        assert not await wants.has_interest(session, [it for it in claimed if it.key == "own"])
        await work.give_back(session, claimed)

    stands = {key: await _get(studio, kind, key) for key in ("own", "other")}
    assert {key: (it.state, it.attempt, it.owner) for key, it in stands.items()} == {
        "own": (WorkState.WITHDRAWN, 0, None),
        "other": (WorkState.QUEUED, 0, None),
    }


async def test_owner_gives_up_one_kind_and_keeps_the_other(studio, run_ids):
    for kind in WorkKind:
        await _want(studio, run_ids[0], kind, "key")
        await _claim(studio, "me", kind)
    story_id = (await _run(studio, run_ids[0])).story_id
    async with studio.store.database.write() as session:
        assert await work.give_up(session, "another", WorkKind.CLIP) == []
        assert await work.give_up(session, "me", WorkKind.CONDITION) == [story_id]

    assert (await _get(studio, WorkKind.CONDITION)).state == WorkState.QUEUED
    assert (await _get(studio, WorkKind.CLIP)).state == WorkState.CLAIMED


async def _run(studio, run_id: int) -> Run:
    async with studio.store.database.read() as session:
        return await session.get_one(Run, run_id)


async def test_work_is_looked_for_in_the_index_of_what_is_open(studio, run_ids):
    """However much is finished, an idle worker's look costs the same."""
    if studio.settings.database_url:
        pytest.skip("Postgres chooses by how many there are")
    await _want(studio, run_ids[0], WorkKind.CLIP, "key")
    statements = []
    needs = {kind: ["tone"] for kind in WorkKind}
    listening = (studio.store.database._engine.sync_engine, "before_cursor_execute")
    event.listen(*listening, lambda *told: statements.append(told[2:4]))
    async with studio.store.database.read() as session:
        run = await session.get_one(Run, run_ids[0])
        for story_id in (None, run.story_id):
            statements.clear()
            claimable = await work.list_claimable(session, needs, story_id)
            assert claimable == {WorkKind.CLIP}
            statement, values = statements[0]
            connection = await session.connection()
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = "\n".join(row[3] for row in rows)
            assert plan.count("work USING INDEX ix_work_claimable") == len(WorkKind)


async def test_process_goes_on_beside_the_clip_it_made_or_at_its_share_of_the_rest(studio):
    story = await studio.add("rain")
    keys = [f"clip {number}" for number in range(1, 11)]
    async with studio.store.database.write() as session:
        run = await stories.find_latest_run(session, story.id)
        for key in keys:
            await clips.want(session, run, key, "tone", "{}")

    async def claim(tag: int | None, share: float) -> int:
        async with studio.store.database.write() as session:
            near = Near(tag, share)
            [clip] = await work.claim(
                session, "a", LEASE_S, WorkKind.CLIP, ["tone"], 1, story.id, near
            )
        assert keys.index(clip.key) + first == clip.start_tag
        return clip.start_tag - first + 1

    async with studio.store.database.read() as session:
        listed = await work.list_by_key(session, WorkKind.CLIP, keys)
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
