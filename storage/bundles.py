"""A story's rows, taken out of one store and put into another.

Columns that say who works on a row, or whom a story belongs to here, are left out. Ids that the
database counts are replaced when the rows are put in; content addresses stay what they are.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import inspect, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, ownership, stories, wants, work
from storage.models import (
    ACTIVE,
    Clip,
    Condition,
    Event,
    Json,
    Mix,
    Revision,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    SegmentRow,
    Story,
    SubEvent,
    Table,
    Take,
    Work,
    WorkKind,
    WorkState,
)
from storage.upsert import in_parts, insert_new, list_by

TABLES: Final[dict[str, type[Table]]] = {
    "story": Story,
    "revision": Revision,
    "sub_event": SubEvent,
    "scene": SceneVersion,
    "scene_stem": SceneStem,
    "take": Take,
    "clip": Clip,
    "condition": Condition,  # those whose tensors are in a file
    "segment": SegmentRow,
    "mix": Mix,
    "run": Run,
    "event": Event,
}
LEFT_OUT: Final[dict[str, frozenset[str]]] = {
    "story": frozenset({"owner_key", "branched_from", "idempotency_key", "request_digest"}),
    "condition": frozenset({"data"}),
    "run": frozenset(
        {
            "owner",
            "attempt",
            "expires_at",
            "priority",
            "start_tag",
            "pending_changes",
            "waits_for",
            "queued_at",
        }
    ),
}
OF_WORK: Final = ("state", "queued_at", "error")  # columns that a clip's row has from its work
SETTLED = (WorkState.FINISHED, WorkState.FAILED)


@dataclass(frozen=True)
class StoryRows:
    """The rows of one story by the names in `TABLES`, as plain columns, and what they name."""

    rows: dict[str, list[Json]]
    conditions: tuple[str, ...]  # ids
    files: tuple[str, ...]  # content names, of sound and of tensors

    @property
    def story(self) -> Json:
        """The one row of the story itself."""
        return self.rows["story"][0]


async def gather(session: AsyncSession, story_id: str) -> StoryRows:
    """Gather what a story is made of: every revision, every take, every mix.

    Raises:
        NotFound: if there is no such story.
    """
    story = await stories.get(session, story_id)
    sub_events = await ownership.list_sub_events(session, story_id)
    scenes = await list_by(session, SceneVersion, SceneVersion.sub_event_id, sub_events)
    scenes.sort(key=lambda scene: scene.id)
    scene_ids = [scene.id for scene in scenes]
    stems = await list_by(session, SceneStem, SceneStem.scene_id, scene_ids)
    stems.sort(key=lambda stem: (stem.scene_id, stem.stem))
    takes = await list_by(session, Take, Take.sub_event_id, sub_events)
    takes.sort(key=lambda take: take.id)
    clips = await list_by(session, Clip, Clip.key, await ownership.list_clips(session, story_id))
    clips.sort(key=lambda clip: clip.key)
    queued = await work.list_by_key(session, WorkKind.CLIP, [clip.key for clip in clips])
    revisions = await _list_of(session, Revision, story_id)
    mixes = await list_by(session, Mix, Mix.revision_id, [revision.id for revision in revisions])
    mixes.sort(key=lambda mix: mix.revision_id)
    segment_ids = sorted({segment_id for mix in mixes for segment_id in mix.segments})
    segments = await list_by(session, SegmentRow, SegmentRow.id, segment_ids)
    segments.sort(key=lambda segment: segment.id)
    conditions = {stem.condition_id for stem in stems if stem.condition_id is not None}
    conditions |= set(await _conditions_of(session, clips))
    large = await _list_large(session, sorted(conditions))
    by_table: dict[str, Sequence[Table]] = {
        "story": [story],
        "revision": revisions,
        "sub_event": await list_by(session, SubEvent, SubEvent.id, sub_events),
        "scene": scenes,
        "scene_stem": stems,
        "take": takes,
        "clip": clips,
        "condition": large,
        "segment": segments,
        "mix": mixes,
        "run": await _list_of(session, Run, story_id),
        "event": await _list_of(session, Event, story_id),
    }
    files = {clip.file for clip in clips}
    files |= {segment.file for segment in segments} | {condition.file for condition in large}
    rows = {name: [_plain(name, row) for row in rows] for name, rows in by_table.items()}
    for clip in rows["clip"]:
        clip |= {name: getattr(queued[clip["key"]], name) for name in OF_WORK}
    return StoryRows(
        rows,
        tuple(sorted(conditions)),
        tuple(sorted(file for file in files if file is not None)),
    )


@dataclass
class _NewIds:
    """What the ids of a bundle are in this store."""

    sub_events: dict[int, int] = field(default_factory=dict)
    scenes: dict[int, int] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)
    segments: dict[int, int] = field(default_factory=dict)


async def put_in(
    session: AsyncSession, bundle: StoryRows, read_condition: Callable[[str], bytes]
) -> str:
    """Store the rows of a story whose files are in place; return the story's id in this store.

    The id is the old one unless that is taken. Nothing is queued: clips that were still to be made
    are withdrawn, and a run that was active is cancelled, until the author resumes it.

    Args:
        session: a writing session.
        bundle: rows whose references are known to be sound.
        read_condition: returns the data of a condition.
    """
    tensors = {old["id"]: old["file"] for old in bundle.rows["condition"]}
    for name in bundle.conditions:
        data, file = read_condition(name), tensors.get(name)
        await insert_new(session, Condition, id=name, data=data, file=file)
    await _put_clips(session, bundle.rows["clip"])
    story = dict(bundle.story)
    was = story["id"]
    if await session.get(Story, was) is not None:
        story["id"] = "".join(secrets.choice(stories.ID_ALPHABET) for _ in range(len(was)))
    current, redo = story.pop("revision_id"), story.pop("redo")
    row = Story(**story, revision_id=None, redo=[])
    session.add(row)
    await session.flush()
    new = _NewIds()
    await _put_scenes(session, row.id, bundle, new)
    await _put_revisions(session, row.id, bundle, new)
    await _put_mixes(session, bundle, new)
    row.revision_id = new.revisions.get(current)
    row.redo = [new.revisions[old] for old in redo if old in new.revisions]
    for old in bundle.rows["run"]:
        session.add(_run(row, old, new))
    for old in bundle.rows["event"]:
        session.add(Event(**old | {"story_id": row.id, "data": _event_data(old["data"], new)}))
    await session.flush()
    await events.append(session, row.id, "story.restored", was=was)
    return row.id


async def _put_clips(session: AsyncSession, clips: Sequence[Json]) -> None:
    """Store clips; one that this store has not made yet becomes finished, for the runs that wait."""
    adopted: list[str] = []
    for old in sorted(clips, key=lambda clip: str(clip["key"])):
        is_made = old["state"] == WorkState.FINISHED
        state = old["state"] if old["state"] in SETTLED else WorkState.WITHDRAWN
        clip = {name: value for name, value in old.items() if name not in OF_WORK}
        unmade = {} if is_made else {"file": None, "finished_at": None}
        if await insert_new(session, Clip, **(clip | unmade)):
            values = {name: old[name] for name in OF_WORK} | {"state": state}
            named = {"key": old["key"], "kind": WorkKind.CLIP, "needs": old["engine"]}
            idle = {"attempt": 0, "priority": 0, "start_tag": 0}
            await insert_new(session, Work, **(named | values | idle))
        elif is_made:
            adopted += await _adopt(session, old)
    await wants.settle(session, WorkKind.CLIP, adopted)
    for key in adopted:
        for story_id, sub_event_id in await ownership.list_listening_stories(session, key):
            await events.append(session, story_id, "clip.finished", scene=sub_event_id, clip=key)


async def _adopt(session: AsyncSession, old: Json) -> Sequence[str]:
    made = {
        name: old[name] for name in ("file", "measures", "engine_report", "render_s", "finished_at")
    }
    idle = {"owner": None, "expires_at": None, "progress": None, "error": None}
    is_its = (Work.key == old["key"], Work.kind == WorkKind.CLIP)
    updated = await session.scalars(
        update(Work)
        .where(*is_its, Work.state != WorkState.FINISHED)
        .values(state=WorkState.FINISHED, **idle)
        .returning(Work.key)
        .execution_options(synchronize_session=False)
    )
    keys = updated.all()
    await session.execute(
        update(Clip)
        .where(Clip.key.in_(keys))
        .values(**made)
        .execution_options(synchronize_session=False)
    )
    return keys


async def _put_scenes(
    session: AsyncSession, story_id: str, bundle: StoryRows, new: _NewIds
) -> None:
    new.sub_events = await _add_counted(session, SubEvent, bundle.rows["sub_event"])
    scenes = [
        old | {"story_id": story_id, "sub_event_id": new.sub_events[old["sub_event_id"]]}
        for old in bundle.rows["scene"]
    ]
    new.scenes = await _add_counted(session, SceneVersion, scenes)
    session.add_all(
        SceneStem(**old | {"scene_id": new.scenes[old["scene_id"]]})
        for old in bundle.rows["scene_stem"]
    )
    takes = [
        old
        | {
            "sub_event_id": new.sub_events[old["sub_event_id"]],
            "scene_id": new.scenes[old["scene_id"]],
        }
        for old in bundle.rows["take"]
    ]
    await _add_counted(session, Take, takes)


async def _put_revisions(
    session: AsyncSession, story_id: str, bundle: StoryRows, new: _NewIds
) -> None:
    listed = bundle.rows["revision"]
    fresh = [
        row
        | {
            "story_id": story_id,
            "parent_id": None,
            "scenes": [new.scenes[scene_id] for scene_id in row["scenes"]],
        }
        for row in listed
    ]
    new.revisions = await _add_counted(session, Revision, fresh)
    for row in listed:
        if row["parent_id"] in new.revisions:
            revision = await session.get_one(Revision, new.revisions[row["id"]])
            revision.parent_id = new.revisions[row["parent_id"]]


async def _put_mixes(session: AsyncSession, bundle: StoryRows, new: _NewIds) -> None:
    for old in bundle.rows["segment"]:
        new.segments[old["id"]] = await _put_segment(session, old)
    for old in bundle.rows["mix"]:
        mapped = {
            "revision_id": new.revisions[old["revision_id"]],
            "segments": [new.segments[segment_id] for segment_id in old["segments"]],
        }
        session.add(Mix(**old | mapped))


async def _put_segment(session: AsyncSession, old: Json) -> int:
    """Store a segment, or find the equal one that is there.

    One of the same key may differ, if another processor rendered it: this one is then kept beside
    it under a key that no stitch uses, so that the mix stays what it was to the bit.
    """
    values = {name: value for name, value in old.items() if name != "id"}
    shape = {name: old[name] for name in ("file", "offset", "samples")}
    beside = hashlib.sha256(repr((old["key"], *shape.values())).encode()).hexdigest()
    for key in (old["key"], beside):
        await insert_new(session, SegmentRow, **values | {"key": key})
        equal = [getattr(SegmentRow, name) == value for name, value in shape.items()]
        segment_id = await session.scalar(
            select(SegmentRow.id).where(SegmentRow.key == key, *equal)
        )
        if segment_id is not None:
            return segment_id
    raise RuntimeError(f"segment {old['key']} was changed within the transaction")


async def _add_counted(
    session: AsyncSession, table: type[Table], rows: Sequence[Json]
) -> dict[int, int]:
    """Add rows without their ids; return the new id of each old one."""
    added: list[Any] = [
        table(**{name: value for name, value in row.items() if name != "id"}) for row in rows
    ]
    session.add_all(added)
    await session.flush()
    return {old["id"]: row.id for old, row in zip(rows, added, strict=True)}


def _run(story: Story, old: Json, new: _NewIds) -> Run:
    values = {name: value for name, value in old.items() if name != "id"}
    if values["state"] in ACTIVE:
        values["state"] = RunState.CANCELLED
    values |= {"story_id": story.id, "revision_id": new.revisions.get(old["revision_id"])}
    return Run(**values, pending_changes=[], attempt=0, priority=story.priority, start_tag=0)


def _event_data(data: Json, new: _NewIds) -> Json:
    scene = data.get("scene")
    return data | {"scene": new.sub_events.get(scene, scene)} if isinstance(scene, int) else data


async def _conditions_of(session: AsyncSession, clips: Sequence[Clip]) -> list[str]:
    """List the stored conditions that requests name, for clips that are made again."""
    named = {ownership.condition_of(clip.request) for clip in clips}
    listed: list[str] = []
    for some in in_parts(sorted(named)):
        listed += await session.scalars(select(Condition.id).where(Condition.id.in_(some)))
    return listed


async def _list_large(session: AsyncSession, conditions: Sequence[str]) -> list[Condition]:
    """List those conditions whose tensors are in a file."""
    listed = await list_by(session, Condition, Condition.id, conditions)
    return sorted(
        (condition for condition in listed if condition.file is not None),
        key=lambda condition: condition.id,
    )


async def _list_of(
    session: AsyncSession, table: type[Revision] | type[Run] | type[Event], story_id: str
) -> list[Any]:
    """List the rows that carry a story's id, in the order of their numbers."""
    rows = select(table).where(table.story_id == story_id).order_by(table.number)
    return list(await session.scalars(rows))


def _plain(name: str, row: Table) -> Json:
    left_out = LEFT_OUT.get(name, frozenset())
    columns = inspect(type(row)).column_attrs
    return {
        column.key: getattr(row, column.key) for column in columns if column.key not in left_out
    }
