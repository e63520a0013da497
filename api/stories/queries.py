"""What is read of a story to show it, for CLI and HTTP alike."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.stories.schemas import SceneView, StemView, StoryDetail, StoryStatus, StoryView
from audiostory_core.story.plan import seconds_of
from storage import clips, mixes, revisions, stories, work
from storage.models import (
    FOR_WORKERS,
    Clip,
    Mix,
    Revision,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    Story,
    Wait,
    Work,
    WorkKind,
    WorkState,
)

STATUSES = ("failed", "withdrawn", "planned", "queued", "claimed", "finished")
AT_ONCE = 500  # sub-events that are viewed before others get their turn


@dataclass(frozen=True)
class Remarks:
    """What is to be said of a sub-event and its clip."""

    index: int
    status: str
    unmatched: list[str]
    warnings: list[str]
    flags: list[str]
    error: str | None


def status_of(run: Run) -> StoryStatus:
    """Return a story's status from its newest run."""
    if run.state == RunState.PARKED:
        return StoryStatus.RUNNING if run.waits_for in FOR_WORKERS else StoryStatus.IN_REVIEW
    return StoryStatus(run.state)


def view_story(story: Story, run: Run, revision: Revision | None) -> StoryView:
    """Return a story at a glance."""
    return StoryView(
        id=story.id,
        status=status_of(run),
        instruction=story.instruction,
        language=revision.language if revision else story.language,
        duration_s=seconds_of(revision.samples) if revision else story.duration_s,
        seed=story.seed,
        engine=story.engine,
        engines=story.engines,
        planner=story.planner,
        created_at=story.created_at,
        sub_events=len(revision.scenes) if revision else None,
        revision=revision.number if revision else None,
        waits_for=run.waits_for,
        error=run.error if run.state == RunState.FAILED else None,
        refusal=run.error if run.state != RunState.FAILED else None,
    )


async def detail_story(session: AsyncSession, story_id: str) -> tuple[StoryDetail, list[SceneView]]:
    """Return everything about a story.

    Raises:
        NotFound: if there is none of that id.
    """
    story, run, revision, mix = await stories.load_with_mix(session, story_id)
    scenes = await view_scenes(session, revision)
    return _detail(story, run, revision, mix, scenes), scenes


async def describe_story(
    session: AsyncSession, story_id: str, owner_key: str | None
) -> StoryDetail:
    """Return a story with its plan's remarks and its mix's measures, without its sub-events.

    Raises:
        NotFound: if there is none of that id, or it belongs to another key; None: to any.
    """
    story, run, revision, mix = await stories.load_with_mix(session, story_id, owner_key)
    rows = await revisions.list_remarks(session, revision.scenes) if revision else []
    remarks = [_remark(index, stems) for index, stems in enumerate(rows, 1)]
    return _detail(story, run, revision, mix, remarks)


async def view_scenes(session: AsyncSession, revision: Revision | None) -> list[SceneView]:
    """Return the sub-events of a revision in order; none if there is no revision yet."""
    if revision is None:
        return []
    versions = await revisions.list_scenes(session, revision)
    stems = await revisions.list_stems(session, revision.scenes)
    keys = [
        heard.clip_key
        for by_name in stems.values()
        for heard in by_name.values()
        if heard.clip_key is not None
    ]
    made = await clips.list_by_key(session, keys)
    queue = await work.list_by_key(session, WorkKind.CLIP, keys)
    views, start = [], 0
    for index, version in enumerate(versions, 1):
        if index % AT_ONCE == 0:
            await asyncio.sleep(0)  # others wait
        heard = [
            _view_stem(stem, version, made.get(stem.clip_key or ""), queue.get(stem.clip_key or ""))
            for _, stem in sorted(stems[version.id].items())
        ]
        views.append(_view_scene(index, start, version, heard))
        start += version.samples
    return views


