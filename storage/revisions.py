"""Revisions of a story: immutable, copied on write, and what they list."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, desc, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, wants
from storage.clips import WORK
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.models import (
    Clip,
    Condition,
    Json,
    Mix,
    Revision,
    Run,
    SceneStem,
    SceneVersion,
    Story,
    SubEvent,
    Take,
    TakeOrigin,
    Wait,
    Work,
    WorkKind,
    WorkWant,
)
from storage.upsert import in_parts, insert_all_new, list_by

FRESH: Json = {"engine": None, "cast": None, "starts_s": None, "stem_gain_db": None}
FRESH_STEM: Json = {
    "seed": None,
    "condition_id": None,
    "clip_key": None,
    "rerolls": 0,
    "is_judged": False,
    "flags": [],
}
Scene = int | Json  # a scene version that stays, or the columns of a new one; `stems` has theirs
HEARD = SceneStem.scene_id == SceneVersion.id  # joins a scene version to its stems
_REMARKS = (  # built once, not for every request
    select(
        SceneStem.scene_id,
        SceneStem.stem,
        SceneStem.flags,
        Work.state,
        Clip.engine_report,
        Work.error,
    )
    .outerjoin(Clip, Clip.key == SceneStem.clip_key)
    .outerjoin(Work, WORK)
    .where(SceneStem.scene_id.in_(bindparam("scene_ids", expanding=True)))
    .order_by(SceneStem.scene_id, SceneStem.stem)
)


@dataclass(frozen=True)
class NewRevision:
    """What a new revision says.

    Args:
        language: of the story.
        samples: of the whole track.
        plan: reasoning, cast, directions, notes.
        scenes: in order; a new one without a `sub_event_id` is a new sub-event.
        summary: what was changed, in a line.
        ordinals: sub-events planned with it, for the seeds of later ones.
    """

    language: str
    samples: int
    plan: Json
    scenes: Sequence[Scene]
    summary: str
    ordinals: int = 0


async def add(
    session: AsyncSession, run_id: int, base_id: int | None, content: NewRevision
) -> Revision:
    """Store a revision that a run made of `base_id` and make it the story's current one.

    If another worker did so meanwhile, the revision it stored is returned. Clips that only
    replaced scenes wanted are not waited for any more.
    """
    run = await session.get_one(Run, run_id, with_for_update=True)
    if run.revision_id is not None and run.revision_id != base_id:
        return await get(session, run.revision_id)
    story = await session.get_one(Story, run.story_id, with_for_update=True)
    scene_ids = await _store_scenes(session, story.id, content.scenes)
    revision = Revision(
        story_id=story.id,
        number=story.next_revision,
        parent_id=base_id,
        summary=content.summary,
        language=content.language,
        samples=content.samples,
        plan=content.plan,
        scenes=scene_ids,
    )
    session.add(revision)
    await session.flush()
    story.next_revision += 1
    story.next_ordinal += content.ordinals
    await move_to(session, story, run, revision)
    kind = "plan.ready" if base_id is None else "revision.ready"
    await events.append(
        session,
        story.id,
        kind,
        revision=revision.number,
        sub_events=len(scene_ids),
        summary=content.summary,
    )
    return revision


async def store_scenes(database: Database, story_id: str, scenes: Sequence[Scene]) -> list[Scene]:
    """Store new scene versions, some at a time so that others write in between; return their ids.

    What is stored belongs to no revision until `add` makes one of it.
    """
    stored: list[Scene] = []
    for some in in_parts(scenes):
        async with database.write() as session:
            stored += await _store_scenes(session, story_id, some)
    return stored


async def move_to(session: AsyncSession, story: Story, run: Run | None, revision: Revision) -> None:
    """Make a revision the current one of a story and of its run; a move forward ends redo."""
    left = story.revision_id
    story.revision_id = revision.id
    if revision.parent_id == left:
        story.redo = story.redo[:-1] if story.redo[-1:] == [revision.id] else []
    if run is not None:
        run.revision_id = revision.id
        run.approved = [review for review in run.approved if review != Wait.MIX_REVIEW]
        await _drop_wants(session, run, revision)


async def copy(session: AsyncSession, story: Story, revision: Revision) -> Revision:
    """Begin a story with a revision of another one: one row, the same scene versions."""
    copied = ("language", "samples", "plan", "scenes")
    first = Revision(
        story_id=story.id,
        number=story.next_revision,
        parent_id=None,
        summary=f"branched from story {revision.story_id}, revision {revision.number}",
        **{field: getattr(revision, field) for field in copied},
    )
    session.add(first)
    await session.flush()
    story.next_revision += 1
    story.revision_id = first.id
    return first


async def get(session: AsyncSession, revision_id: int) -> Revision:
    """Get a revision that is known to exist."""
    return await session.get_one(Revision, revision_id)


async def find_by_id(session: AsyncSession, story_id: str, revision_id: int) -> Revision | None:
    """Find a revision of a story; if that was deleted, the id may be another's by now."""
    revision = await session.get(Revision, revision_id)
    return revision if revision is not None and revision.story_id == story_id else None


