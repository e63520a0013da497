"""Mixes and their segments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.lookup import list_by
from storage.models import Json, Mix, Revision, Segment


async def find_segments(session: AsyncSession, keys: Sequence[str]) -> dict[str, Segment]:
    """Find the segments that are already rendered, by key."""
    found = await list_by(session, Segment, Segment.key, keys)
    return {segment.key: segment for segment in found}


async def add_segment(session: AsyncSession, key: str, **values: Any) -> Segment:
    """Store a rendered segment unless an equal one was stored meanwhile."""
    segment = await session.scalar(select(Segment).where(Segment.key == key))
    if segment is None:
        segment = Segment(key=key, **values)
        session.add(segment)
        await session.flush()
    return segment


async def list_segments(session: AsyncSession, mix: Mix) -> list[Segment]:
    """List the segments of a mix in the order they are heard."""
    found = await list_by(session, Segment, Segment.id, mix.segments)
    by_id = {segment.id: segment for segment in found}
    return [by_id[segment_id] for segment_id in mix.segments]


async def add(
    session: AsyncSession, revision: Revision, segments: Sequence[int], programme: Json
) -> Mix:
    """Store the mix of a revision, or return the one that is there."""
    mix = await session.get(Mix, revision.id)
    if mix is None:
        mix = Mix(
            revision_id=revision.id,
            segments=list(segments),
            samples=revision.samples,
            programme=programme,
        )
        session.add(mix)
        await events.append(session, revision.story_id, "mix.ready", revision=revision.id)
    return mix