def list_degradations(scenes: Sequence[Remarks | SceneView]) -> list[str]:
    """List what was asked for and could not be made, one line each."""
    lines = []
    for scene in scenes:
        lines += [
            f"scene {scene.index}: no sound is known for “{text}”" for text in scene.unmatched
        ]
        lines += [f"scene {scene.index}: {remark}" for remark in (*scene.warnings, *scene.flags)]
    return lines


async def list_seams(session: AsyncSession, revision_id: int) -> list[dict[str, Any]]:
    """List the measures of a mix's seams in order, each with where it begins, `at_s`."""
    mix = await revisions.find_mix(session, revision_id)
    seams, start = [], 0
    for segment in await mixes.list_segments(session, mix) if mix else []:
        if segment.seam is not None:
            seams.append({"at_s": seconds_of(start)} | segment.seam)
        start += segment.samples
    return seams


def _detail(
    story: Story,
    run: Run,
    revision: Revision | None,
    mix: Mix | None,
    scenes: Sequence[Remarks | SceneView],
) -> StoryDetail:
    plan = revision.plan if revision else {}
    glance = view_story(story, run, revision).model_dump()
    if glance["waits_for"] == Wait.CLIP_REVIEW:
        glance["error"] = next((scene.error for scene in scenes if scene.status == "failed"), None)
    return StoryDetail(
        **glance,
        revision_name=revision.name if revision else None,
        is_accepted=mix.is_accepted if mix else None,
        reasoning=plan.get("reasoning", ""),
        directions=plan.get("directions", []),
        notes=plan.get("notes", []),
        mastering=mix.mastering if mix else None,
        degradations=list_degradations(scenes),
    )


def _remark(index: int, stems: Sequence[Row[Any]]) -> Remarks:
    reported = [_reported(stem.engine_report, "unmatched", "warnings") for stem in stems]
    return Remarks(
        index=index,
        status=_least([_status_of(stem.state) for stem in stems]),
        flags=[flag for stem in stems for flag in stem.flags],
        error=next((stem.error for stem in stems if stem.error), None),
        unmatched=[text for report in reported for text in report["unmatched"]],
        warnings=[text for report in reported for text in report["warnings"]],
    )


def _view_stem(
    stem: SceneStem, version: SceneVersion, clip: Clip | None, queued: Work | None
) -> StemView:
    return StemView(
        stem=stem.stem,
        seed=version.seed if stem.seed is None else stem.seed,
        rerolls=stem.rerolls,
        status=_status_of(queued.state if queued else None),
        clip=stem.clip_key,
        flags=stem.flags,
        measures=clip.measures if clip else None,
        error=queued.error if queued else None,
        **_reported(clip.engine_report if clip else None, "matched", "unmatched", "warnings"),
    )


def _view_scene(
    index: int, start: int, version: SceneVersion, stems: Sequence[StemView]
) -> SceneView:
    only = stems[0] if len(stems) == 1 else None
    return SceneView.model_validate(
        {
            "index": index,
            "scene": version.sub_event_id,
            "caption": version.caption,
            "start_s": seconds_of(start),
            "duration_s": seconds_of(version.samples),
            "tone": version.tone,
            "layers": version.layers,
            "continues": version.continues,
            "seed": only.seed if only else version.seed,
            "engine": version.engine,
            "rerolls": sum(stem.rerolls for stem in stems),
            "status": _least([stem.status for stem in stems]),
            "clip": only.clip if only else None,
            "measures": only.measures if only else None,
            "error": next((stem.error for stem in stems if stem.error), None),
            "stems": stems,
        }
        | {
            name: [text for stem in stems for text in getattr(stem, name)]
            for name in ("matched", "unmatched", "warnings", "flags")
        }
    )


def _least(statuses: Sequence[str]) -> str:
    """Return the status of a scene: what most needs to be known of its clips."""
    return min(statuses, key=STATUSES.index)


def _status_of(state: str | None) -> str:
    return "planned" if state is None else WorkState(state)


def _reported(report: dict[str, Any] | None, *names: str) -> dict[str, list[str]]:
    """Return what an engine's report says under these names; nothing where there is none."""
    return {name: (report or {}).get(name, []) for name in names}
