import asyncio
import json
import time
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from api.revisions.service import ask, cancel, resume
from audiostory_core.engines.protocol import Condition
from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.story.changes import Edits
from audiostory_core.story.edits import Reword
from nodes.interleave import interleave
from nodes.jobs.condition import FIRST_S, TURN_S, make_conditions
from nodes.plan import plan
from nodes.state import fresh_state
from storage import revisions, runs, stories, work
from storage.models import Condition as Row
from storage.models import RunState, SceneStem, Wait, Work, WorkKind, WorkState
from tests.support.author import tone_in_catalog
from tests.support.fakes import ToneEngine
from tests.support.postgres import ON_BOTH_DATABASES

PATIENCE_S = 60.0


@pytest.fixture
def tone():
    with tone_in_catalog():
        yield


@dataclass
class SlowEngine(ToneEngine):
    """Writes down which scenes it conditions; takes a while for each, and may fail."""

    scene_s: float = 0.0
    problem: Exception | None = None
    conditioned: list[int] = field(default_factory=list)

    def interleave(self, plan, places, known):
        made = dict(known)
        for place in places:
            if self.problem is not None:
                raise self.problem
            time.sleep(self.scene_s)
            self.conditioned.append(place)
            [part] = super().interleave(plan, [place], made)
            made |= part
            yield part


@pytest.fixture
def engine(studio):
    studio.engine = SlowEngine()
    return studio.engine


async def _waiting(studio, lines: int = 3):
    """A story whose run waits for its first window."""
    story = await studio.add("\n".join(f"scene {n}" for n in range(lines)), duration_s=2.0 * lines)
    await studio.offer()
    async with studio.store.database.write() as session:
        run = await runs.claim(session, "driver", 60.0, story.id)
    state = fresh_state(story.id, run.id)
    state |= await plan(state, studio.services)
    state |= await interleave(state, studio.services)
    assert state["waits_for"] == Wait.CONDITIONS
    async with studio.store.database.write() as session:
        await runs.park(session, run.id, "driver", Wait.CONDITIONS)
    return story, state


async def _claim(studio, owner: str = "a", lease_s: float = 60.0) -> list[Work]:
    async with studio.store.database.write() as session:
        return await work.claim(session, owner, lease_s, WorkKind.CONDITION, ["tone"])


async def _scenes(studio, story_id: str) -> list[SceneStem]:
    async with studio.store.database.read() as session:
        story = await stories.get(session, story_id)
        revision = await revisions.get(session, story.revision_id)
        stems = await revisions.list_stems(session, revision.scenes)
    return [stems[scene_id]["composite"] for scene_id in revision.scenes]


async def _windows(studio) -> list[Work]:
    async with studio.store.database.read() as session:
        return list(await session.scalars(select(Work).where(Work.kind == WorkKind.CONDITION)))


@ON_BOTH_DATABASES
async def test_conditions_are_stored_as_the_work_ends_and_the_run_goes_on(studio, engine):
    story, _ = await _waiting(studio)
    claimed = await _claim(studio)
    assert json.loads(claimed[0].request)["places"] == [0, 1, 2]

    assert await make_conditions(claimed, studio.services) == 1

    scenes = await _scenes(studio, story.id)
    async with studio.store.database.read() as session:
        stored = [json.loads((await session.get_one(Row, s.condition_id)).data) for s in scenes]
    assert [data["index"] for data in stored] == [0, 1, 2]
    assert [data["before"] for data in stored[1:]] == [s.condition_id for s in scenes[:2]]
    assert [scene.clip_key for scene in scenes] == [None, None, None]
    assert await _windows(studio) == []
    assert (await studio.latest_run(story.id)).state == RunState.QUEUED


async def test_what_takes_longer_than_a_moment_is_a_window_of_its_own(studio, engine):
    story, state = await _waiting(studio, lines=5)
    engine.scene_s = FIRST_S + 0.02
    await make_conditions(await _claim(studio), studio.services)
    assert engine.conditioned == [0]
    async with studio.store.database.write() as session:
        await runs.claim(session, "driver", 60.0, story.id)

    state |= await interleave(state, studio.services)

    assert state["cursor"] == 1
    queued = [scene.clip_key is not None for scene in await _scenes(studio, story.id)]
    assert queued == [True, False, False, False, False]
    [window] = await _claim(studio)
    assert json.loads(window.request)["places"] == [1, 2, 3, 4]
    engine.scene_s = 0.0
    assert await make_conditions([window], studio.services) == 1
    assert engine.conditioned == [0, 1, 2, 3, 4]


