"""What goes wrong around a story: workers that fail, sleep past their lease, or meet bad files."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import delete

from api.exports.service import open_mix
from api.maintenance.repair import find_damaged, mend_seam, queue_mending
from audiostory_core.engines.protocol import UNWATCHED
from graph.racing import first_of
from nodes.errors import RunStopped
from nodes.interleave import interleave
from nodes.jobs.condition import make_conditions
from nodes.plan import plan
from nodes.rows import derive_seed
from nodes.state import fresh_state
from storage import revisions, runs, stories, work
from storage.errors import StoreUnusable
from storage.models import Clip, Mix, RunState, SegmentRow, Wait, WorkKind
from tests.support.failed_clips import list_failed
from tests.support.postgres import ON_BOTH_DATABASES


class BrokenEngine(Exception):
    """Nothing that anybody foresaw."""


async def test_error_of_a_run_ends_the_renewal_of_its_lease(studio):
    renewals = []

    async def renew():
        while True:
            renewals.append(1)
            await asyncio.sleep(0.001)

    async def fail():
        await asyncio.sleep(0.01)
        raise BrokenEngine

    with pytest.raises(BrokenEngine):
        await first_of(fail(), renew())
    count = len(renewals)
    await asyncio.sleep(0.02)

    assert count == len(renewals)


async def test_error_while_a_lease_is_renewed_ends_the_work(studio):
    async def fail():
        raise BrokenEngine

    with pytest.raises(BrokenEngine):
        await first_of(asyncio.sleep(60), fail())


async def test_unforeseen_error_of_an_engine_ends_the_worker_and_its_leases(studio):
    class Engine(type(studio.engine)):
        def synthesize(self, requests, watch=UNWATCHED):
            raise BrokenEngine

    story = await studio.add("rain")
    working, studio.engine = studio.engine, Engine()
    with pytest.raises(BrokenEngine):
        await asyncio.wait_for(studio.run(story.id), 60)
    assert not list(studio.store.workers.iterdir())

    studio.engine = working
    run = await asyncio.wait_for(studio.run(story.id), 60)
    assert run.state == RunState.FINISHED


async def test_two_workers_that_plan_one_run_store_one_revision(studio):
    story = await studio.add("rain\nthunder")
    run = await studio.latest_run(story.id)
    state = fresh_state(story.id, run.id)
    await studio.offer()

    first, second = await asyncio.gather(plan(state, studio.services), plan(state, studio.services))

    assert len(studio.planner.planned) == 2
    assert first == second
    kinds = [event.kind for event in await studio.events(story.id)]
    assert kinds.count("plan.ready") == 1


async def test_worker_that_wakes_late_does_not_undo_a_re_roll(studio):
    story = await studio.add("nan hiss")
    studio.engine.bad_seeds = frozenset({derive_seed(story.seed, 0)})
    run = await _claimed_run(studio)
    state = fresh_state(story.id, run.id)
    await studio.offer()
    state |= await plan(state, studio.services)
    assert (await interleave(state, studio.services))["waits_for"] == Wait.CONDITIONS
    async with studio.store.database.write() as session:
        late_work = await work.claim(session, "late", -1.0, WorkKind.CONDITION, ["tone"])
        await runs.give_up(session, "driver")
    conditioned = asyncio.Event()
    late = studio.services

    class Engine(type(studio.engine)):
        """Sleeps in the middle of the job until the story is finished elsewhere."""

        def interleave(self, plan, places, known):
            loop.call_soon_threadsafe(conditioned.set)
            asyncio.run_coroutine_threadsafe(finished.wait(), loop).result(20)
            return studio.engine.interleave(plan, places, known)

    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    late.engines = {"tone": Engine()}
    sleeping = asyncio.create_task(make_conditions(late_work, late))
    await conditioned.wait()
    assert (await studio.run(story.id)).state == RunState.FINISHED
    before = await _scenes(studio, story.id)
    finished.set()
    assert await sleeping == 0

    after = await _scenes(studio, story.id)
    assert [scene.rerolls for scene in after] == [1]
    assert [scene.clip_key for scene in after] == [scene.clip_key for scene in before]


async def test_driver_that_wakes_late_queues_nothing(studio):
    story = await studio.add("rain")
    state = fresh_state(story.id, (await studio.latest_run(story.id)).id)
    await studio.offer()
    state |= await plan(state, studio.services)
    assert (await studio.run(story.id)).state == RunState.FINISHED
    async with studio.store.database.write() as session:
        [scene] = await revisions.list_scenes(session, await _revision(session, story.id))
        heard = await revisions.get_stem(session, scene.id, "composite")
        (await session.get_one(Clip, heard.clip_key)).file = None

    with pytest.raises(RunStopped):
        await interleave(state, studio.services)


async def _claimed_run(studio):
    async with studio.store.database.write() as session:
        return await runs.claim(session, "driver", 60.0)


async def _revision(session, story_id):
    return await revisions.get(session, (await stories.get(session, story_id)).revision_id)


async def _scenes(studio, story_id):
    async with studio.store.database.read() as session:
        story = await stories.get(session, story_id)
        revision = await revisions.get(session, story.revision_id)
        stems = await revisions.list_stems(session, revision.scenes)
    return [stems[scene_id]["composite"] for scene_id in revision.scenes]


@pytest.mark.parametrize("harm", ["deleted", "garbage", "truncated", "torn"])
async def test_damaged_checkpoints_are_rebuilt_from_sql(studio, harm):
    story = await studio.add("rain\nthunder\nbirds", review=True)
    await studio.run(story.id)
    file = studio.settings.checkpoint_file
    content = file.read_bytes()
    if harm == "deleted":
        file.unlink()
    else:
        middle = len(content) // 2
        torn = content[:4096] + bytes(range(256)) * (middle // 256) + content[4096 + middle :]
        harmed = {"garbage": b"not a database" * 999, "truncated": content[:5000], "torn": torn}
        file.write_bytes(harmed[harm])
    async with studio.store.database.write() as session:
        await runs.approve(session, await runs.get(session, 1), "plan review")

    run = await asyncio.wait_for(studio.run(story.id), 20)

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert len(studio.planner.planned) == 1
    numbers = [event.number for event in await studio.events(story.id)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_checkpoint_file_that_cannot_be_opened_is_explained(studio):
    studio.settings.checkpoint_file.mkdir()

    with pytest.raises(StoreUnusable, match=r"checkpoints\.db cannot be used: unable to open"):
        async with studio.worker():
            pass


@pytest.mark.parametrize("harm", ["deleted", "emptied", "cut short"])
async def test_lost_files_are_made_again_before_they_are_mixed(studio, harm):
    first = await studio.add("rain\nthunder\nbirds")
    await studio.run(first.id)
    before = await _mix(studio, first.id)
    files = [path for path in studio.store.audio.folder.rglob("*.*") if path.is_file()]
    assert {path.suffix for path in files} == {".flac", ".au"}
    for file in files:
        if harm == "deleted":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[: 0 if harm == "emptied" else 5000])
    async with studio.store.database.write() as session:
        await session.execute(delete(Mix))
        if harm != "deleted":  # what was measured before is not read again
            await session.execute(delete(SegmentRow))
        await stories.queue_run(session, await stories.get(session, first.id), review=False)

    run = await asyncio.wait_for(studio.run(first.id), 20)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    assert await _mix(studio, first.id) == before


async def test_clip_whose_file_is_lost_each_time_is_brought_before_the_author(studio):
    story = await studio.add("rain")
    add = studio.store.audio.add
    studio.store.audio.add = lambda suffix, content: _add_and_lose(studio, add, suffix, content)

    run = await asyncio.wait_for(studio.run(story.id), 20)

    assert (run.state, run.waits_for) == (RunState.PARKED, Wait.CLIP_REVIEW)
    async with studio.store.database.read() as session:
        [failed] = await list_failed(session)
    assert "lost or damaged each time" in failed.error
    assert len(studio.engine.made) == work.MAX_ATTEMPTS


def _add_and_lose(studio, add, suffix, content):
    name = add(suffix, content)
    studio.store.audio.path(name).unlink()
    return name


@pytest.mark.parametrize("review", [False, True])
async def test_mix_whose_files_are_damaged_is_mended_and_kept(studio, review):
    story = await studio.add("rain\nthunder\nbirds", review=review)
    await _run_to_its_mix(studio, story.id, review=review)
    before, row = await _mix(studio, story.id), await _row(studio, story.id)
    flac, *_ = studio.store.audio.folder.glob("??/*.flac")
    au, *_ = studio.store.audio.folder.glob("??/*.au")
    flac.write_bytes(flac.read_bytes()[:5000])
    au.write_bytes(bytes(au.stat().st_size))
    assert await find_damaged(studio.store, story.id) == {
        flac.name: "damaged",
        au.name: "damaged",
    }

    await queue_mending(studio.store, story.id)
    run = await asyncio.wait_for(studio.run(story.id), 20)

    waits = (RunState.PARKED, "mix review") if review else (RunState.FINISHED, None)
    assert (run.state, run.waits_for) == waits
    assert await find_damaged(studio.store, story.id) == {}
    assert await _mix(studio, story.id) == before
    assert (await _row(studio, story.id)).created_at == row.created_at
    lost = [event for event in await studio.events(story.id) if event.kind == "clip.damaged"]
    assert [event.data["problem"] for event in lost] == ["damaged"]
    assert flac.with_name(f"{flac.name}.damaged").exists()


@pytest.mark.parametrize("review", [False, True])
async def test_clip_that_sounds_different_when_it_is_made_again_gets_a_mix_of_its_own(
    studio, review
):
    story = await studio.add("rain\nthunder\nbirds", review=review)
    await _run_to_its_mix(studio, story.id, review=review)
    before, row = await _mix(studio, story.id), await _row(studio, story.id)
    flac, *_ = studio.store.audio.folder.glob("??/*.flac")
    flac.unlink()

    class Upgraded(type(studio.engine)):
        def synthesize(self, requests, watch=UNWATCHED):
            return [
                replace(result, waveform=result.waveform * 0.9)
                for result in super().synthesize(requests, watch)
            ]

    studio.engine = Upgraded()
    await queue_mending(studio.store, story.id)
    run = await asyncio.wait_for(studio.run(story.id), 20)

    waits = (RunState.PARKED, "mix review") if review else (RunState.FINISHED, None)
    assert (run.state, run.waits_for) == waits
    assert await find_damaged(studio.store, story.id) == {}
    after = await _row(studio, story.id)
    assert sum(new != old for new, old in zip(after.segments, row.segments, strict=True)) in (2, 3)
    assert after.is_accepted is not review
    assert len(studio.engine.made) == 1
    assert await _mix(studio, story.id) != before


@ON_BOTH_DATABASES
async def test_seam_is_mended_by_its_file_alone_and_a_clip_is_not(studio):
    first = await studio.add("rain\nthunder\nbirds")
    await studio.run(first.id)
    other = await studio.add("hail\nwind")
    await studio.run(other.id)
    folder = studio.store.audio.folder
    whole = {path: path.read_bytes() for path in folder.glob("??/*.*")}
    for seam in folder.glob("??/*.au"):
        seam.write_bytes(bytes(100))
        assert await mend_seam(studio.store, seam.name)
    flac, *_ = folder.glob("??/*.flac")

    assert {path: path.read_bytes() for path in whole} == whole
    assert not await mend_seam(studio.store, flac.name)
    assert not await mend_seam(studio.store, f"{'0' * 64}.au")
    assert flac.exists()


async def _run_to_its_mix(studio, story_id, *, review):
    run = await studio.run(story_id)
    if review:
        async with studio.store.database.write() as session:
            await runs.approve(session, await runs.get(session, run.id), "plan review")
        run = await studio.run(story_id)
        assert run.waits_for == "mix review"


async def _row(studio, story_id):
    async with studio.store.database.read() as session:
        story = await stories.get(session, story_id)
        return await revisions.find_mix(session, story.revision_id)


async def _mix(studio, story_id):
    async with studio.store.database.read() as session:
        mix = await open_mix(session, studio.store.audio, story_id)
    with mix:
        return mix.read(0, mix.samples).tobytes()
