"""check: decide from what is found of each clip whether it is accepted, made again, or flagged.

A clip is judged by its own samples and request alone, so that no neighbor can cause it to be
made again; what compares neighbors (the seams) only informs. Where the author changed a scene,
it is compared with the clip before: what should be heard of the change and is not is a flag.
"""

import json
from collections.abc import Mapping, Sequence

from audiostory_core.quality.checks import Expectation, Finding, examine
from audiostory_core.quality.effects import MadeClip, unmet
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
    unheard = await _unheard(state, good, made, services)
    if good:
        async with services.database.write() as session:
            await revisions.accept_clips(
                session, [heard for heard in good if (heard.scene_id, heard.stem) not in unheard]
            )
    for heard in good:
        if (heard.scene_id, heard.stem) in unheard:
            await _flag(state, heard, unheard[heard.scene_id, heard.stem], services)
    is_waiting = False
    for heard, clip, findings in failing:
        is_waiting |= await _settle(state, heard, clip, findings, services)
    return wait_for(Wait.CLIPS if is_waiting else None)


async def _unheard(
    state: StoryState, good: Sequence[SceneStem], made: Mapping[str, Clip], services: Services
) -> dict[tuple[int, str], list[str]]:
    """Return what the author changed and no meter tells, by scene version and stem."""
    async with services.database.read() as session:
        revision = await revisions.get(session, state["revision_id"])
        if revision.parent_id is None or not good:
            return {}
        before = await takes.list_before(session, good)
    sentences: dict[tuple[int, str], list[str]] = {}
    for heard in good:
        old = before.get((heard.scene_id, heard.stem))
        if old is None or old.measures is None or old.engine_report is None:
            continue
        lost = unmet(_made(old), _made(made[heard.clip_key or ""]))
        if lost:
            sentences[heard.scene_id, heard.stem] = lost
    return sentences


def _made(clip: Clip) -> MadeClip:
    report = clip.engine_report or {}
    request = json.loads(clip.request)
    return MadeClip(request, clip.measures or {}, tuple(report.get("matched", ())))


async def _flag(
    state: StoryState, flagged: SceneStem, reasons: list[str], services: Services
) -> None:
    async with services.database.write() as session:
        run = await load_run(session, state)
        if run.state != RunState.RUNNING:
            raise RunStopped
        scene = await revisions.get_scene(session, flagged.scene_id)
        heard = await revisions.get_stem(session, flagged.scene_id, flagged.stem)
        heard.flags, heard.is_judged = reasons, True
        await events.append(
            session,
            state["story_id"],
            "scene.flagged",
            scene=scene.sub_event_id,
            stem=heard.stem,
            clip=heard.clip_key,
            reasons=reasons,
            codes=["not_heard"] * len(reasons),
        )


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
