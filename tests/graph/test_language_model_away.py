"""A language model that does not answer: its stories wait and go on, the others never wait."""

import asyncio
from dataclasses import dataclass, field

import pytest

from audiostory_core.errors import LanguageModelAway
from storage.models import RunState
from tests.support.fakes import LinePlanner, ToneEngine
from tests.support.studio import Studio

AWAY = LanguageModelAway("http://127.0.0.1:1", "cannot be reached")
TIMES = 5  # more than a run may be attempted


@dataclass
class Outage:
    """Away for so many calls."""

    left: int = TIMES
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        if self.left:
            self.left -= 1
            raise AWAY


class AwayPlanner(LinePlanner):
    def plan(self, brief):
        self.outage.ask()
        return super().plan(brief)


class AwayEngine(ToneEngine):
    def interleave(self, plan, places, known):
        self.outage.ask()
        yield from super().interleave(plan, places, known)


async def work(studio: Studio, *story_ids: str) -> None:
    async with studio.worker(retry_s=0.01) as worker:
        working = asyncio.create_task(worker.work())
        for story_id in story_ids:
            await asyncio.wait_for(studio.settle(story_id), 60)
        worker.stop()
        await working


async def kinds(studio, story_id):
    return [event.kind for event in await studio.events(story_id)]


@pytest.mark.parametrize("step", ["plan", "interleave"])
async def test_run_is_given_back_uncounted_until_the_model_answers(studio, step):
    part = AwayPlanner() if step == "plan" else AwayEngine()
    part.outage = Outage()
    if step == "plan":
        studio.planner = part
    else:
        studio.engine = part
    story = await studio.add("one\ntwo", duration_s=4.0)
    await work(studio, story.id)

    run = await studio.latest_run(story.id)
    assert (run.state, run.error) == (RunState.FINISHED, None)
    assert part.outage.left == 0
    told = [event for event in await studio.events(story.id) if event.kind == "llm.waiting"]
    assert [event.data["problem"] for event in told] == [str(AWAY)]
    assert len(studio.planner.planned) == 1
    assert sorted(request.caption for request in studio.engine.made) == ["one", "two"]


async def test_second_outage_of_a_story_is_told_again(studio):
    studio.planner, studio.engine = AwayPlanner(), AwayEngine()
    studio.planner.outage, studio.engine.outage = Outage(2), Outage(2)
    story = await studio.add("one\ntwo", duration_s=4.0)
    await work(studio, story.id)

    assert (await kinds(studio, story.id)).count("llm.waiting") == 2


async def test_other_stories_are_made_meanwhile(studio):
    away = AwayPlanner()
    away.outage = Outage(1_000_000)
    studio.planners["away"] = away
    waiting = await studio.add("never", duration_s=2.0, planner="away", idempotency_key="a")
    others = [
        await studio.add(f"scene {n}", duration_s=2.0, idempotency_key=f"b{n}") for n in range(3)
    ]
    await work(studio, *(story.id for story in others))

    run = await studio.latest_run(waiting.id)
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert (await kinds(studio, waiting.id)).count("llm.waiting") == 1
    for story in others:
        assert (await studio.latest_run(story.id)).state == RunState.FINISHED
