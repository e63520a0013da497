"""plan: the instruction becomes ordered sub-events, each with a seed of its own."""

import asyncio
from dataclasses import replace

from nodes.offers import list_offers
from nodes.planning import event_notifier, make_plan
from nodes.rows import new_revision
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import load_run, turn_to
from storage import revisions, stories


async def plan(state: StoryState, services: Services) -> StateUpdate:
    """Plan the story and store the plan as its first revision; a stored plan is kept."""
    async with services.database.read() as session:
        story = await stories.get(session, state["story_id"])
        run = await load_run(session, state)
        offers = await list_offers(session)
    if run.revision_id is None:
        notify = event_notifier(run, services)
        planned = await asyncio.to_thread(make_plan, story, services, offers, on_sub_event=notify)
        content = await asyncio.to_thread(new_revision, planned, story, offers)
        scenes = await revisions.store_scenes(services.database, story.id, content.scenes)
        async with services.database.write() as session:
            await revisions.add(session, run.id, None, replace(content, scenes=scenes))
    return await turn_to(state, services)
