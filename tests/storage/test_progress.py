import asyncio

import pytest
from sqlalchemy import delete, select, update

from storage import progress
from storage.errors import NotFound
from storage.models import (
    Clip,
    Mix,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    Story,
    Work,
    WorkState,
    now_s,
)
from tests.support.postgres import ON_BOTH_DATABASES

SCENE_S = 2.0


async def _measure(studio, story, before=None):
    async with studio.store.database.read() as session:
        return await progress.measure(session, story.id, before)


async def _made(studio, scenes=4):
    """Make a story; return it and the keys of its clips in order."""
    lines = "\n".join(f"rain {n}" for n in range(scenes))
    story = await studio.add(lines, duration_s=scenes * SCENE_S)
    await studio.run(story.id)
    async with studio.store.database.read() as session:
        keys = await session.scalars(
            select(SceneStem.clip_key)
            .join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
            .where(SceneVersion.story_id == story.id)
            .order_by(SceneVersion.id)
        )
        return story, list(keys)


async def _set_run(studio, story, **values):
    async with studio.store.database.write() as session:
        await session.execute(update(Run).where(Run.story_id == story.id).values(**values))


async def _forget_mix(studio):
    async with studio.store.database.write() as session:
        await session.execute(delete(Mix))


async def _set(studio, keys, **values):
    async with studio.store.database.write() as session:
        of_clip = {name: values.pop(name) for name in values.keys() & {"render_s", "finished_at"}}
        if values.get("state", WorkState.FINISHED) != WorkState.FINISHED:
            of_clip["file"] = None
        for table, columns in ((Clip, of_clip), (Work, values)):
            if columns:
                await session.execute(update(table).where(table.key.in_(keys)).values(**columns))


async def test_story_without_a_plan_has_no_clips_and_nobody_knows_how_long(studio):
    story = await studio.add("rain")

    told = await _measure(studio, story)

    assert told == progress.Progress(0, 0, 0, 0.0, 0, None, None, None, run=1)


async def test_progress_of_an_unknown_story_is_an_error(studio):
    async with studio.store.database.read() as session:
        with pytest.raises(NotFound):
            await progress.measure(session, "nosuch")


@ON_BOTH_DATABASES
async def test_share_counts_what_is_done_of_clips_in_the_making(studio):
    story, keys = await _made(studio)
    await _set(studio, keys, render_s=0.5)  # four times as fast as it sounds
    _, second, third, fourth = keys
    lease = {"state": WorkState.CLAIMED, "expires_at": now_s() + 60.0}
    await _set(studio, [second], owner="one", progress=0.5, render_s=None, **lease)
    await _set(studio, [third], owner="two", progress=None, render_s=None, **lease)
    await _set(studio, [fourth], state=WorkState.QUEUED, render_s=None)

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
    await _set(studio, keys[:1], state=WorkState.CLAIMED, owner="dead", progress=0.9, expires_at=1)
    await _set(studio, keys[1:2], state=WorkState.QUEUED)
    await _set(studio, keys[2:], finished_at=now_s() - 2 * progress.PATIENCE_S)

    told = await _measure(studio, story)

    assert (told.working, told.eta_s) == (0, None)
    assert told.share == pytest.approx(0.5)


async def test_clips_made_together_count_as_one_worker(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[:1], render_s=1.0)
    lease = {"state": WorkState.CLAIMED, "expires_at": now_s() + 60.0}
    await _set(studio, keys[1:], owner="one", progress=0.0, render_s=None, **lease)

    told = await _measure(studio, story)

    assert told.working == 3
    assert told.eta_s == pytest.approx(3 * SCENE_S / told.speed_x)


async def test_failed_clips_are_told_and_not_waited_for(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[:1], state=WorkState.FAILED)

    told = await _measure(studio, story)

    assert (told.clips_failed, told.clips_finished) == (1, 3)
    assert told.share == pytest.approx(0.75)
    assert told.eta_s == 0.0


async def test_revision_counts_only_the_clips_that_its_own_run_makes(studio):
    story, keys = await _made(studio)
    async with studio.store.database.write() as session:
        await session.execute(update(Run).values(created_at=now_s() + 1.0))  # a later run
    await _set(studio, keys[:1], state=WorkState.QUEUED)

    told = await _measure(studio, story)

    assert (told.clips_total, told.clips_finished, told.share) == (1, 0, 0.0)


