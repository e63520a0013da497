import pytest
from sqlalchemy import select, update

from storage import progress
from storage.errors import NotFound
from storage.models import Clip, ClipState, Run, SceneVersion, now_s
from tests.conftest import ON_BOTH_DATABASES

SCENE_S = 2.0


async def _measure(studio, story):
    async with studio.store.database.read() as session:
        return await progress.measure(session, story.id)


async def _made(studio, scenes=4):
    """Make a story; return it and the keys of its clips in order."""
    lines = "\n".join(f"rain {n}" for n in range(scenes))
    story = await studio.add(lines, duration_s=scenes * SCENE_S)
    await studio.run(story.id)
    async with studio.store.database.read() as session:
        keys = await session.scalars(
            select(SceneVersion.clip_key)
            .where(SceneVersion.story_id == story.id)
            .order_by(SceneVersion.id)
        )
        return story, list(keys)


async def _set(studio, keys, **values):
    async with studio.store.database.write() as session:
        await session.execute(update(Clip).where(Clip.key.in_(keys)).values(**values))


async def test_story_without_a_plan_has_no_clips_and_nobody_knows_how_long(studio):
    story = await studio.add("rain")

    told = await _measure(studio, story)

    assert told == progress.Progress(0, 0, 0, 0.0, 0, None, None, None)


async def test_progress_of_an_unknown_story_is_an_error(studio):
    async with studio.store.database.read() as session:
        with pytest.raises(NotFound):
            await progress.measure(session, "nosuch")


@ON_BOTH_DATABASES
async def test_share_counts_what_is_done_of_clips_in_the_making(studio):
    story, keys = await _made(studio)
    await _set(studio, keys, took_s=0.5)  # four times as fast as it sounds
    _, second, third, fourth = keys
    lease = {"state": ClipState.CLAIMED, "expires_at": now_s() + 60.0}
    await _set(studio, [second], owner="one", progress=0.5, took_s=None, **lease)
    await _set(studio, [third], owner="two", progress=None, took_s=None, **lease)
    await _set(studio, [fourth], state=ClipState.QUEUED, took_s=None)

    told = await _measure(studio, story)

    assert (told.clips_total, told.clips_finished, told.working) == (4, 1, 2)
    assert told.share == pytest.approx(1.5 / 4)
    assert told.working_share == pytest.approx(0.25)
    assert told.speed_x == pytest.approx(SCENE_S / 0.5)
    assert told.eta_s == pytest.approx(2.5 * SCENE_S / (told.speed_x * 2))


@ON_BOTH_DATABASES
async def test_finished_story_has_nothing_left(studio):
    story, _ = await _made(studio)

    told = await _measure(studio, story)

    assert (told.clips_total, told.clips_finished, told.share) == (4, 4, 1.0)
    assert (told.working, told.eta_s) == (0, 0.0)


async def test_nobody_knows_how_long_while_nobody_works(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[:1], state=ClipState.CLAIMED, owner="dead", progress=0.9, expires_at=1)
    await _set(studio, keys[1:2], state=ClipState.QUEUED)

    told = await _measure(studio, story)

    assert (told.working, told.eta_s) == (0, None)
    assert told.share == pytest.approx(0.5)


async def test_clips_made_together_count_as_one_worker(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[:1], took_s=1.0)
    lease = {"state": ClipState.CLAIMED, "expires_at": now_s() + 60.0}
    await _set(studio, keys[1:], owner="one", progress=0.0, took_s=None, **lease)

    told = await _measure(studio, story)

    assert told.working == 3
    assert told.eta_s == pytest.approx(3 * SCENE_S / told.speed_x)


async def test_failed_clips_are_told_and_not_waited_for(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[:1], state=ClipState.FAILED)

    told = await _measure(studio, story)

    assert (told.clips_failed, told.clips_finished) == (1, 3)
    assert told.share == pytest.approx(0.75)
    assert told.eta_s == 0.0


async def test_revision_counts_only_the_clips_that_its_own_run_makes(studio):
    story, keys = await _made(studio)
    async with studio.store.database.write() as session:
        await session.execute(update(Run).values(created_at=now_s() + 1.0))  # a later run
    await _set(studio, keys[:1], state=ClipState.QUEUED)

    told = await _measure(studio, story)

    assert (told.clips_total, told.clips_finished, told.share) == (1, 0, 0.0)
