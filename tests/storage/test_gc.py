import os

import pytest
from sqlalchemy import func, select

from storage import deletion, events
from storage.errors import Conflict, NotFound
from storage.gc import survey, sweep
from storage.models import (
    Clip,
    Condition,
    Mix,
    Revision,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    SegmentRow,
    Story,
    SubEvent,
    Take,
    Work,
    WorkState,
    WorkWant,
)
from tests.support.finished_stories import branch, hear, shelve
from tests.support.postgres import ON_BOTH_DATABASES

DAY_S = 86_400.0
pytestmark = ON_BOTH_DATABASES


@pytest.fixture
def store(studio):
    return studio.store


async def count(store, table):
    async with store.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table))


async def delete(store, story_id):
    async with store.database.write() as session:
        await deletion.delete_story(session, story_id)


def age_files(store):
    """Make every file in the store two days old."""
    for folder in (store.audio.folder, store.exports):
        for path in folder.rglob("*"):
            if path.is_file():
                then = path.stat().st_mtime - 2 * DAY_S
                os.utime(path, (then, then))


def names(store):
    return {name for name, _ in store.audio.find_names()}


async def survey_all(store):
    return await survey(store.database, store.audio, store.exports, DAY_S)


async def sweep_all(store):
    return await sweep(store.database, store.audio, store.exports, DAY_S)


async def test_sweep_keeps_everything_that_a_story_can_be_heard_as(store):
    story = await shelve(store, "rain", "thunder", "silence")
    age_files(store)
    before, heard = names(store), await hear(store, story.id)

    found = await sweep_all(store)

    assert (found.clips, found.segments, found.conditions, found.files) == ([], [], [], [])
    assert names(store) == before
    assert await hear(store, story.id) == heard


async def test_audio_of_a_deleted_story_goes_with_the_sweep_after_a_day(store):
    kept = await shelve(store, "rain", "thunder")
    gone = await shelve(store, "a dog barks", "a cat answers")
    await delete(store, gone.id)

    assert (await survey_all(store)).files == []
    age_files(store)
    foreseen = await survey_all(store)
    removed = await sweep_all(store)

    assert sorted(removed.clips) == sorted(set(gone.clip_keys))
    assert len(removed.segments) == 3
    assert len(removed.files) == 3
    assert (foreseen.clips, foreseen.segments) == (removed.clips, removed.segments)
    assert (foreseen.conditions, foreseen.files) == (removed.conditions, removed.files)
    assert foreseen.file_bytes == removed.file_bytes > 100_000
    assert len(names(store)) == 3
    assert await hear(store, kept.id)


async def test_survey_changes_nothing(store):
    gone = await shelve(store, "rain", "thunder")
    await delete(store, gone.id)
    age_files(store)
    before = names(store), await count(store, Clip), await count(store, SegmentRow)

    await survey_all(store)

    assert (names(store), await count(store, Clip), await count(store, SegmentRow)) == before


async def test_clip_that_only_an_old_take_names_is_kept(store):
    story = await shelve(store, "rain", "thunder")
    async with store.database.write() as session:
        stem = await session.get_one(SceneStem, (story.scene_ids[0], "composite"))
        stem.clip_key = story.clip_keys[1]
    age_files(store)

    removed = await sweep_all(store)

    assert removed.clips == []
    assert len(names(store)) == 3


async def test_clip_that_a_run_waits_for_is_kept(store):
    story, gone = await shelve(store, "rain"), await shelve(store, "thunder")
    await delete(store, gone.id)
    age_files(store)
    async with store.database.write() as session:
        run = await session.scalar(select(Run).where(Run.story_id == story.id))
        session.add(WorkWant(work_key=gone.clip_keys[0], work_kind="clip", run_id=run.id))

    assert (await sweep_all(store)).clips == []


@pytest.mark.parametrize("state", [WorkState.QUEUED, WorkState.CLAIMED])
async def test_clip_that_is_still_to_be_made_is_kept(store, state):
    gone = await shelve(store, "rain")
    await delete(store, gone.id)
    async with store.database.write() as session:
        (await session.get_one(Work, (gone.clip_keys[0], "clip"))).state = state
    age_files(store)

    assert (await sweep_all(store)).clips == []


async def test_segments_and_conditions_stay_while_a_worker_drives_a_run(store):
    story, gone = await shelve(store, "rain", "wind"), await shelve(store, "thunder", "hail")
    await delete(store, gone.id)
    age_files(store)
    async with store.database.write() as session:
        run = await session.scalar(select(Run).where(Run.story_id == story.id))
        run.state = RunState.RUNNING

    foreseen, removed = await survey_all(store), await sweep_all(store)

    assert foreseen.busy_runs == removed.busy_runs == 1
    assert foreseen.segments == removed.segments == []
    assert foreseen.files == removed.files == []
    assert await count(store, Condition) == 4


