"""interleave: in order, each sub-event's condition is made from what came before; then its clip.

The conditions are made by workers, a window of sub-events at a time; see nodes/jobs/condition.py.
A turn queues the clips of those that have theirs, and the next windows, in one transaction: so
workers are at the first clips while later sub-events are still being conditioned. Scenes whose
clips are made, as most are when one is revised, are passed over at once.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile

from sqlalchemy.ext.asyncio import AsyncSession

from nodes.clip_request import canonical, describe, key_of
from nodes.errors import EngineAway, RunStopped, StepFailed
from nodes.offers import Offers, list_offers, need
from nodes.services import LoadedRevision, Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import is_changed, is_soon_done, load_run, wait_for
from storage import clips, events, revisions, takes, wants
from storage.models import Run, RunState, SceneVersion, TakeOrigin, Wait, WorkKind, WorkState
from storage.revisions import Unmade
from storage.wants import Wanted

MAX_A_TURN = 120  # clips: what one transaction may queue
MAX_A_WINDOW = 500  # sub-events; the job makes as many of them as take a moment


async def interleave(state: StoryState, services: Services) -> StateUpdate:
    """Queue the clips of the next sub-events, as far as they are conditioned, and wait for the rest."""
    planned = await services.planned(state["story_id"], state["revision_id"])
    cursor = state["cursor"]
    done: StateUpdate = {"cursor": len(planned.scene_ids), "waits_for": ""}
    async with services.database.read() as session:
        run = await load_run(session, state)
        if is_changed(state, run):  # synthesize goes back for the change
            return done
        most = MAX_A_TURN + MAX_A_WINDOW
        unmade = await revisions.list_unmade(session, planned.scene_ids[cursor:], most)
        offers = await list_offers(session)
    if not unmade:
        return done
    ready = [cursor + scene.place for scene in takewhile(is_conditioned, unmade)]
    queued = ready[:MAX_A_TURN]
    lacking = unmade[len(ready) :] if queued == ready else ()
    windows = _windows(lacking, cursor, planned)
    offered = {name: places for name, places in windows.items() if name in offers}
    if not await _queue(state, planned, queued, offered, offers, services):
        return done
    if windows and not offered:
        raise EngineAway(next(iter(windows)))
    passed = cursor + unmade[len(queued)].place if len(queued) < len(unmade) else queued[-1] + 1
    is_there = not windows or await is_soon_done(run.id, WorkKind.CONDITION, services)
    return {"cursor": passed, **wait_for(None if is_there else Wait.CONDITIONS)}


def is_conditioned(scene: Unmade) -> bool:
    """Tell whether a scene's clip may be queued."""
    return scene.condition_id is not None


def _windows(
    unmade: Sequence[Unmade], cursor: int, planned: LoadedRevision
) -> dict[str, list[int]]:
    """Return the places that are to be conditioned next, by engine.

    They follow from what is stored alone: taken twice, the step wants the same work.
    """
    windows: dict[str, list[int]] = {}
    lacking = [scene for scene in unmade if not is_conditioned(scene)]
    for scene in lacking[:MAX_A_WINDOW]:
        windows.setdefault(scene.engine or planned.engine, []).append(cursor + scene.place)
    return windows


async def _queue(
    state: StoryState,
    planned: LoadedRevision,
    ready: Sequence[int],
    windows: Mapping[str, Sequence[int]],
    offers: Offers,
    services: Services,
) -> bool:
    """Queue clips and conditions; False if the author wants something else meanwhile."""
    async with services.database.write() as session:
        run = await load_run(session, state)
        if run.state != RunState.RUNNING:
            raise RunStopped
        if is_changed(state, run):
            return False
        await _want_windows(session, run, planned, windows)
        await _want_clips(session, run, planned, ready, offers)
        return True


async def _want_windows(
    session: AsyncSession,
    run: Run,
    planned: LoadedRevision,
    windows: Mapping[str, Sequence[int]],
) -> None:
    """Queue the conditioning of sub-events.

    Raises:
        StepFailed: if it was attempted in vain.
    """
    wanted = []
    for name, places in windows.items():
        request = canonical(
            {"story": run.story_id, "revision": planned.revision_id, "places": places}
        )
        wanted.append(Wanted(key_of(request), name, request))
    if not wanted:
        return
    for window in (await wants.want_all(session, run, WorkKind.CONDITION, wanted)).values():
        if window.state == WorkState.FAILED:
            raise StepFailed(window.error or "", is_bad_input=window.is_bad_input)


async def _want_clips(
    session: AsyncSession,
    run: Run,
    planned: LoadedRevision,
    places: Sequence[int],
    offers: Offers,
) -> None:
    if not places:
        return
    ids = [planned.scene_ids[place] for place in places]
    scenes = await revisions.list_scenes_by_id(session, ids)
    queued = [scene.clip_key for scene in scenes if scene.clip_key is not None]
    before = await clips.list_by_key(session, queued)
    wanted: list[Wanted] = []
    fresh: list[tuple[SceneVersion, str]] = []
    for place, scene in zip(places, scenes, strict=True):
        if scene.clip_key is not None:
            clip = before[scene.clip_key]
            wanted.append(Wanted(clip.key, clip.engine, clip.request))
            continue
        name = scene.engine or planned.engine
        request = describe(planned, place, scene, need(offers, name))
        scene.clip_key = key_of(request)
        wanted.append(Wanted(scene.clip_key, name, request))
        fresh.append((scene, scene.clip_key))
    await session.flush()
    queue = await clips.want_all(session, run, wanted)
    if not fresh:
        return
    taken = await takes.add_all(session, fresh, TakeOrigin.MADE)
    happened = [
        (
            "clip.finished" if queue[key].state == WorkState.FINISHED else "clip.queued",
            {"scene": scene.sub_event_id, "take": taken[scene.id].number, "clip": key},
        )
        for scene, key in fresh
    ]
    await events.append_all(session, run.story_id, happened)