@ON_BOTH_DATABASES
async def test_story_is_not_done_while_it_is_mixed(studio):
    story, keys = await _made(studio)
    await _forget_mix(studio)
    await _set_run(studio, story, state=RunState.RUNNING)
    ended = now_s() - 5.0
    await _set(studio, keys, queued_at=ended - 80.0, finished_at=ended)

    told = await _measure(studio, story)  # 20 s of mixing after 80 s of clips, where none is known

    assert told.share == pytest.approx(0.8 + 0.2 * 5 / 20, abs=0.02)
    assert told.eta_s == pytest.approx(15.0, abs=2.0)
    await _set(studio, keys, queued_at=ended - 180.0, finished_at=ended - 100.0)
    told = await _measure(studio, story)
    assert 0.98 < told.share < 1.0
    assert 0.0 < told.eta_s < 1.0


@ON_BOTH_DATABASES
async def test_mixing_counts_as_it_was_measured_of_earlier_stories(studio):
    _, keys = await _made(studio, scenes=3)
    began = 1_000_000.0
    await _set(studio, keys, queued_at=began, finished_at=began + 60.0, render_s=20.0)
    async with studio.store.database.write() as session:
        await session.execute(update(Mix).values(created_at=began + 90.0))
        await session.execute(update(Story).values(created_at=began - 1.0))
    story = await studio.add("wind\nhail", duration_s=2 * SCENE_S)
    await studio.run(story.id)
    await _set_run(studio, story, state=RunState.RUNNING)
    async with studio.store.database.write() as session:
        keys = list(
            await session.scalars(
                select(SceneStem.clip_key)
                .join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
                .where(SceneVersion.story_id == story.id)
            )
        )
        await session.execute(delete(Mix).where(Mix.created_at > began + 100.0))
    await _set(studio, keys[1:], state=WorkState.QUEUED)

    told = await _measure(studio, story)

    assert told.share == pytest.approx(0.5 * 60 / 90)
    assert told.eta_s > 30 * 2 / 3  # of three scenes it took 30 s; of two it takes 20 s


async def test_pace_is_that_of_all_who_make_clips_and_known_between_two(studio):
    story, keys = await _made(studio)
    now = now_s()
    await _set(studio, keys[:3], render_s=3.0, queued_at=now - 4.0, finished_at=now - 1.0)
    await _set(studio, keys[3:], state=WorkState.QUEUED, render_s=None)

    told = await _measure(studio, story)

    assert told.speed_x == pytest.approx(SCENE_S / 3.0)
    assert told.working == 0
    assert told.eta_s == pytest.approx(SCENE_S / (3 * SCENE_S / 3.0), rel=0.05)


async def test_share_does_not_fall_within_a_run(studio):
    story, keys = await _made(studio)
    await _set(studio, keys[2:], state=WorkState.QUEUED)
    before = await _measure(studio, story)
    await _set(studio, keys[1:], state=WorkState.QUEUED)  # as where the check asks for another

    assert (await _measure(studio, story)).share == pytest.approx(0.25)
    assert (await _measure(studio, story, before)).share == before.share
    await _set_run(studio, story, number=2)
    assert (await _measure(studio, story, before)).share == pytest.approx(0.25)


async def test_story_is_whole_only_when_it_is_finished_and_its_end_is_known_from_the_first_clip(
    studio,
):
    studio.engine.pause_s = 0.2
    story = await studio.add("\n".join(f"hail {n}" for n in range(6)), duration_s=12.0)
    working = asyncio.create_task(studio.run(story.id))
    seen = []
    while not working.done():
        await asyncio.sleep(0.02)
        told = await _measure(studio, story, seen[-1][0] if seen else None)
        seen.append((told, (await studio.latest_run(story.id)).state))
    told = await _measure(studio, story)

    shares = [each.share for each, _ in seen]
    assert shares == sorted(shares)
    assert len(set(shares)) > 4
    assert all(each.share < 1.0 for each, state in seen if state != RunState.FINISHED)
    first = next(at for at, (each, _) in enumerate(seen) if each.clips_finished)
    assert all(each.eta_s is not None for each, _ in seen[first:])
    assert (told.share, told.eta_s) == (1.0, 0.0)
