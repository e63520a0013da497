"""check: decide from what is found of each clip whether it is accepted, made again, or flagged.

A clip is judged by its own samples and request alone, so that no neighbor can cause it to be
made again; what compares neighbors (the seams) only informs.
"""

from collections.abc import Sequence

from audiostory_core.quality.checks import Expectation, Finding, examine
from audiostory_core.quality.measures import Measures
from nodes.clip_request import key_of, with_seed
from nodes.errors import RunStopped, StepFailed
from nodes.rows import MAX_REROLLS, derive_seed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import load_run, wait_for
from storage import clips, events, revisions, takes
from storage.models import Clip, RunState, SceneStem, TakeOrigin, Wait


async def check(state: StoryState, services: Services) -> StateUpdate:
    """Accept, re-roll or flag every clip of the revision that was not judged before."""
    planned = await services.planned(state["story_id"], state["revision_id"])
    async with services.database.read() as session:
        stems = await revisions.list_unjudged(session, planned.scene_ids)
        keys = [heard.clip_key for heard in stems if heard.clip_key is not None]
        made = await clips.list_by_key(session, keys)

    good: list[SceneStem] = []
    failing: list[tuple[SceneStem, Clip, tuple[Finding, ...]]] = []
    for heard in stems:
        clip = made[heard.clip_key or ""]
        findings = judge(clip)
        if findings:
            failing.append((heard, clip, findings))
        else:
            good.append(heard)
    if good:
        async with services.database.write() as session:
            await revisions.accept_clips(session, good)
    is_waiting = False
    for heard, clip, findings in failing:
        is_waiting |= await _settle(state, heard, clip, findings, services)
    return wait_for(Wait.CLIPS if is_waiting else None)


def judge(clip: Clip) -> tuple[Finding, ...]:
    """Find what is wrong with a finished clip, measured by whichever version."""
    if clip.measures is None or clip.engine_report is None:
        raise StepFailed(f"Clip {clip.key} was not measured; delete its row and resume.")
    expectation = Expectation(is_silence=clip.engine_report["is_silence"])
    return examine(Measures.from_stored(clip.measures), expectation)


async def _settle(
    state: StoryState,
    failing: SceneStem,
    clip: Clip,
    findings: Sequence[Finding],
    services: Services,
) -> bool:
    """Have a clip made again, or flag it; whether there is a clip to wait for."""
    reasons = [finding.sentence for finding in findings]
    async with services.database.write() as session:
        run = await load_run(session, state)
        if run.state != RunState.RUNNING:
            raise RunStopped
        scene = await revisions.get_scene(session, failing.scene_id)
        heard = await revisions.get_stem(session, failing.scene_id, failing.stem)
        if heard.clip_key != clip.key:
            return True
        if heard.rerolls >= MAX_REROLLS:
            heard.flags, heard.is_judged = reasons, True
            kind, key = "scene.flagged", clip.key
        else:
            heard.rerolls += 1
            seed = scene.seed if heard.seed is None else heard.seed
            request = with_seed(clip.request, derive_seed(seed, heard.rerolls))
            kind, key = "clip.rerolled", key_of(request)
            heard.clip_key = key
            await clips.want(session, run, key, clip.engine, request)
            await takes.add(session, scene, heard.stem, key, TakeOrigin.REROLLED)
        await events.append(
            session,
            state["story_id"],
            kind,
            scene=scene.sub_event_id,
            stem=heard.stem,
            clip=key,
            reasons=reasons,
            codes=[finding.code for finding in findings],
        )
    return kind == "clip.rerolled"