async def find(session: AsyncSession, story_id: str, named: int | str) -> Revision:
    """Find a revision of a story by its number or its name.

    Raises:
        NotFound: if the story has none of that number or name.
    """
    spelled = str(named)
    is_meant = Revision.name == spelled
    if spelled.isascii() and spelled.isdigit() and len(spelled) < 10:
        is_meant = or_(is_meant, Revision.number == int(spelled))
    revision = await session.scalar(
        select(Revision)
        .where(Revision.story_id == story_id, is_meant)
        .order_by(Revision.name.is_(None))
        .limit(1)
    )
    if revision is None:
        raise NotFound(f"revision of story {story_id}", named)
    return revision


async def list_newest(
    session: AsyncSession, story_id: str, limit: int = 100, before: int | None = None
) -> list[Revision]:
    """List the revisions of a story, newest first.

    Args:
        session: any session.
        story_id: of the story.
        limit: how many at most.
        before: only those of a lower number.
    """
    query = select(Revision).where(Revision.story_id == story_id)
    if before is not None:
        query = query.where(Revision.number < before)
    return list(await session.scalars(query.order_by(desc(Revision.number)).limit(limit)))


async def list_numbers(session: AsyncSession, story_id: str) -> dict[int, int]:
    """Return the number of each revision of a story by its id."""
    rows = await session.execute(
        select(Revision.id, Revision.number).where(Revision.story_id == story_id)
    )
    return {row[0]: row[1] for row in rows}


async def set_name(session: AsyncSession, revision: Revision, name: str | None) -> None:
    """Name a revision, or take its name away.

    Raises:
        Conflict: if another revision of the story has that name.
    """
    taken = await session.scalar(
        select(Revision.number).where(
            Revision.story_id == revision.story_id,
            Revision.name == name,
            Revision.id != revision.id,
        )
    )
    if name is not None and taken is not None:
        raise Conflict(f"Revision {taken} is named {name!r} already. Choose another name.")
    revision.name = name
    await events.append(
        session, revision.story_id, "revision.named", revision=revision.number, name=name
    )


async def list_scenes(session: AsyncSession, revision: Revision) -> list[SceneVersion]:
    """List the scene versions of a revision in the order they are heard."""
    versions = await list_by(session, SceneVersion, SceneVersion.id, revision.scenes)
    by_id = {version.id: version for version in versions}
    return [by_id[scene_id] for scene_id in revision.scenes]


async def list_scenes_by_id(session: AsyncSession, scene_ids: Sequence[int]) -> list[SceneVersion]:
    """List scene versions by id, in the order of the ids."""
    by_id = {
        row.id: row for row in await list_by(session, SceneVersion, SceneVersion.id, scene_ids)
    }
    return [by_id[scene_id] for scene_id in scene_ids]


async def list_wordings(session: AsyncSession, scene_ids: Sequence[int]) -> list[Row[Any]]:
    """List what scene versions say, in the order of the ids.

    Rows instead of objects: a plan of a thousand scenes is read in half the time.
    """
    by_id: dict[int, Row[Any]] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(
                SceneVersion.id,
                SceneVersion.caption,
                SceneVersion.tone,
                SceneVersion.samples,
                SceneVersion.continues,
                SceneVersion.layers,
                SceneVersion.stem_gain_db,
            ).where(SceneVersion.id.in_(some))
        )
        by_id |= {row.id: row for row in rows}
    return [by_id[scene_id] for scene_id in scene_ids]


async def list_engines(session: AsyncSession, scene_ids: Sequence[int]) -> list[str | None]:
    """List the engines that scene versions have instead of their story's, in the order of the ids."""
    own: dict[int, str | None] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(SceneVersion.id, SceneVersion.engine).where(
                SceneVersion.id.in_(some), SceneVersion.engine.is_not(None)
            )
        )
        own |= {row.id: row.engine for row in rows}
    return [own.get(scene_id) for scene_id in scene_ids]


