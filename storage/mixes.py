"""Mixes and their segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import BigInteger, case, cast, delete, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.models import (
    Clip,
    Json,
    Mix,
    Revision,
    Run,
    SceneStem,
    SceneVersion,
    SegmentRow,
    Story,
    WorkKind,
    WorkWant,
)
from storage.upsert import expand, in_parts, insert_new, list_by

SUM = "sum"  # names the chain of figures of all stems, where there are several
SPOKEN = case((SceneStem.stem == "dialogue", Clip.measures))  # of other stems it is not read


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


async def list_waiting(
    session: AsyncSession, clip_key: str
) -> list[tuple[Revision, int, str, float]]:
    """List where runs wait for a clip.

    Returns:
        The run's revision, a scene version that is heard as the clip (perhaps not of this
        revision), which of its stems, and the seconds that clips of the story last beyond their
        scenes.
    """
    rows = await session.execute(
        select(Revision, SceneVersion.id, SceneStem.stem, Story.tail_s)
        .select_from(WorkWant)
        .join(Run, Run.id == WorkWant.run_id)
        .join(Revision, Revision.id == Run.revision_id)
        .join(Story, Story.id == Run.story_id)
        .join(SceneStem, SceneStem.clip_key == WorkWant.work_key)
        .join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
        .where(
            WorkWant.work_key == clip_key,
            WorkWant.work_kind == WorkKind.CLIP,
            SceneVersion.story_id == Run.story_id,
        )
    )
    return [(revision, scene_id, stem, tail_s) for revision, scene_id, stem, tail_s in rows]


@dataclass(frozen=True)
class Heard:
    """What is heard of a scene version."""

    samples: int  # of the scene, tails excluded
    files: dict[str, str | None] = field(default_factory=dict)  # by stem; None: not made yet
    spoken: list[list[int]] = field(default_factory=list)  # when its dialogue speaks, in samples
    gain_db: dict[str, float] = field(default_factory=dict)  # of stems, where they have one here


async def list_heard(session: AsyncSession, scene_ids: Sequence[int]) -> list[Heard]:
    """Return what is heard of scene versions, in the order of the ids."""
    heard: dict[int, Heard] = {}
    for some in in_parts(scene_ids):
        rows = await session.execute(
            select(
                SceneVersion.id,
                SceneVersion.samples,
                SceneStem.stem,
                Clip.file,
                SPOKEN,
                SceneVersion.stem_gain_db,
            )
            .join(SceneStem, SceneStem.scene_id == SceneVersion.id)
            .outerjoin(Clip, Clip.key == SceneStem.clip_key)
            .where(SceneVersion.id.in_(some))
        )
        for scene_id, samples, stem, file, measures, gain_db in rows:
            scene = heard.setdefault(scene_id, Heard(samples, gain_db=gain_db or {}))
            scene.files[stem] = file
            if measures is not None:
                scene.spoken.extend(measures.get("spoken", ()))
    return [heard[scene_id] for scene_id in scene_ids]


def chains_of(mix: Mix) -> dict[str, list[int]]:
    """Return the ids of a mix's segments in the order they are heard, by stem."""
    length = len(mix.segments) // len(mix.stems)
    return {
        stem: mix.segments[at * length : (at + 1) * length] for at, stem in enumerate(mix.stems)
    }


async def list_segments(session: AsyncSession, mix: Mix) -> list[SegmentRow]:
    """List the segments of all that is heard, in order: of the sum, where there are stems."""
    return await list_some(session, chains_of(mix)[mix.stems[0]])


async def list_some(session: AsyncSession, segment_ids: Sequence[int]) -> list[SegmentRow]:
    """List segments by id, in the order of the ids."""
    segments = await list_by(session, SegmentRow, SegmentRow.id, segment_ids)
    by_id = {segment.id: segment for segment in segments}
    return [by_id[segment_id] for segment_id in segment_ids]


async def add(
    session: AsyncSession,
    revision: Revision,
    chains: Mapping[str, Sequence[int]],
    balance: Json | None,
    mastering: Json,
) -> None:
    """Store the mix of a revision, unless it is there; it is not accepted yet.

    Args:
        session: a writing session.
        revision: whose mix it is.
        chains: ids of segments in the order they are heard, by stem; where there are several
            stems, the first one is their sum.
        balance: of the stems, where there are several.
        mastering: gain, limiter, what was reached, and the number of the revision whose it is.
    """
    is_new = await insert_new(
        session,
        Mix,
        revision_id=revision.id,
        stems=list(chains),
        segments=[segment_id for chain in chains.values() for segment_id in chain],
        balance=balance,
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


async def list_segment_files(session: AsyncSession, mix: Mix) -> dict[str, tuple[int, str | None]]:
    """Return id and file of each segment of a mix by key, without its loudness."""
    by_key: dict[str, tuple[int, str | None]] = {}
    for some in in_parts(mix.segments):
        rows = await session.execute(
            select(SegmentRow.key, SegmentRow.id, SegmentRow.file).where(SegmentRow.id.in_(some))
        )
        by_key |= {key: (segment_id, file) for key, segment_id, file in rows}
    return by_key


async def list_places(
    session: AsyncSession, mix: Mix
) -> dict[str, list[tuple[str | None, int, int]]]:
    """Return file, offset and samples of the segments of each chain, without their loudness."""
    by_id: dict[int, tuple[str | None, int, int]] = {}
    for some in in_parts(mix.segments):
        rows = await session.execute(
            select(SegmentRow.id, SegmentRow.file, SegmentRow.offset, SegmentRow.samples).where(
                SegmentRow.id.in_(some)
            )
        )
        by_id |= {row[0]: (row[1], row[2], row[3]) for row in rows}
    return {
        stem: [by_id[segment_id] for segment_id in chain] for stem, chain in chains_of(mix).items()
    }


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
    for chain in chains_of(mix).values():
        for (before, at), (_, after) in pairwise(pairwise(chain)):
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
            stems=mix.stems,
            segments=mix.segments,
            balance=mix.balance,
            samples=mix.samples,
            mastering=mix.mastering | {"of_revision": revision.number},
            is_accepted=mix.is_accepted,
        )
    )
    await session.flush()
