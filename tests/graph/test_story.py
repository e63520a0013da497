import asyncio
import json

import numpy as np
import pytest

from api.exports.service import open_mix
from api.stories.queries import list_degradations, view_scenes
from graph.drive import RECURSION_LIMIT
from nodes import segments, stitch
from nodes.rows import derive_seed
from storage import revisions, runs, stories
from storage.models import RunState, Wait
from tests.support.failed_clips import list_failed


async def _mix(studio, story_id: str) -> np.ndarray:
    async with studio.store.database.read() as session:
        mix = await open_mix(session, studio.store.audio, story_id)
    with mix:
        return mix.read(0, mix.samples)


async def _scenes(studio, story_id: str):
    async with studio.store.database.read() as session:
        story = await stories.get(session, story_id)
        revision = await revisions.get(session, story.revision_id)
        return await view_scenes(session, revision)


@pytest.mark.parametrize("duration_s", [1.0, 1.500011, 10.0])
@pytest.mark.parametrize("tail_s", [0.0, 1.0, 3.0])
async def test_story_becomes_a_mix_of_exactly_the_planned_length(studio, duration_s, tail_s):
    story = await studio.add("rain\nthunder", duration_s=duration_s, tail_s=tail_s)

    run = await studio.run(story.id)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    mix = await _mix(studio, story.id)
    assert mix.shape == (2, round(duration_s * 44_100))
    assert np.isfinite(mix).all()


async def test_jobs_of_clips_leave_nothing_to_render_to_the_step(studio, monkeypatch):
    rendered = []

    def render(piece, services):
        rendered.append(piece)
        return segments.render(piece, services)

    monkeypatch.setattr(stitch, "render", render)
    story = await studio.add("rain\nthunder\nbirds", duration_s=9.0, tail_s=1.0)

    await studio.run(story.id)

    assert rendered == []
    assert (await _mix(studio, story.id)).shape == (2, 9 * 44_100)


async def test_every_clip_but_the_last_is_rendered_with_a_tail(studio):
    story = await studio.add("rain\nthunder\nbirds", duration_s=9.0, tail_s=1.0)

    await studio.run(story.id)

    made = {request.caption: request.samples for request in studio.engine.made}
    assert made == {"rain": 4 * 44_100, "thunder": 4 * 44_100, "birds": 3 * 44_100}


async def test_condition_of_a_scene_is_made_from_the_one_before_it(studio):
    story = await studio.add("rain\nthunder\nbirds")

    await studio.run(story.id)

    conditions = {r.caption: r.condition for r in studio.engine.made}
    told = [json.loads(conditions[caption].data) for caption in ("rain", "thunder", "birds")]
    assert [entry["index"] for entry in told] == [0, 1, 2]
    assert told[0]["before"] is None
    assert told[2]["before"] == conditions["thunder"].id


async def test_seeds_follow_from_the_story_and_the_order_of_planning(studio):
    story = await studio.add("rain\nrain", seed=99)

    await studio.run(story.id)

    seeds = [scene.seed for scene in await _scenes(studio, story.id)]
    assert seeds == [derive_seed(99, 0), derive_seed(99, 1)]


async def test_equal_stories_share_their_clips(studio):
    first = await studio.add("rain\nthunder")
    await studio.run(first.id)
    second = await studio.add("rain\nthunder")

    await studio.run(second.id)

    assert len(studio.engine.made) == 2
    assert np.array_equal(await _mix(studio, first.id), await _mix(studio, second.id))


async def test_clip_that_fails_its_check_is_made_again_from_another_seed(studio):
    story = await studio.add("rain\nnan hiss")
    first_seed = derive_seed(story.seed, 1)
    studio.engine.bad_seeds = frozenset({first_seed, derive_seed(first_seed, 1)})

    run = await studio.run(story.id)

    scenes = await _scenes(studio, story.id)
    assert run.state == RunState.FINISHED
    assert [scene.rerolls for scene in scenes] == [0, 2]
    assert list_degradations(scenes) == []
    assert [r.seed for r in studio.engine.made if r.caption == "nan hiss"] == [
        first_seed,
        derive_seed(first_seed, 1),
        derive_seed(first_seed, 2),
    ]


