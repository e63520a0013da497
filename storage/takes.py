"""Takes: every clip that was ever wanted for a sub-event, numbered, kept with its recipe."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.clips import WORK
from storage.errors import NotFound
from storage.models import Clip, SceneVersion, SubEvent, Take, TakeOrigin, Work


async def add(
    session: AsyncSession, scene: SceneVersion, clip_key: str, origin: TakeOrigin
) -> Take:
    """Note that a clip was wanted for a scene; a clip is one take of a sub-event, however often."""
    return (await add_all(session, [(scene, clip_key)], origin))[scene.id]


async def add_all(
    session: AsyncSession, wanted: Sequence[tuple[SceneVersion, str]], origin: TakeOrigin
) -> dict[int, Take]:
    """Note that clips were wanted for scenes of different sub-events.

    Returns:
        The take of each scene version, by its id.
    """
    sub_events = [scene.sub_event_id for scene, _ in wanted]
    keys = [key for _, key in wanted]
    listed = select(Take).where(Take.sub_event_id.in_(sub_events), Take.clip_key.in_(keys))
    known = {(take.sub_event_id, take.clip_key): take for take in await session.scalars(listed)}
    fresh = [pair for pair in wanted if (pair[0].sub_event_id, pair[1]) not in known]
    numbered = await session.execute(
        update(SubEvent)
        .where(SubEvent.id.in_([scene.sub_event_id for scene, _ in fresh]))
        .values(next_take=SubEvent.next_take + 1)
        .returning(SubEvent.id, SubEvent.next_take)
        .execution_options(synchronize_session=False)
    )
    following = {row[0]: row[1] for row in numbered}
    for scene, key in fresh:
        take = Take(
            sub_event_id=scene.sub_event_id,
            number=following[scene.sub_event_id] - 1,
            scene_id=scene.id,
            clip_key=key,
            origin=origin,
        )
        session.add(take)
        known[scene.sub_event_id, key] = take
    await session.flush()
    return {scene.id: known[scene.sub_event_id, key] for scene, key in wanted}


async def find_by_clip(session: AsyncSession, sub_event_id: int, clip_key: str) -> Take | None:
    """Find the take of a sub-event that is a clip."""
    return await session.scalar(
        select(Take).where(Take.sub_event_id == sub_event_id, Take.clip_key == clip_key)
    )


async def get(session: AsyncSession, sub_event_id: int, number: int) -> Take:
    """Get a take by its number.

    Raises:
        NotFound: if the sub-event has none of that number.
    """
    take = await session.scalar(
        select(Take).where(Take.sub_event_id == sub_event_id, Take.number == number)
    )
    if take is None:
        raise NotFound("take", number)
    return take


async def list_of(
    session: AsyncSession, sub_event_id: int
) -> list[tuple[Take, SceneVersion, Clip, Work]]:
    """List the takes of a sub-event with the wordings they were made from, oldest first."""
    rows = await session.execute(
        select(Take, SceneVersion, Clip, Work)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .join(Clip, Clip.key == Take.clip_key)
        .join(Work, WORK)
        .where(Take.sub_event_id == sub_event_id)
        .order_by(Take.number)
    )
    return [(take, scene, clip, work) for take, scene, clip, work in rows]
