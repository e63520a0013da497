"""A story whose planner asks a server: its scenes are events while the model writes."""

import asyncio

from api.revisions.service import reject
from tests.support.chat_clients import plan_text, planner_of, scene
from tests.support.chat_server import Reply, hosting

GOOD = plan_text(scene("Rain on a roof.", 4.0), scene("A dog barks.", 2.0))
SHORT = plan_text(scene("Snow falls.", 4.0))


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


async def test_rejected_plan_is_made_anew_by_a_model_that_is_told_why(studio):
    with hosting(Reply(GOOD), Reply(SHORT)) as host, planner_of(host) as planner:
        studio.planners["chat"] = planner
        story = await studio.add("Rain", planner="chat", duration_s=6.0, review=True)
        await studio.run(story.id)
        await reject(studio.store.database, story.id, "Snow, not rain")
        run = await studio.run(story.id)

    assert run.waits_for == "plan review"
    assert "- Snow, not rain" in host.asked[-1]["messages"][1]["content"]
    assert (await written(studio, story))[-1] == (1, "Snow falls.")