async def test_leftovers_and_old_exports_go_and_fresh_ones_stay(store):
    store.exports.mkdir()
    old = [store.audio.folder / "1.tmp", store.audio.folder / "2.part", store.exports / "a.flac"]
    for path in old:
        path.write_bytes(b"x")
    age_files(store)
    fresh = [store.audio.folder / "3.tmp", store.exports / "b.flac"]
    for path in fresh:
        path.write_bytes(b"x")

    removed = await sweep_all(store)

    assert sorted(removed.files) == sorted(old)
    assert all(path.exists() for path in fresh)
    assert (store.audio.folder / "store-id").exists()


async def test_file_that_is_made_again_between_survey_and_sweep_stays(store):
    name = store.audio.add(".flac", b"sound")
    age_files(store)
    foreseen = await survey_all(store)
    store.audio.add(".flac", b"sound")

    removed = await sweep_all(store)

    assert foreseen.files == [store.audio.path(name)]
    assert removed.files == []
    assert store.audio.is_whole(name)


async def test_deleted_story_leaves_no_row(store):
    story = await shelve(store, "rain", "thunder")

    await delete(store, story.id)

    for table in (Story, Revision, SceneVersion, Take, SubEvent, Mix, Run):
        assert await count(store, table) == 0
    async with store.database.read() as session:
        assert await events.list_after(session, story.id, 0) == []


async def test_deleted_story_leaves_its_scenes_and_takes_to_its_branch(store):
    story = await shelve(store, "rain", "thunder")
    heard = await hear(store, story.id)
    branched = await branch(store, story)

    await delete(store, story.id)
    age_files(store)
    await sweep_all(store)

    assert await hear(store, branched) == heard
    async with store.database.read() as session:
        scenes = list(await session.scalars(select(SceneVersion)))
        revision = await session.scalar(select(Revision).where(Revision.story_id == branched))
        assert (await session.get_one(Story, branched)).branched_from is None
    assert {scene.story_id for scene in scenes} == {branched}
    assert revision.scenes == story.scene_ids
    assert revision.parent_id is None
    assert await count(store, Take) == 2


async def test_deleted_branch_leaves_its_origin_whole(store):
    story = await shelve(store, "rain", "thunder")
    heard = await hear(store, story.id)

    await delete(store, await branch(store, story))

    assert await hear(store, story.id) == heard
    assert await count(store, Take) == 2


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.PARKED])
async def test_story_with_an_active_run_is_not_deleted(store, state):
    story = await shelve(store, "rain")
    async with store.database.write() as session:
        (await session.scalar(select(Run))).state = state

    with pytest.raises(Conflict, match="Cancel it first"):
        await delete(store, story.id)

    assert await hear(store, story.id)


async def test_story_that_does_not_exist_is_not_deleted(store):
    with pytest.raises(NotFound):
        await delete(store, "nothing")


async def test_queued_clips_that_only_a_deleted_story_wanted_are_withdrawn(store):
    story = await shelve(store, "rain")
    async with store.database.write() as session:
        run = await session.scalar(select(Run))
        run.state = RunState.FAILED
        clip = await session.get_one(Work, (story.clip_keys[0], "clip"))
        clip.state = WorkState.QUEUED
        session.add(WorkWant(work_key=clip.key, work_kind="clip", run_id=run.id))

    await delete(store, story.id)

    async with store.database.read() as session:
        withdrawn = await session.get_one(Work, (story.clip_keys[0], "clip"))
    assert withdrawn.state == WorkState.WITHDRAWN


async def test_work_on_conditions_is_swept_once_nobody_waits_for_it(store):
    story = await shelve(store, "rain")
    async with store.database.write() as session:
        run = await session.scalar(select(Run).where(Run.story_id == story.id))
        for key, state in (("wanted", "queued"), ("held", "claimed"), ("left", "withdrawn")):
            idle = {"attempt": 0, "priority": 0, "start_tag": 1, "queued_at": 1.0}
            session.add(Work(key=key, kind="condition", needs="tone", state=state, **idle))
        await session.flush()
        session.add(WorkWant(work_key="wanted", work_kind="condition", run_id=run.id))

    assert (await sweep_all(store)).clips == []

    async with store.database.read() as session:
        is_window = Work.kind == "condition"
        assert set(await session.scalars(select(Work.key).where(is_window))) == {"wanted", "held"}