async def list_remarks(session: AsyncSession, scene_ids: Sequence[int]) -> list[list[Row[Any]]]:
    """List what is to be said of the stems of scene versions, in the order of the ids.

    Much less than all of them: it is read with every status of a story.
    """
    by_id: dict[int, list[Any]] = {scene_id: [] for scene_id in scene_ids}  # rows
    for some in in_parts(scene_ids):
        for row in await session.execute(_REMARKS, {"scene_ids": some}):
            by_id[row.scene_id].append(row)
        await asyncio.sleep(0)  # a story may be long, and others wait
    return [by_id[scene_id] for scene_id in scene_ids]


async def list_stems(
    session: AsyncSession, scene_ids: Sequence[int]
) -> dict[int, dict[str, SceneStem]]:
    """Return the stems of scene versions by their ids and names."""
    by_id: dict[int, dict[str, SceneStem]] = {scene_id: {} for scene_id in scene_ids}
    for stem in await list_by(session, SceneStem, SceneStem.scene_id, scene_ids):
        by_id[stem.scene_id][stem.stem] = stem
    return by_id


async def list_unjudged(session: AsyncSession, scene_ids: Sequence[int]) -> list[SceneStem]:
    """List those stems of scene versions whose clip was not checked yet."""
    unjudged: list[SceneStem] = []
    for some in in_parts(scene_ids):
        unjudged += await session.scalars(
            select(SceneStem)
            .where(SceneStem.scene_id.in_(some), SceneStem.is_judged.is_(False))
            .order_by(SceneStem.scene_id, SceneStem.stem)
        )
    return unjudged


async def find_unmade(session: AsyncSession, scene_ids: Sequence[int]) -> int | None:
    """Return the place, from 0, of the first scene version whose clip is not finished."""
    unmade = await list_unmade(session, scene_ids, 1)
    return unmade[0].place if unmade else None


class Unmade(NamedTuple):
    """A stem of a scene version whose clip is not finished."""

    place: int  # of the scene, from 0
    stem: str
    engine: str | None  # instead of the story's
    condition_id: str | None  # None: it is not conditioned yet


async def list_unmade(session: AsyncSession, scene_ids: Sequence[int], most: int) -> list[Unmade]:
    """List the first stems of scene versions whose clips are not finished, in order."""
    listed: list[Unmade] = []
    passed = 0
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(SceneVersion.id, SceneStem.stem, SceneVersion.engine, SceneStem.condition_id)
            .join(SceneStem, HEARD)
            .outerjoin(Clip, Clip.key == SceneStem.clip_key)
            .where(SceneVersion.id.in_(some), Clip.file.is_(None))
            .order_by(SceneStem.stem)
        )
        unmade: dict[int, list[tuple[str, str | None, str | None]]] = {}
        for scene_id, stem, engine, condition_id in rows:
            unmade.setdefault(scene_id, []).append((stem, engine, condition_id))
        for place, scene_id in enumerate(some, passed):
            listed += [Unmade(place, *stem) for stem in unmade.get(scene_id, ())]
        passed += len(some)
        if len(listed) >= most:
            break
    return listed[:most]


async def list_conditions(
    session: AsyncSession, scene_ids: Sequence[int], stems: Sequence[str]
) -> dict[int, tuple[str | None, bytes]]:
    """Return engine and condition of scene versions that have one of these stems, by their ids."""
    rows = await session.execute(
        select(SceneVersion.id, SceneVersion.engine, Condition.data)
        .join(SceneStem, HEARD)
        .join(Condition, Condition.id == SceneStem.condition_id)
        .where(SceneVersion.id.in_(scene_ids), SceneStem.stem.in_(stems))
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def set_conditions(
    session: AsyncSession, stems: Sequence[str], conditions: Mapping[int, str]
) -> None:
    """Let stems be made on conditions that are stored; one that has its own keeps it.

    Args:
        session: a writing session.
        stems: of which a scene version has one; those that have none are passed over.
        conditions: ids of conditions by those of scene versions.
    """
    lacking = await session.execute(
        select(SceneStem.scene_id, SceneStem.stem)
        .where(
            SceneStem.scene_id.in_(conditions),
            SceneStem.stem.in_(stems),
            SceneStem.condition_id.is_(None),
        )
        .order_by(SceneStem.scene_id)
        .with_for_update()
    )
    values = [
        {"scene_id": scene_id, "stem": stem, "condition_id": conditions[scene_id]}
        for scene_id, stem in lacking.all()
    ]
    if values:
        await session.execute(update(SceneStem), values)


async def get_scene(session: AsyncSession, scene_id: int) -> SceneVersion:
    """Get a scene version that is known to exist."""
    return await session.get_one(SceneVersion, scene_id)


async def get_stem(session: AsyncSession, scene_id: int, stem: str) -> SceneStem:
    """Get a stem of a scene version that is known to exist."""
    return await session.get_one(SceneStem, (scene_id, stem))


async def list_lineage(session: AsyncSession, scene_ids: Sequence[int]) -> list[int]:
    """List the sub-event of each scene version, in order."""
    lineage: dict[int, int] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(SceneVersion.id, SceneVersion.sub_event_id).where(SceneVersion.id.in_(some))
        )
        lineage |= {row[0]: row[1] for row in rows}
    return [lineage[scene_id] for scene_id in scene_ids]


