"""interleave: in order, each sub-event's condition is made from what came before; then its clip.

Stems are conditioned apart from each other, and a clip is made of each.
The conditions are made by workers, a window of sub-events at a time; see nodes/jobs/condition.py.
A turn queues the clips of those that have theirs, and the next windows, in one transaction: so
workers are at the first clips while later sub-events are still being conditioned. Scenes whose
clips are made, as most are when one is revised, are passed over at once.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.stem import Stem
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
    ready = list(takewhile(is_conditioned, unmade))
    queued = ready[:MAX_A_TURN]
    lacking = unmade[len(ready) :] if queued == ready else ()
    windows = _windows(lacking, cursor, planned)
    offered = {window: places for window, places in windows.items() if window.engine in offers}
    if not await _queue(state, planned, cursor, queued, offered, offers, services):
        return done
    if windows and not offered:
        raise EngineAway(next(iter(windows)).engine)
    following = unmade[len(queued)].place if len(queued) < len(unmade) else queued[-1].place + 1
    passed = cursor + following
    is_there = not windows or await is_soon_done(run.id, WorkKind.CONDITION, services)
    return {"cursor": passed, **wait_for(None if is_there else Wait.CONDITIONS)}


def is_conditioned(scene: Unmade) -> bool:
    """Tell whether a clip may be queued."""
    return scene.condition_id is not None


class Window(NamedTuple):
    """What conditions are made of at once, beside the places of scenes."""

    engine: str
    stem: Stem  # whose chain of conditions they are in


def _windows(
    unmade: Sequence[Unmade], cursor: int, planned: LoadedRevision
) -> dict[Window, list[int]]:
    """Return the places that are to be conditioned next.

    They follow from what is stored alone: taken twice, the step wants the same work.
    """
    windows: dict[Window, list[int]] = {}
    lacking = [scene for scene in unmade if not is_conditioned(scene)]
    for scene in lacking[:MAX_A_WINDOW]:
        window = Window(planned.engine_of(scene.stem, scene.engine), planned.chain_of(scene.stem))
        windows.setdefault(window, []).append(cursor + scene.place)
    return windows


async def _queue(
    state: StoryState,
    planned: LoadedRevision,
    cursor: int,
    ready: Sequence[Unmade],
    windows: Mapping[Window, Sequence[int]],
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
        listed = [(cursor + scene.place, scene.stem) for scene in ready]
        await _want_clips(session, run, planned, listed, offers)
        return True


async def _want_windows(
    session: AsyncSession,
    run: Run,
    planned: LoadedRevision,
    windows: Mapping[Window, Sequence[int]],
) -> None:
    """Queue the conditioning of sub-events.

    Raises:
        StepFailed: if it was attempted in vain.
    """
    wanted = []
    for window, places in windows.items():
        named = {"story": run.story_id, "revision": planned.revision_id, "places": places}
        of_stem = {} if window.stem == Stem.COMPOSITE else {"stem": window.stem}
        request = canonical(named | of_stem)
        wanted.append(Wanted(key_of(request), window.engine, request))
    if not wanted:
        return
    for work in (await wants.want_all(session, run, WorkKind.CONDITION, wanted)).values():
        if work.state == WorkState.FAILED:
            raise StepFailed(work.error or "", is_bad_input=work.is_bad_input)


async def _want_clips(
    session: AsyncSession,
    run: Run,
    planned: LoadedRevision,
    ready: Sequence[tuple[int, str]],
    offers: Offers,
) -> None:
    """Queue the clips of stems, given the place of the scene of each."""
    if not ready:
        return
    ids = list(dict.fromkeys(planned.scene_ids[place] for place, _ in ready))
    scenes = {scene.id: scene for scene in await revisions.list_scenes_by_id(session, ids)}
    stems = await revisions.list_stems(session, ids)
    queued = [heard.clip_key for by_name in stems.values() for heard in by_name.values()]
    before = await clips.list_by_key(session, [key for key in queued if key is not None])
    wanted: list[Wanted] = []
    fresh: list[tuple[SceneVersion, str, str]] = []
    for place, stem in ready:
        scene = scenes[planned.scene_ids[place]]
        heard = stems[scene.id][stem]
        if heard.clip_key is not None:
            clip = before[heard.clip_key]
            wanted.append(Wanted(clip.key, clip.engine, clip.request))
            continue
        name = planned.engine_of(stem, scene.engine)
        request = describe(planned, place, scene, heard, need(offers, name))
        heard.clip_key = key_of(request)
        wanted.append(Wanted(heard.clip_key, name, request))
        fresh.append((scene, stem, heard.clip_key))
    await session.flush()
    queue = await clips.want_all(session, run, wanted)
    if not fresh:
        return
    taken = await takes.add_all(session, fresh, TakeOrigin.MADE)
    happened = [
        (
            "clip.finished" if queue[key].state == WorkState.FINISHED else "clip.queued",
            {
                "scene": scene.sub_event_id,
                "take": taken[scene.id, stem].number,
                "stem": stem,
                "clip": key,
            },
        )
        for scene, stem, key in fresh
    ]
    await events.append_all(session, run.story_id, happened)