async def test_first_clips_are_made_while_later_scenes_are_conditioned(studio, engine):
    engine.scene_s = TURN_S + 0.02
    story = await studio.add("one\ntwo\nthree", duration_s=6.0)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)

    assert run.state == RunState.FINISHED
    assert engine.conditioned == [0, 1, 2]
    kinds = [event.kind for event in await studio.events(story.id)]
    assert kinds.index("clip.finished") < len(kinds) - 1 - kinds[::-1].index("clip.queued")


@ON_BOTH_DATABASES
async def test_owner_that_lost_its_window_stores_nothing(studio, engine):
    story, _ = await _waiting(studio)
    stale = await _claim(studio, "dead", lease_s=-1.0)
    taken = await _claim(studio, "alive")

    assert await make_conditions(stale, studio.services) == 0
    assert [scene.condition_id for scene in await _scenes(studio, story.id)] == [None] * 3
    assert await make_conditions(taken, studio.services) == 1
    conditions = [scene.condition_id for scene in await _scenes(studio, story.id)]
    assert None not in conditions
    assert await make_conditions(stale, studio.services) == 0
    assert [scene.condition_id for scene in await _scenes(studio, story.id)] == conditions


async def test_window_that_nobody_waits_for_any_more_is_withdrawn_undone(studio, engine):
    story, _ = await _waiting(studio)
    claimed = await _claim(studio)
    await cancel(studio.store.database, story.id)

    assert await make_conditions(claimed, studio.services) == 0

    assert engine.conditioned == []
    assert [window.state for window in await _windows(studio)] == [WorkState.WITHDRAWN]
    await resume(studio.store.database, story.id)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert (run.state, engine.conditioned) == (RunState.FINISHED, [0, 1, 2])


async def test_window_of_a_plan_that_was_changed_is_withdrawn(studio, engine, tone):
    story, _ = await _waiting(studio)
    claimed = await _claim(studio, "slow")
    reword = Edits(edits=(Reword(sub_event=2, caption="thunder"),))
    await ask(studio.store.database, story.id, reword)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert run.state == RunState.FINISHED, run.error

    assert await make_conditions(claimed, studio.services) == 0

    assert engine.conditioned == [0, 1, 2]
    assert [window.state for window in await _windows(studio)] == [WorkState.WITHDRAWN]
    assert sorted(request.caption for request in engine.made) == ["scene 0", "scene 2", "thunder"]


async def test_engine_that_cannot_condition_fails_the_run_in_words_and_is_tried_again(
    studio, engine
):
    engine.problem = EngineFailed("The bridge is out.")
    story = await studio.add("rain", duration_s=2.0)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert (run.state, run.error) == (RunState.FAILED, "The bridge is out.")
    assert not run.is_bad_input
    assert [window.attempt for window in await _windows(studio)] == [work.MAX_ATTEMPTS]

    engine.problem = None
    await resume(studio.store.database, story.id)
    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)
    assert (run.state, run.error) == (RunState.FINISHED, None)


async def test_story_that_does_not_fit_the_engine_fails_at_once_as_bad_input(studio, engine):
    engine.problem = BadInput("weights", "old", "are others", "Name those weights.")
    story = await studio.add("rain", duration_s=2.0)

    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)

    assert (run.state, run.is_bad_input) == (RunState.FAILED, True)
    assert run.error == "weights 'old': are others. Name those weights."
    assert [window.attempt for window in await _windows(studio)] == [1]


async def test_engine_that_makes_no_condition_is_no_endless_loop(studio):
    class Idle(ToneEngine):
        def interleave(self, plan, places, known):
            return iter(())

    studio.engine = Idle()
    story = await studio.add("rain", duration_s=2.0)

    run = await asyncio.wait_for(studio.run(story.id), PATIENCE_S)

    assert (run.state, run.error) == (RunState.FAILED, "The engine made no condition.")


async def test_tensors_are_a_file_before_a_row_names_them(studio):
    class Large(ToneEngine):
        def interleave(self, plan, places, known):
            for part in super().interleave(plan, places, known):
                yield {place: Condition(made.data, b"tensors") for place, made in part.items()}

    studio.engine = Large()
    await _waiting(studio, lines=1)
    await make_conditions(await _claim(studio), studio.services)

    async with studio.store.database.read() as session:
        [condition] = await session.scalars(select(Row))
    assert studio.store.audio.read(condition.file) == b"tensors"
