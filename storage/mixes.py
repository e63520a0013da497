"""Mixes and their segments."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import BigInteger, cast, delete, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.models import (
    Clip,
    Json,
    Mix,
    Revision,
    Run,
    SceneVersion,
    SegmentRow,
    Story,
    WorkKind,
    WorkWant,
)
from storage.upsert import expand, in_parts, insert_new, list_by


async def find_segments(session: AsyncSession, keys: Sequence[str]) -> dict[str, SegmentRow]:
    """Find the segments that are already rendered, by key."""
    segments = await list_by(session, SegmentRow, SegmentRow.key, keys)
    return {segment.key: segment for segment in segments}


async def add_segment(session: AsyncSession, key: str, **values: Any) -> SegmentRow:
    """Store a rendered segment; one of the same key is rendered anew into its row."""
    await insert_new(session, SegmentRow, key=key, **values)
    segment = await session.scalar(
        select(SegmentRow).where(SegmentRow.key == key).with_for_update()
    )
    if segment is None:
        raise RuntimeError(f"segment {key} vanished within a transaction")
    for name, value in values.items():
        setattr(segment, name, value)
    return segment


async def list_waiting(session: AsyncSession, clip_key: str) -> list[tuple[list[int], int, float]]:
    """List where runs wait for a clip.

    Returns:
        The scene versions of the run's revision in order, one that is heard as the clip (perhaps
        not of this revision), and the seconds that clips of the story last beyond their scenes.
    """
    rows = await session.execute(
        select(Revision.scenes, SceneVersion.id, Story.tail_s)
        .select_from(WorkWant)
        .join(Run, Run.id == WorkWant.run_id)
        .join(Revision, Revision.id == Run.revision_id)
        .join(Story, Story.id == Run.story_id)
        .join(SceneVersion, SceneVersion.clip_key == WorkWant.work_key)
        .where(
            WorkWant.work_key == clip_key,
            WorkWant.work_kind == WorkKind.CLIP,
            SceneVersion.story_id == Run.story_id,
        )
    )
    return [(scenes, scene_id, tail_s) for scenes, scene_id, tail_s in rows]


async def list_heard(
    session: AsyncSession, scene_ids: Sequence[int]
) -> dict[int, tuple[int, str | None]]:
    """Return samples and clip file of a few scene versions, None where it is not made yet."""
    rows = await session.execute(
        select(SceneVersion.id, SceneVersion.samples, Clip.file)
        .outerjoin(Clip, Clip.key == SceneVersion.clip_key)
        .where(SceneVersion.id.in_(scene_ids))
    )
    return {scene_id: (samples, file) for scene_id, samples, file in rows}


async def list_segments(session: AsyncSession, mix: Mix) -> list[SegmentRow]:
    """List the segments of a mix in the order they are heard."""
    return await list_some(session, mix.segments)


async def list_some(session: AsyncSession, segment_ids: Sequence[int]) -> list[SegmentRow]:
    """List segments by id, in the order of the ids."""
    segments = await list_by(session, SegmentRow, SegmentRow.id, segment_ids)
    by_id = {segment.id: segment for segment in segments}
    return [by_id[segment_id] for segment_id in segment_ids]


async def add(
    session: AsyncSession,
    revision: Revision,
    segments: Sequence[int],
    mastering: Json,
) -> None:
    """Store the mix of a revision, unless it is there; it is not accepted yet.

    Args:
        session: a writing session.
        revision: whose mix it is.
        segments: ids in the order they are heard.
        mastering: gain, limiter, what was reached, and the number of the revision whose it is.
    """
    is_new = await insert_new(
        session,
        Mix,
        revision_id=revision.id,
        segments=list(segments),
        samples=revision.samples,
        mastering=mastering,
        is_accepted=False,
    )
    if is_new:
        await events.append(
            session,
            revision.story_id,
            "mix.ready",
            revision=revision.number,
        )


async def remove(session: AsyncSession, revision: Revision) -> None:
    """Forget the mix of a revision, whose clips sound different now."""
    await session.execute(delete(Mix).where(Mix.revision_id == revision.id))


async def accept(session: AsyncSession, revision: Revision, mastering: Json) -> None:
    """Note that a mix is accepted, and give it the mastering that is its own."""
    mix = await session.get_one(Mix, revision.id, with_for_update=True)
    if not mix.is_accepted:
        mix.mastering, mix.is_accepted = mastering, True
        await events.append(session, revision.story_id, "mix.accepted", revision=revision.number)


async def list_segment_files(session: AsyncSession, mix: Mix) -> dict[str, tuple[int, str]]:
    """Return id and file of each segment of a mix by key, without its loudness."""
    by_key: dict[str, tuple[int, str]] = {}
    for some in in_parts(mix.segments):
        rows = await session.execute(
            select(SegmentRow.key, SegmentRow.id, SegmentRow.file).where(SegmentRow.id.in_(some))
        )
        by_key |= {key: (segment_id, file) for key, segment_id, file in rows}
    return by_key


async def list_places(session: AsyncSession, mix: Mix) -> list[tuple[str, int, int]]:
    """Return file, offset and samples of each segment of a mix in order, without its loudness."""
    by_id: dict[int, tuple[str, int, int]] = {}
    for some in in_parts(mix.segments):
        rows = await session.execute(
            select(SegmentRow.id, SegmentRow.file, SegmentRow.offset, SegmentRow.samples).where(
                SegmentRow.id.in_(some)
            )
        )
        by_id |= {row[0]: (row[1], row[2], row[3]) for row in rows}
    return [by_id[segment_id] for segment_id in mix.segments]


async def find_around(
    session: AsyncSession, file: str
) -> tuple[SegmentRow, SegmentRow, SegmentRow] | None:
    """Find the seam whose sound is a file, between the two bodies that it joins.

    Returns:
        The body before it, the seam, the body after it; None if no mix has such a seam.
    """
    of_file = await session.scalars(select(SegmentRow).where(SegmentRow.file == file))
    named = {segment.id for segment in of_file if segment.seam is not None}
    if not named:
        return None
    listed = expand(session, Mix.segments)
    mix = await session.scalar(
        select(Mix).join(listed, true()).where(cast(listed.c.value, BigInteger).in_(named)).limit(1)
    )
    if mix is None:
        return None
    for (before, at), (_, after) in pairwise(pairwise(mix.segments)):
        if at in named:
            left, seam, right = await list_some(session, [before, at, after])
            return left, seam, right
    return None


async def rename_file(session: AsyncSession, file: str, now: str) -> None:
    """Let the segments of one file be those of another that sounds the same."""
    await session.execute(
        update(SegmentRow)
        .where(SegmentRow.file == file)
        .values(file=now)
        .execution_options(synchronize_session=False)
    )


async def copy(session: AsyncSession, mix: Mix, revision: Revision) -> None:
    """Hear another story's revision as this mix."""
    session.add(
        Mix(
            revision_id=revision.id,
            segments=mix.segments,
            samples=mix.samples,
            mastering=mix.mastering | {"of_revision": revision.number},
            is_accepted=mix.is_accepted,
        )
    )
    await session.flush()
