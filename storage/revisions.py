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

FRESH: Json = {
    "engine": None,
    "cast": None,
    "condition_id": None,
    "clip_key": None,
    "rerolls": 0,
    "is_judged": False,
    "flags": [],
}
Scene = int | Json  # a scene version that stays, or the columns of a new one
_REMARKS = (  # built once, not for every request
    select(SceneVersion.id, SceneVersion.flags, Work.state, Clip.engine_report, Work.error)
    .outerjoin(Clip, Clip.key == SceneVersion.clip_key)
    .outerjoin(Work, WORK)
    .where(SceneVersion.id.in_(bindparam("scene_ids", expanding=True)))
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


async def list_remarks(session: AsyncSession, scene_ids: Sequence[int]) -> list[Row[Any]]:
    """List what is to be said of scene versions and their clips, in the order of the ids.

    Much less than all of them: it is read with every status of a story.
    """
    by_id: dict[int, Row[Any]] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(_REMARKS, {"scene_ids": some})
        by_id |= {row.id: row for row in rows}
        await asyncio.sleep(0)  # a story may be long, and others wait
    return [by_id[scene_id] for scene_id in scene_ids]


async def list_unjudged(session: AsyncSession, scene_ids: Sequence[int]) -> list[SceneVersion]:
    """List those of the scene versions whose clip was not checked yet."""
    unjudged: list[SceneVersion] = []
    for some in in_parts(scene_ids):
        unjudged += await session.scalars(
            select(SceneVersion).where(SceneVersion.id.in_(some), SceneVersion.is_judged.is_(False))
        )
    return unjudged


async def find_unmade(session: AsyncSession, scene_ids: Sequence[int]) -> int | None:
    """Return the place, from 0, of the first scene version whose clip is not finished."""
    unmade = await list_unmade(session, scene_ids, 1)
    return unmade[0].place if unmade else None


class Unmade(NamedTuple):
    """A scene version whose clip is not finished."""

    place: int  # from 0
    engine: str | None  # instead of the story's
    condition_id: str | None  # None: it is not conditioned yet


async def list_unmade(session: AsyncSession, scene_ids: Sequence[int], most: int) -> list[Unmade]:
    """List the first scene versions whose clips are not finished, in order."""
    listed: list[Unmade] = []
    passed = 0
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(SceneVersion.id, SceneVersion.engine, SceneVersion.condition_id)
            .outerjoin(Clip, Clip.key == SceneVersion.clip_key)
            .where(SceneVersion.id.in_(some), Clip.file.is_(None))
        )
        unmade = {row[0]: (row[1], row[2]) for row in rows}
        for place, scene_id in enumerate(some, passed):
            if scene_id in unmade:
                listed.append(Unmade(place, *unmade[scene_id]))
        passed += len(some)
        if len(listed) >= most:
            break
    return listed[:most]


async def list_conditions(
    session: AsyncSession, scene_ids: Sequence[int]
) -> dict[int, tuple[str | None, bytes]]:
    """Return engine and condition of those scene versions that have one, by the version's id."""
    rows = await session.execute(
        select(SceneVersion.id, SceneVersion.engine, Condition.data)
        .join(Condition, Condition.id == SceneVersion.condition_id)
        .where(SceneVersion.id.in_(scene_ids))
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def set_conditions(session: AsyncSession, conditions: Mapping[int, str]) -> None:
    """Let scene versions be made on conditions that are stored; one that has its own keeps it.

    Args:
        session: a writing session.
        conditions: ids of conditions by those of scene versions.
    """
    lacking = await session.scalars(
        select(SceneVersion.id)
        .where(SceneVersion.id.in_(conditions), SceneVersion.condition_id.is_(None))
        .order_by(SceneVersion.id)
        .with_for_update()
    )
    values = [{"id": scene_id, "condition_id": conditions[scene_id]} for scene_id in lacking]
    if values:
        await session.execute(update(SceneVersion), values)


async def list_clip_files(session: AsyncSession, scene_ids: Sequence[int]) -> list[tuple[str, int]]:
    """Return the file that each scene version is heard from and the scene's samples, in order."""
    heard: dict[int, tuple[str, int]] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(SceneVersion.id, Clip.file, SceneVersion.samples)
            .join(Clip, Clip.key == SceneVersion.clip_key)
            .where(SceneVersion.id.in_(some))
        )
        heard |= {scene_id: (file or "", samples) for scene_id, file, samples in rows}
    return [heard[scene_id] for scene_id in scene_ids]


async def get_scene(session: AsyncSession, scene_id: int) -> SceneVersion:
    """Get a scene version that is known to exist."""
    return await session.get_one(SceneVersion, scene_id)


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
        if row.get("sub_event_id") is None:
            row["sub_event_id"] = next(born)
        rows.append(row)
    stored = iter(await _insert(session, SceneVersion, rows))
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
            select(SceneVersion.clip_key).where(
                SceneVersion.id.in_(some), SceneVersion.clip_key.is_not(None)
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


async def touch_scenes(session: AsyncSession, scene_ids: Sequence[int], **values: Any) -> None:
    """Set columns that say where scene versions stand, such as `is_judged`."""
    for some in in_parts(scene_ids):
        await session.execute(
            update(SceneVersion)
            .where(SceneVersion.id.in_(some))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
