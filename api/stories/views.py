"""What an author sees of a story, for CLI and HTTP alike."""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.errors import UnreadableAudio
from audiostory_core.story.plan import Layer, seconds_of
from storage import clips, mixes, revisions, stories, takes
from storage.audio_files import AudioFiles
from storage.errors import NotFound
from storage.models import Clip, ClipState, Revision, Run, RunState, SceneVersion, Story, Take, Wait

if TYPE_CHECKING:
    from audiostory_core.audio.mixdown import Mixdown

TAKE_LUFS = -16.0  # takes are compared as loud as master gains are made
TAKE_PEAK_DBTP = -1.0
AT_ONCE = 500  # sub-events that are viewed before others get their turn


class Status(StrEnum):
    """Where a story stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting for a worker"  # told by the command line: begun or not, nobody is at work
    IN_REVIEW = "in review"  # waits for its author
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StoryView(BaseModel):
    """A story at a glance."""

    id: str
    status: Status
    instruction: str
    language: str | None
    duration_s: float | None  # None until planned, if the author left it open
    seed: int
    engine: str
    planner: str
    created_at: float  # seconds since 1970
    sub_events: int | None
    revision: int | None  # number of the current one
    waits_for: str | None  # "clips", or what its author is to decide
    error: str | None  # why it failed
    refusal: str | None  # why the change asked for last was not made, until another is asked for


class SceneView(BaseModel):
    """A sub-event, where it lies in the story, and the clip it is heard as."""

    index: int  # from 1
    scene: int  # stays the same when it is reworded, moved or heard as another take
    caption: str
    start_s: float
    duration_s: float
    tone: str
    layers: list[Layer]
    continues: bool
    seed: int
    engine: str | None  # instead of the story's
    rerolls: int
    status: str  # planned, queued, claimed, finished, failed or withdrawn
    clip: str | None  # its key
    matched: list[str]
    unmatched: list[str]
    warnings: list[str]
    flags: list[str]
    measures: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True)
class Remarks:
    """What is to be said of a sub-event and its clip."""

    index: int
    status: str
    unmatched: list[str]
    warnings: list[str]
    flags: list[str]
    error: str | None


class TakeView(BaseModel):
    """One clip of a sub-event, with everything it was made from."""

    take: int  # from 1, in the order they were asked for
    is_heard: bool  # the mix has this one
    origin: str  # made, re-rolled or asked for
    status: str  # queued, claimed, finished, failed or withdrawn
    caption: str
    duration_s: float
    recipe: dict[str, Any]  # engine and revision, layers, seed, parameters: all the engine read
    clip: str
    measures: dict[str, Any] | None
    warnings: list[str]
    matched_gain_db: float  # brings it to the loudness of the others, for comparing
    render_s: float | None  # wall time of making it
    error: str | None
    created_at: float


class RevisionView(BaseModel):
    """A version of a story."""

    revision: int
    name: str | None
    summary: str  # what was changed
    parent: int | None
    is_current: bool
    sub_events: int
    duration_s: float
    created_at: float


class StoryDetail(StoryView):
    """A story with its plan's remarks and its mix's measures."""

    reasoning: str
    directions: list[str]
    notes: list[str]
    revision_name: str | None
    is_accepted: bool | None  # the mix; until then it has the gain of the mix it revises
    mastering: dict[str, Any] | None  # gain, loudness and peak of the mix
    degradations: list[str]  # what was asked for and could not be made


def status_of(run: Run) -> Status:
    """Return a story's status from its newest run."""
    if run.state == RunState.PARKED:
        return Status.RUNNING if run.waits_for == Wait.CLIPS else Status.IN_REVIEW
    return Status(run.state)


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
        planner=story.planner,
        created_at=story.created_at,
        sub_events=len(revision.scenes) if revision else None,
        revision=revision.number if revision else None,
        waits_for=run.waits_for,
        error=run.error if run.state == RunState.FAILED else None,
        refusal=run.error if run.state != RunState.FAILED else None,
    )


async def load_story(session: AsyncSession, story_id: str) -> tuple[Story, Run, Revision | None]:
    """Load a story with its newest run and current revision.

    Raises:
        NotFound: if there is none of that id.
    """
    return await stories.load(session, story_id)


async def detail_story(session: AsyncSession, story_id: str) -> tuple[StoryDetail, list[SceneView]]:
    """Return everything about a story.

    Raises:
        NotFound: if there is none of that id.
    """
    story, run, revision = await load_story(session, story_id)
    scenes = await view_scenes(session, revision)
    return await _detail(session, story, run, revision, scenes), scenes


async def describe_story(session: AsyncSession, story_id: str) -> StoryDetail:
    """Return a story with its plan's remarks and its mix's measures, without its sub-events.

    Raises:
        NotFound: if there is none of that id.
    """
    story, run, revision = await load_story(session, story_id)
    rows = await revisions.list_remarks(session, revision.scenes) if revision else []
    remarks = [
        Remarks(
            index=index,
            status=_status_of(row.state),
            flags=row.flags,
            error=row.error,
            **_reported(row.engine_report, "unmatched", "warnings"),
        )
        for index, row in enumerate(rows, 1)
    ]
    return await _detail(session, story, run, revision, remarks)


async def _detail(
    session: AsyncSession,
    story: Story,
    run: Run,
    revision: Revision | None,
    scenes: Sequence[Remarks | SceneView],
) -> StoryDetail:
    mix = await revisions.find_mix(session, revision.id) if revision else None
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


