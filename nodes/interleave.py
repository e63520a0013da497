"""interleave: in order, each sub-event's condition is made from what came before, then stored.

A turn takes as many sub-events as are conditioned within a moment. Their conditions, the clips'
keys and the queued clips are one transaction, so that workers may start on the first scenes while
later ones are still being conditioned. Scenes whose clips are made, as most are when one is
revised, are passed over at once.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile

from audiostory_core.engines.protocol import Condition
from nodes.clip_request import describe, key_of
from nodes.errors import RunStopped
from nodes.services import LoadedRevision, Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import is_changed
from storage import clips, events, revisions, runs, takes
from storage.clips import Wanted
from storage.models import ClipState, RunState, SceneVersion, TakeOrigin

MAX_A_TURN = 36  # sub-events, three windows of a language model
TURN_S = 0.25  # no further part is begun after so long; a language model reads one a turn


async def interleave(state: StoryState, services: Services) -> StateUpdate:
    """Condition the next sub-events whose clips are not made, and queue them; keep what is stored."""
    planned = await services.planned(state["revision_id"])
    cursor = state["cursor"]
    done: StateUpdate = {"cursor": len(planned.scene_ids)}
    async with services.database.read() as session:
        run = await runs.get(session, state["run_id"])
        if is_changed(state, run):  # synthesize goes back for the change
            return done
        ahead = planned.scene_ids[cursor : cursor + MAX_A_TURN]
        unmade = await revisions.list_unmade(session, ahead, MAX_A_TURN)
        if not unmade:
            ahead = planned.scene_ids[cursor:]
            unmade = await revisions.list_unmade(session, ahead, MAX_A_TURN)
        if not unmade:
            return done
        places = [cursor + place for place in unmade]
        near = range(max(places[0] - 1, 0), min(places[-1] + 2, len(planned.scene_ids)))
        needed = [at for at in near if {at - 1, at, at + 1} & set(places)]
        stored = await revisions.list_conditions(
            session, [planned.scene_ids[place] for place in needed]
        )
    scenes = {place: stored[planned.scene_ids[place]] for place in needed}
    engines = {place: scene.engine or planned.engine for place, scene in scenes.items()}
    known = {
        place: Condition(scene.data) for place, scene in scenes.items() if scene.data is not None
    }
    made = await asyncio.to_thread(_condition, planned, places, engines, known, services)
    files = await asyncio.to_thread(_keep_tensors, made, services)
    if await _queue(state, planned, made, files, services):
        return {"cursor": max(made) + 1}
    return done


def _condition(
    planned: LoadedRevision,
    places: Sequence[int],
    engines: Mapping[int, str],
    known: Mapping[int, Condition],
    services: Services,
) -> dict[int, Condition]:
    """Return the conditions of the first of the sub-events, by place, at least of one."""
    conditions = dict(known)
    started = time.monotonic()
    passed: list[int] = []  # places whose conditions are there
    for name, group in groupby(places, key=engines.__getitem__):
        of_engine = list(group)
        lacking = [place for place in of_engine if place not in conditions]
        own = {place: made for place, made in conditions.items() if engines[place] == name}
        for part in (
            services.engine(name).interleave(planned.heard, lacking, own) if lacking else ()
        ):
            conditions |= part
            if time.monotonic() - started > TURN_S:
                break
        passed += takewhile(conditions.__contains__, of_engine)
        if of_engine[-1] not in conditions or time.monotonic() - started > TURN_S:
            break
    return {place: conditions[place] for place in passed}


def _keep_tensors(made: Mapping[int, Condition], services: Services) -> dict[str, str]:
    """Write the tensors of new conditions; return their content names by condition."""
    return {
        condition.id: services.audio.add(".safetensors", condition.tensors)
        for condition in made.values()
        if condition.tensors is not None
    }


async def _queue(
    state: StoryState,
    planned: LoadedRevision,
    made: Mapping[int, Condition],
    files: Mapping[str, str],
    services: Services,
) -> bool:
    """Queue the clips of scenes; False if the author wants something else meanwhile."""
    async with services.database.write() as session:
        run = await runs.get(session, state["run_id"])
        if run.state != RunState.RUNNING:
            raise RunStopped
        if is_changed(state, run):
            return False
        ids = [planned.scene_ids[place] for place in made]
        scenes = await revisions.list_scenes_by_id(session, ids)
        queued = [scene.clip_key for scene in scenes if scene.clip_key is not None]
        before = await clips.list_by_key(session, queued)
        data = {condition.id: condition.data for condition in made.values()}
        await revisions.add_conditions(session, data, files)
        wanted: list[Wanted] = []
        fresh: list[tuple[SceneVersion, str]] = []
        for (place, condition), scene in zip(made.items(), scenes, strict=True):
            if scene.clip_key is not None:
                clip = before[scene.clip_key]
                wanted.append(Wanted(clip.key, clip.engine, clip.request))
                continue
            scene.condition_id = scene.condition_id or condition.id
            name = scene.engine or planned.engine
            capabilities = services.engine(name).capabilities
            request = describe(planned, place, scene, scene.condition_id, capabilities)
            scene.clip_key = key_of(request)
            wanted.append(Wanted(scene.clip_key, name, request))
            fresh.append((scene, scene.clip_key))
        await session.flush()
        queued_clips = await clips.want_all(session, run, wanted)
        if fresh:
            taken = await takes.add_all(session, fresh, TakeOrigin.MADE)
            happened = [
                (
                    "clip.finished"
                    if queued_clips[key].state == ClipState.FINISHED
                    else "clip.queued",
                    {"scene": scene.sub_event_id, "take": taken[scene.id].number, "clip": key},
                )
                for scene, key in fresh
            ]
            await events.append_all(session, state["story_id"], happened)
        return True
