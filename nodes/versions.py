"""Scene versions that come of edits: what each keeps of the one before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.stem import Stem
from audiostory_core.story.editing import Draft, Reason
from audiostory_core.story.plan import SubEvent
from audiostory_core.story.recasting import with_voices
from audiostory_core.story.stems import stem_view
from audiostory_core.story.timing import inherit
from nodes.rows import (
    scene_columns,
)
from nodes.services import LoadedRevision
from storage import revisions
from storage.models import (
    Json,
    SceneStem,
    SceneVersion,
)

KEPT = ("seed", "condition_id", "clip_key", "rerolls", "is_judged", "flags")  # of a stem


@dataclass(frozen=True)
class Before:
    """A scene version that a new one comes from, and what is heard of it."""

    version: SceneVersion
    stems: Mapping[str, SceneStem]
    heard: SubEvent
    is_last: bool


async def list_before(
    session: AsyncSession, planned: LoadedRevision, drafts: Sequence[Draft]
) -> dict[int, Before]:
    """Return what drafts come from, by its place."""
    places = sorted(
        {place for draft in drafts for place in (draft.origin, draft.inherits) if place is not None}
    )
    ids = [planned.scene_ids[place] for place in places]
    versions = await revisions.list_scenes_by_id(session, ids)
    stems = await revisions.list_stems(session, ids)
    last = len(planned.scene_ids) - 1
    return {
        place: Before(
            version, stems[version.id], planned.heard.sub_events[place], is_last=place == last
        )
        for place, version in zip(places, versions, strict=True)
    }


def new_version(draft: Draft, before: Mapping[int, Before], reason: Reason | None) -> Json:
    """Return the columns of a scene version, those of its stems left out."""
    scene = scene_columns(draft.event)
    if draft.inherits is not None:
        inherited = before[draft.inherits].version
        scene["engine"], scene["cast"] = inherited.engine, inherited.cast
    if draft.origin is not None:
        version = before[draft.origin].version
        scene |= {"sub_event_id": version.sub_event_id, "seed": version.seed}
        if reason in (None, Reason.BECOMES_LAST, Reason.STOPS_BEING_LAST):
            scene |= {"engine": version.engine, "cast": version.cast}
    if draft.engine is not None:
        scene["engine"] = draft.engine
    if draft.cast is not None:
        scene["cast"] = [member.model_dump(mode="json") for member in draft.cast]
    if draft.voices:
        scene["cast"] = with_voices(scene.get("cast") or (), draft.voices)
    return scene


def version_stems(
    draft: Draft,
    before: Mapping[int, Before],
    reason: Reason | None,
    heard: SubEvent,
    columns: Json,
    *,
    is_last: bool,
    is_foreign: bool = False,
) -> Json:
    """Return the columns of a new version's stems; what sounds as before keeps its clip.

    Args:
        draft: of the version.
        before: see `list_before`.
        reason: why its clip is made again; None: it is not.
        heard: the sub-event with all layers that are heard in it.
        columns: of its stems if nothing is kept.
        is_last: whether it is the last of the story.
        is_foreign: the language is another than it was.
    """
    if draft.origin is None:
        return columns
    was = before[draft.origin]
    starts_s = columns["starts_s"]
    if starts_s is not None and was.version.starts_s is not None:
        starts_s = inherit(tuple(was.version.starts_s), was.heard, heard)
    settings = (draft.seed, draft.engine, draft.cast, draft.voices or None)
    is_recast = any(setting is not None for setting in settings)
    is_elsewhere = (
        is_recast or is_foreign or is_last != was.is_last or heard.samples != was.heard.samples
    )
    stems = []
    for stem in columns["stems"]:
        name = stem["stem"]
        kept: Sequence[str] = ("seed",) if draft.seed is None else ()
        if reason is None:
            kept = KEPT
        elif reason in (Reason.BECOMES_LAST, Reason.STOPS_BEING_LAST):
            kept = ("seed", "condition_id")
        elif reason is Reason.REWORDED and name != Stem.COMPOSITE and not is_elsewhere:
            earlier = stem_view(was.heard, name, was.version.starts_s)
            if earlier == stem_view(heard, name, starts_s):
                kept = KEPT
        old = was.stems.get(name)
        stems.append(stem if old is None else stem | {part: getattr(old, part) for part in kept})
    return {"stems": stems, "starts_s": starts_s}
