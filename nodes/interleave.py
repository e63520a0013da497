"""interleave: in order, each sub-event's condition is made from what came before, then stored.

The condition, the clip's key and the queued clip are one transaction, so that workers may start
on the first scenes while later ones are still being conditioned. Scenes whose clips are made, as
most are when one is revised, are passed over at once.
"""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.engines.protocol import Condition
from nodes.clip_request import describe, key_of
from nodes.errors import RunStopped
from nodes.plan import is_changed
from nodes.services import Planned, Services
from nodes.state import StateUpdate, StoryState
from storage import clips, events, revisions, runs, takes
from storage.models import ClipState, RunState


async def interleave(state: StoryState, services: Services) -> StateUpdate:
    """Condition the next sub-event whose clip is not made, and queue it; what is stored is kept."""
    planned = await services.planned(state["revision_id"])
    async with services.database.read() as session:
        index = await _next_unmade(session, planned, state["cursor"])
        run = await runs.get(session, state["run_id"])
        if index is None or is_changed(state, run):  # synthesize goes back for the change
            return {"cursor": len(planned.scene_ids)}
        scene = await revisions.get_scene(session, planned.scene_ids[index])
    condition = None
    if scene.condition_id is None:
        before = await _condition_before(planned, index, services)
        engine = services.engine(scene.engine or planned.engine)
        condition = await asyncio.to_thread(engine.interleave, planned.plan, index, before)
    if await _queue(state, planned, index, condition, services):
        return {"cursor": index + 1}
    return {"cursor": len(planned.scene_ids)}  # synthesize goes back for what the author wants


async def _next_unmade(session: AsyncSession, planned: Planned, cursor: int) -> int | None:
    """Return the place of the first scene from the cursor on whose clip is not made."""
    rest = planned.scene_ids[cursor:]
    here = await revisions.find_unmade(session, rest[:1])
    if here is None and len(rest) > 1:
        here = await revisions.find_unmade(session, rest)
    return None if here is None else cursor + here


async def _queue(
    state: StoryState,
    planned: Planned,
    index: int,
    condition: Condition | None,
    services: Services,
) -> bool:
    """Queue a scene's clip; False if the author wants something else meanwhile."""
    async with services.database.write() as session:
        run = await runs.get(session, state["run_id"])
        if run.state != RunState.RUNNING:
            raise RunStopped
        if is_changed(state, run):
            return False
        scene = await revisions.get_scene(session, planned.scene_ids[index])
        if scene.clip_key is not None:
            await clips.want_again(session, run, scene.clip_key)
            return True
        if condition is not None and scene.condition_id is None:
            await revisions.add_condition(session, condition.id, condition.data)
            scene.condition_id = condition.id
        condition_id = scene.condition_id or ""
        name = scene.engine or planned.engine
        capabilities = services.engine(name).capabilities
        request = describe(planned, index, scene, condition_id, capabilities)
        scene.clip_key = key_of(request)
        await session.flush()
        clip = await clips.want(session, run, scene.clip_key, name, request)
        take = await takes.add(session, scene, scene.clip_key, takes.MADE)
        kind = "clip.finished" if clip.state == ClipState.FINISHED else "clip.queued"
        await events.append(
            session,
            state["story_id"],
            kind,
            scene=scene.sub_event_id,
            take=take.number,
            clip=scene.clip_key,
        )
        return True


async def _condition_before(planned: Planned, index: int, services: Services) -> Condition | None:
    if index == 0:
        return None
    async with services.database.read() as session:
        scene = await revisions.get_scene(session, planned.scene_ids[index - 1])
        if scene.condition_id is None:
            return None
        stored = await revisions.get_condition(session, scene.condition_id)
    return Condition(stored.data)
