"""A story whose planner asks a server: its scenes are events while the model writes."""

import asyncio
import json

from api.revisions.service import reject
from tests.support.chat_clients import plan_text, planner_of, scene
from tests.support.chat_server import Reply, hosting

GOOD = plan_text(scene("Rain on a roof.", 4.0), scene("A dog barks.", 2.0))


async def written(studio, story):
    told = [event for event in await studio.events(story.id) if event.kind == "scene.written"]
    return [(event.data["place"], event.data["caption"]) for event in told]


async def test_scenes_are_events_before_the_plan_is_ready(studio):
    with hosting(Reply(GOOD)) as host, planner_of(host) as planner:
        studio.planners["chat"] = planner
        story = await studio.add("Rain, then a dog", planner="chat", duration_s=6.0)
        run = await studio.run(story.id)

    kinds = [event.kind for event in await studio.events(story.id)]
    assert run.state == "finished"
    assert kinds.index("scene.written") < kinds.index("plan.ready")
    assert await written(studio, story) == [(1, "Rain on a roof."), (2, "A dog barks.")]


async def test_scene_is_an_event_while_the_model_still_writes(studio):
    slow = Reply(GOOD, pieces=20, pause_s=0.1)

    with hosting(slow) as host, planner_of(host) as planner:
        studio.planners["chat"] = planner
        story = await studio.add("Rain, then a dog", planner="chat", duration_s=6.0)
        running = asyncio.create_task(studio.run(story.id))
        told = []
        while not told:
            await asyncio.sleep(0.01)
            told = await written(studio, story)
        kinds = {event.kind for event in await studio.events(story.id)}
        await running

    assert "plan.ready" not in kinds


REMARK = "Let it feel like a Monday"  # no word of which the grammar has
EDIT = {"op": "reword", "sub_event": 1, "caption": "Rain on an office window."}


async def rejected(studio, *edits):
    """Return the run after a remark that the model answers so, captions, refusals and requests."""
    replies = (Reply(GOOD), Reply(json.dumps({"edits": edits})))
    with hosting(*replies) as host, planner_of(host) as planner:
        studio.planners["chat"] = planner
        story = await studio.add("Rain", planner="chat", duration_s=6.0, review=True)
        await studio.run(story.id)
        await reject(studio.store.database, story.id, REMARK)
        run = await studio.run(story.id)
    planned = await studio.services.planned(story.id, run.revision_id)
    refusals = [event.data for event in await studio.events(story.id) if "refused" in event.kind]
    return run, [event.caption for event in planned.plan.sub_events], refusals, host.asked


async def test_rejected_plan_is_changed_by_the_edits_of_the_model(studio):
    run, captions, refusals, requests = await rejected(studio, EDIT)

    assert (run.waits_for, refusals) == ("plan review", [])
    assert captions == ["Rain on an office window.", "A dog barks."]
    assert f"The author says of the story: {REMARK}" in requests[-1]["messages"][1]["content"]


async def test_rejection_that_no_edits_can_do_is_refused_and_keeps_the_plan(studio):
    run, captions, refusals, requests = await rejected(studio)

    assert run.waits_for == "plan review"
    assert captions == ["Rain on a roof.", "A dog barks."]
    assert "the model knows no edits that do it" in json.dumps(refusals)
    assert len(requests) == 2
