"""check: decide from each clip's measures whether it is accepted, made again, or flagged.

A clip is judged by its own samples and request alone, so that no neighbor can cause it to be
made again; what compares neighbors (the seams) only informs.
"""

from audiostory_core.quality.measures import Measures, verdict
from nodes.clip_request import key_of, with_seed
from nodes.errors import RunStopped, StepFailed
from nodes.plan import derive_seed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.synthesize import WAITS_FOR_CLIPS
from storage import clips, events, revisions, runs, takes
from storage.models import Clip, RunState, SceneVersion

MAX_REROLLS = 2


async def check(state: StoryState, services: Services) -> StateUpdate:
    """Accept, re-roll or flag every clip of the revision that was not judged before."""
    planned = await services.planned(state["revision_id"])
    async with services.database.read() as session:
        scenes = await revisions.list_unjudged(session, planned.scene_ids)
        keys = [scene.clip_key for scene in scenes if scene.clip_key is not None]
        made = await clips.list_by_key(session, keys)

    good: list[int] = []
    failing: list[tuple[SceneVersion, Clip, list[str]]] = []
    for scene in scenes:
        clip = made[scene.clip_key or ""]
        reasons = judge(clip)
        if reasons:
            failing.append((scene, clip, reasons))
        else:
            good.append(scene.id)
    if good:
        async with services.database.write() as session:
            await revisions.touch_scenes(session, good, is_judged=True)
    is_waiting = False
    for scene, clip, reasons in failing:
        is_waiting |= await _settle(state, scene.id, clip, reasons, services)
    return {"waits_for": WAITS_FOR_CLIPS if is_waiting else ""}


def judge(clip: Clip) -> list[str]:
    """Say what is wrong with a finished clip; empty if nothing is."""
    if clip.measures is None or clip.engine_report is None:
        raise StepFailed(f"Clip {clip.key} was not measured; delete its row and resume.")
    return list(verdict(Measures(**clip.measures), not clip.engine_report["is_silence"]))


async def _settle(
    state: StoryState, scene_id: int, clip: Clip, reasons: list[str], services: Services
) -> bool:
    async with services.database.write() as session:
        run = await runs.get(session, state["run_id"])
        if run.state != RunState.RUNNING:
            raise RunStopped
        scene = await revisions.get_scene(session, scene_id)
        if scene.clip_key != clip.key:
            return True
        if scene.rerolls >= MAX_REROLLS:
            scene.flags, scene.is_judged = reasons, True
            kind, key = "scene.flagged", clip.key
        else:
            scene.rerolls += 1
            request = with_seed(clip.request, derive_seed(scene.seed, scene.rerolls))
            kind, key = "clip.rerolled", key_of(request)
            scene.clip_key = key
            await clips.want(session, run, key, clip.engine, request)
            await takes.add(session, scene, key, takes.REROLLED)
        await events.append(
            session, state["story_id"], kind, scene=scene.sub_event_id, clip=key, reasons=reasons
        )
    return kind == "clip.rerolled"
