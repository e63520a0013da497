"""check: decide from each clip's figures whether it is accepted, made again, or flagged.

A clip is judged by its own samples and request alone, so that no neighbour can cause it to be
made again; what compares neighbours (the seams) only informs.
"""

from audiostory_core.audio.figures import Figures, verdict
from nodes.clip_request import key_of, with_seed
from nodes.errors import StepFailed
from nodes.plan import derive_seed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.synthesize import WAITS_FOR_CLIPS
from storage import clips, events, stories
from storage.models import Clip, SceneVersion

MOST_REROLLS = 2


async def check(state: StoryState, services: Services) -> StateUpdate:
    """Accept, re-roll or flag every clip of the revision."""
    planned = await services.planned(state["revision_id"])
    async with services.database.read() as session:
        revision = await stories.get_revision(session, state["revision_id"])
        scenes = await stories.list_scenes(session, revision)
        keys = [scene.clip_key for scene in scenes if scene.clip_key is not None]
        made = await clips.list_by_key(session, keys)

    failing: list[tuple[SceneVersion, Clip, list[str]]] = []
    for scene in scenes:
        clip = made[scene.clip_key or ""]
        reasons = judge(clip)
        if reasons and reasons != scene.flags:
            failing.append((scene, clip, reasons))
    is_waiting = False
    for scene, clip, reasons in failing:
        is_waiting |= await _settle(state, scene.id, clip, reasons, planned.engine, services)
    return {"waits_for": WAITS_FOR_CLIPS if is_waiting else ""}


def judge(clip: Clip) -> list[str]:
    """Say what is wrong with a finished clip; empty if nothing is."""
    if clip.figures is None or clip.report is None:
        raise StepFailed(f"Clip {clip.key} was not measured; delete its row and resume.")
    return list(verdict(Figures(**clip.figures), not clip.report["is_silence"]))


async def _settle(
    state: StoryState,
    scene_id: int,
    clip: Clip,
    reasons: list[str],
    engine: str,
    services: Services,
) -> bool:
    async with services.database.write() as session:
        scene = await stories.get_scene(session, scene_id)
        if scene.clip_key != clip.key:
            return True
        if scene.rerolls >= MOST_REROLLS:
            scene.flags = reasons
            await events.append(
                session, state["story_id"], "scene.flagged", scene=scene_id, reasons=reasons
            )
            return False
        scene.rerolls += 1
        request = with_seed(clip.request, derive_seed(scene.seed, scene.rerolls))
        scene.clip_key = key_of(request)
        await clips.want(session, state["run_id"], scene.clip_key, engine, request)
        await events.append(
            session,
            state["story_id"],
            "clip.rerolled",
            scene=scene_id,
            clip=scene.clip_key,
            reasons=reasons,
        )
    return True