async def get_condition(session: AsyncSession, condition_id: str) -> Condition:
    """Get a stored condition that is known to exist."""
    return await session.get_one(Condition, condition_id)


async def add_conditions(
    session: AsyncSession, conditions: Mapping[str, bytes], files: Mapping[str, str]
) -> None:
    """Store conditions under their content addresses, unless they are there.

    Args:
        session: a writing session.
        conditions: their data by id.
        files: content names of their tensors, for those that have some.
    """
    rows = [
        {"id": key, "data": conditions[key], "file": files.get(key)} for key in sorted(conditions)
    ]
    await insert_all_new(session, Condition, rows)


async def find_mix(session: AsyncSession, revision_id: int) -> Mix | None:
    """Find the mix of a revision."""
    return await session.get(Mix, revision_id)


async def find_revised_mix(session: AsyncSession, revision: Revision) -> Mix | None:
    """Find the mix of the nearest revision before this one that has an accepted one."""
    parent_id = revision.parent_id
    while parent_id is not None:
        mix = await session.get(Mix, parent_id)
        if mix is not None:
            return mix
        parent_id = (await session.get_one(Revision, parent_id)).parent_id
    return None


async def _store_scenes(session: AsyncSession, story_id: str, scenes: Sequence[Scene]) -> list[int]:
    """Store the new ones and return the ids of all, in order.

    Rows instead of objects: others wait for the write lock meanwhile, and a plan may be long.
    """
    fresh = [scene for scene in scenes if not isinstance(scene, int)]
    unborn = sum(scene.get("sub_event_id") is None for scene in fresh)
    born = iter(await _insert(session, SubEvent, [{"next_take": 1}] * unborn))
    rows: list[Json] = []
    for scene in fresh:
        row: Json = FRESH | scene | {"story_id": story_id}
        del row["stems"]
        if row.get("sub_event_id") is None:
            row["sub_event_id"] = next(born)
        rows.append(row)
    ids = await _insert(session, SceneVersion, rows)
    stems = [
        FRESH_STEM | stem | {"scene_id": scene_id}
        for scene_id, scene in zip(ids, fresh, strict=True)
        for stem in scene["stems"]
    ]
    if stems:
        await session.execute(insert(SceneStem), stems)
    stored = iter(ids)
    return [scene if isinstance(scene, int) else next(stored) for scene in scenes]


async def _insert(
    session: AsyncSession, table: type[SubEvent | SceneVersion], rows: Sequence[Json]
) -> list[int]:
    """Insert rows and return their ids in the same order."""
    if not rows:
        return []
    inserting = insert(table).returning(table.id, sort_by_parameter_order=True)
    return list(await session.scalars(inserting, rows))


async def _drop_wants(session: AsyncSession, run: Run, revision: Revision) -> None:
    """End a run's interest in what it wanted for scenes that it has no more.

    Conditions are of a revision, and clips of the scenes that are heard as them.
    """
    await wants.drop_wants(session, run.id, WorkKind.CONDITION)
    of_run = (WorkWant.run_id == run.id, WorkWant.work_kind == WorkKind.CLIP)
    wanted = set(await session.scalars(select(WorkWant.work_key).where(*of_run)))
    if not wanted:
        return
    for some in in_parts(revision.scenes):
        heard = await session.scalars(
            select(SceneStem.clip_key).where(
                SceneStem.scene_id.in_(some), SceneStem.clip_key.is_not(None)
            )
        )
        wanted -= set(heard)
    for some in in_parts(sorted(wanted)):
        requested = await session.scalars(
            select(Take.clip_key).where(
                Take.clip_key.in_(some), Take.origin == TakeOrigin.REQUESTED
            )
        )
        wanted -= set(requested)
    await wants.drop_wants(session, run.id, WorkKind.CLIP, sorted(wanted))


async def accept_clips(session: AsyncSession, stems: Sequence[SceneStem]) -> None:
    """Note that the clips of these stems were checked and are good."""
    if stems:
        values = [{"scene_id": s.scene_id, "stem": s.stem, "is_judged": True} for s in stems]
        await session.execute(update(SceneStem), values)
