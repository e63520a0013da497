"""What is read of a story's takes and revisions to show them, for CLI and HTTP alike."""

import json
from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from api.revisions.schemas import RevisionView, TakeView
from audiostory_core.quality.matching import matched_loudness
from audiostory_core.story.plan import seconds_of
from storage import revisions, stories, takes
from storage.errors import NotFound
from storage.models import Clip, SceneVersion, Take, Work


async def view_takes(
    session: AsyncSession, story_id: str, index: int
) -> tuple[SceneVersion, list[TakeView]]:
    """Return the takes of sub-event `index`, from 1, and the scene as it is heard now.

    Raises:
        NotFound: if there is no such story or sub-event.
    """
    _, _, revision = await stories.load(session, story_id)
    if revision is None or not 1 <= index <= len(revision.scenes):
        raise NotFound(f"sub-event of story {story_id}", index)
    scene = await revisions.get_scene(session, revision.scenes[index - 1])
    stems = (await revisions.list_stems(session, [scene.id]))[scene.id]
    heard = {stem.clip_key for stem in stems.values()}
    listed = await takes.list_of(session, scene.sub_event_id)
    targets = {
        name: matched_loudness(
            [clip.measures or {} for take, _, clip, _ in listed if take.stem == name]
        )
        for name in {take.stem for take, *_ in listed}
    }
    made = await revisions.list_stems(session, list({take.scene_id for take, *_ in listed}))
    flags = {
        (scene_id, stem.clip_key): list(stem.flags)
        for scene_id, named in made.items()
        for stem in named.values()
    }
    return scene, [
        _view_take(
            *row, heard, targets[row[0].stem], flags.get((row[0].scene_id, row[0].clip_key), [])
        )
        for row in listed
    ]


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


def _view_take(
    take: Take,
    version: SceneVersion,
    clip: Clip,
    queued: Work,
    heard: Collection[str | None],
    target: float | None,
    flags: list[str],
) -> TakeView:
    measures, report = clip.measures or {}, clip.engine_report or {}
    loudness = measures.get("loudness_lufs")
    return TakeView(
        take=take.number,
        stem=take.stem,
        is_heard=clip.key in heard,
        origin=take.origin,
        status=queued.state,
        caption=version.caption,
        duration_s=seconds_of(version.samples),
        recipe=json.loads(clip.request),
        clip=clip.key,
        measures=clip.measures,
        warnings=report.get("warnings", []),
        flags=flags,
        matched_gain_db=0.0 if target is None or loudness is None else target - loudness,
        render_s=clip.render_s,
        error=queued.error,
        created_at=take.created_at,
    )
