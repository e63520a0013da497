"""interleave: in order, each sub-event's condition is made from what came before, then stored.

The condition, the clip's key and the queued clip are one transaction, so that workers may start
on the first scenes while later ones are still being conditioned.
"""

import asyncio

from audiostory_core.engines.protocol import Condition
from nodes.clip_request import describe, key_of
from nodes.services import Planned, Services
from nodes.state import StateUpdate, StoryState
from storage import clips, events, stories
from storage.models import ClipState


async def interleave(state: StoryState, services: Services) -> StateUpdate:
    """Condition the sub-event at the cursor and queue its clip; what is stored is kept."""
    planned = await services.planned(state["revision_id"])
    engine = services.engine(planned.engine)
    index = state["cursor"]
    async with services.database.read() as session:
        scene = await stories.get_scene(session, planned.scene_ids[index])
    condition = None
    if scene.condition_id is None:
        before = await _condition_before(planned, index, services)
        condition = await asyncio.to_thread(engine.interleave, planned.plan, index, before)

    async with services.database.write() as session:
        scene = await stories.get_scene(session, scene.id)
        if condition is not None and scene.condition_id is None:
            await stories.add_condition(session, condition.id, condition.data)
            request = describe(planned, index, scene.seed, condition.id, engine.capabilities)
            scene.condition_id = condition.id
            scene.clip_key = key_of(request)
            key = scene.clip_key
            clip = await clips.want(session, state["run_id"], key, planned.engine, request)
            is_made = clip.state == ClipState.FINISHED
            kind = "clip.finished" if is_made else "clip.queued"
            await events.append(session, state["story_id"], kind, scene=scene.id, clip=key)
        elif scene.clip_key is not None:
            await clips.want_again(session, state["run_id"], scene.clip_key)
    return {"cursor": index + 1}


async def _condition_before(planned: Planned, index: int, services: Services) -> Condition | None:
    if index == 0:
        return None
    async with services.database.read() as session:
        scene = await stories.get_scene(session, planned.scene_ids[index - 1])
        if scene.condition_id is None:
            return None
        stored = await stories.get_condition(session, scene.condition_id)
    return Condition(stored.data)