async def view_scenes(session: AsyncSession, revision: Revision | None) -> list[SceneView]:
    """Return the sub-events of a revision in order; none if there is no revision yet."""
    if revision is None:
        return []
    versions = await revisions.list_scenes(session, revision)
    keys = [version.clip_key for version in versions if version.clip_key]
    made = await clips.list_by_key(session, keys)
    views, start = [], 0
    for index, version in enumerate(versions, 1):
        if index % AT_ONCE == 0:
            await asyncio.sleep(0)  # others wait
        clip = made.get(version.clip_key or "")
        views.append(_view_scene(index, start, version, clip))
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


async def view_revisions(
    session: AsyncSession, story_id: str, limit: int, before: int | None = None
) -> list[RevisionView]:
    """Return the revisions of a story, newest first.

    Raises:
        NotFound: if there is no such story.
    """
    story = await stories.get(session, story_id)
    listed = await revisions.list_newest(session, story_id, limit, before)
    numbers = await revisions.list_numbers(session, story_id)
    return [
        RevisionView(
            revision=revision.number,
            name=revision.name,
            summary=revision.summary,
            parent=numbers.get(revision.parent_id or 0),
            is_current=revision.id == story.revision_id,
            sub_events=len(revision.scenes),
            duration_s=seconds_of(revision.samples),
            created_at=revision.created_at,
        )
        for revision in listed
    ]


async def list_seams(session: AsyncSession, revision_id: int) -> list[dict[str, Any]]:
    """List the measures of a mix's seams in order, each with where it begins, `at_s`."""
    mix = await revisions.find_mix(session, revision_id)
    seams, start = [], 0
    for segment in await mixes.list_segments(session, mix) if mix else []:
        if segment.seam is not None:
            seams.append({"at_s": seconds_of(start)} | segment.seam)
        start += segment.samples
    return seams


async def open_mix(session: AsyncSession, audio: AudioFiles, story_id: str) -> "Mixdown":
    """Open the mix of a story's current revision with its mastering.

    Raises:
        NotFound: if there is no such story, or its mix is not made yet.
        UnreadableAudio: if a file is missing, or known to be damaged; that it is, is otherwise
            found out by reading.
    """
    from audiostory_core.audio.mixdown import (  # noqa: PLC0415 - most views need no numpy
        MasterGain,
        Mixdown,
        MixSegment,
    )

    story = await stories.get(session, story_id)
    mix = None
    if story.revision_id is not None:
        mix = await revisions.find_mix(session, story.revision_id)
    if mix is None:
        raise NotFound("mix of story", story_id)
    segments = [
        MixSegment(audio.path(file), offset, samples)
        for file, offset, samples in await mixes.list_places(session, mix)
    ]
    for segment in segments:
        problem = audio.find_problem(segment.path)
        if problem is not None:
            raise UnreadableAudio(segment.path, problem)
    mastering = MasterGain(mix.mastering["gain_db"], mix.mastering["limiting"])
    return Mixdown(segments, mastering, audio.is_intact)


async def view_takes(
    session: AsyncSession, story_id: str, index: int
) -> tuple[SceneVersion, list[TakeView]]:
    """Return the takes of sub-event `index`, from 1, and the scene as it is heard now.

    Raises:
        NotFound: if there is no such story or sub-event.
    """
    _, _, revision = await load_story(session, story_id)
    if revision is None or not 1 <= index <= len(revision.scenes):
        raise NotFound(f"sub-event of story {story_id}", index)
    scene = await revisions.get_scene(session, revision.scenes[index - 1])
    listed = await takes.list_of(session, scene.sub_event_id)
    target = matched_loudness([clip for _, _, clip in listed])
    return scene, [_view_take(take, version, clip, scene, target) for take, version, clip in listed]


def matched_loudness(made: Sequence[Clip]) -> float | None:
    """Return the loudness in LUFS at which takes are compared; None if none has one.

    It is the target of master gains, or as near to it as leaves every take's true peak below
    `TAKE_PEAK_DBTP`.
    """
    reachable = [TAKE_LUFS]
    for clip in made:
        measures = clip.measures or {}
        if measures.get("loudness_lufs") is not None and measures["true_peak"] > 0:
            peak_dbtp = 20 * math.log10(measures["true_peak"])
            reachable.append(measures["loudness_lufs"] + TAKE_PEAK_DBTP - peak_dbtp)
    return min(reachable) if len(reachable) > 1 else None


def _view_take(
    take: Take, version: SceneVersion, clip: Clip, scene: SceneVersion, target: float | None
) -> TakeView:
    measures, report = clip.measures or {}, clip.engine_report or {}
    loudness = measures.get("loudness_lufs")
    return TakeView(
        take=take.number,
        is_heard=clip.key == scene.clip_key,
        origin=take.origin,
        status=clip.state,
        caption=version.caption,
        duration_s=seconds_of(version.samples),
        recipe=json.loads(clip.request),
        clip=clip.key,
        measures=clip.measures,
        warnings=report.get("warnings", []),
        matched_gain_db=0.0 if target is None or loudness is None else target - loudness,
        render_s=clip.render_s,
        error=clip.error,
        created_at=take.created_at,
    )


def _view_scene(index: int, start: int, version: SceneVersion, clip: Clip | None) -> SceneView:
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
            "seed": version.seed,
            "engine": version.engine,
            "rerolls": version.rerolls,
            "status": _status_of(clip.state if clip else None),
            "clip": version.clip_key,
            "flags": version.flags,
            "measures": clip.measures if clip else None,
            "error": clip.error if clip else None,
            **_reported(clip.engine_report if clip else None, "matched", "unmatched", "warnings"),
        }
    )


def _status_of(state: str | None) -> str:
    return "planned" if state is None else ClipState(state)


def _reported(report: dict[str, Any] | None, *names: str) -> dict[str, list[str]]:
    """Return what an engine's report says under these names; nothing where there is none."""
    return {name: (report or {}).get(name, []) for name in names}