@pytest.mark.parametrize(
    ("caption", "flag"),
    [
        ("nan", "not numbers"),
        ("silent", "silent where sound is expected"),
        ("loud", "clipped"),
        ("short", "wrong length"),
    ],
)
async def test_clip_that_always_fails_its_check_is_flagged_and_the_story_goes_on(
    studio, caption, flag
):
    story = await studio.add(f"rain\n{caption}\nbirds", duration_s=6.0)

    run = await studio.run(story.id)

    scenes = await _scenes(studio, story.id)
    assert run.state == RunState.FINISHED
    assert [bool(scene.flags) for scene in scenes] == [False, True, False]
    assert flag in scenes[1].flags[0]
    assert sum(r.caption == caption for r in studio.engine.made) == 3
    assert (await _mix(studio, story.id)).shape == (2, 6 * 44_100)


async def test_clip_that_cannot_be_made_waits_for_the_author_and_resume_tries_again(studio):
    story = await studio.add("rain\nfails")
    run = await studio.run(story.id)
    assert (run.state, run.waits_for) == (RunState.PARKED, Wait.CLIP_REVIEW)
    async with studio.store.database.read() as session:
        [failed] = await list_failed(session)
    assert "cannot make 'fails'" in failed.error
    assert sum(r.caption == "rain" for r in studio.engine.made) == 1

    studio.engine.made.clear()
    async with studio.store.database.write() as session:
        await runs.retry(session, await stories.find_latest_run(session, story.id))
    await studio.run(story.id)

    assert [r.caption for r in studio.engine.made] == ["fails"] * 3


async def test_story_with_review_parks_after_the_plan_and_after_the_mix(studio):
    story = await studio.add("rain\nthunder", review=True)

    run = await studio.run(story.id)
    assert (run.state, run.waits_for) == (RunState.PARKED, "plan review")
    assert studio.engine.made == []
    await _approve(studio, story.id)
    run = await studio.run(story.id)
    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    await _approve(studio, story.id)
    run = await studio.run(story.id)

    assert run.state == RunState.FINISHED
    assert len(studio.engine.made) == 2
    assert len(studio.planner.planned) == 1


async def test_run_without_its_checkpoints_is_rebuilt_from_sql(studio):
    story = await studio.add("rain\nthunder", review=True)
    await studio.run(story.id)
    await _approve(studio, story.id)
    await studio.run(story.id)
    for file in studio.settings.home.glob("checkpoints.db*"):
        file.unlink()
    await _approve(studio, story.id)

    run = await studio.run(story.id)

    assert run.state == RunState.FINISHED
    assert len(studio.engine.made) == 2
    assert len(studio.planner.planned) == 1


async def test_finished_run_leaves_no_checkpoint(studio):
    story = await studio.add("rain\nthunder")
    await studio.run(story.id)

    async with studio.worker() as worker:
        config = {"configurable": {"thread_id": f"story:{story.id}:run:1"}}
        snapshot = await worker.graph.aget_state(config)
        worker.presence.close()
    assert not snapshot.values


async def test_story_longer_than_langgraphs_own_limit_of_steps_fits(studio):
    assert RECURSION_LIMIT > 10_007

    story = await studio.add("\n".join(f"rain {n}" for n in range(120)), duration_s=60.0)
    run = await studio.run(story.id)

    assert run.state == RunState.FINISHED
    assert (await _mix(studio, story.id)).shape == (2, 60 * 44_100)


async def test_two_workers_make_every_clip_of_many_stories_once(studio):
    names = [await studio.add(f"rain {n}\nthunder {n}") for n in range(6)]
    async with studio.worker() as first, studio.worker() as second:
        working = [asyncio.create_task(worker.work()) for worker in (first, second)]
        for story in names:
            await studio.settle(story.id)
        first.stop()
        second.stop()
        await asyncio.gather(*working)

    captions = [request.caption for request in studio.engine.made]
    assert len(captions) == len(set(captions)) == 12


async def test_every_change_is_an_event_in_order(studio):
    story = await studio.add("rain\nthunder")

    await studio.run(story.id)

    kinds = [event.kind for event in await studio.events(story.id)]
    assert kinds[:4] == ["story.created", "run.queued", "run.started", "plan.ready"]
    assert kinds[-3:] == ["mix.ready", "mix.accepted", "run.finished"]
    assert kinds.count("clip.queued") == kinds.count("clip.finished") == 2


async def _approve(studio, story_id: str) -> None:
    async with studio.store.database.write() as session:
        run = await stories.find_latest_run(session, story_id)
        await runs.approve(session, run, run.waits_for)
