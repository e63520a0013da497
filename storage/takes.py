"""Takes: every clip that was ever wanted for a sub-event, numbered, kept with its recipe."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import NotFound
from storage.models import Clip, SceneVersion, SubEvent, Take

MADE, REROLLED, ASKED = "made", "re-rolled", "asked for"


async def add(session: AsyncSession, scene: SceneVersion, clip_key: str, origin: str) -> Take:
    """Note that a clip was wanted for a scene; a clip is one take of a sub-event, however often."""
    numbered = await session.execute(
        update(SubEvent)
        .where(SubEvent.id == scene.sub_event_id)
        .values(next_take=SubEvent.next_take + 1)
        .returning(SubEvent.next_take)
        .execution_options(synchronize_session=False)
    )
    number = numbered.scalar_one() - 1
    take = await find_by_clip(session, scene.sub_event_id, clip_key)
    if take is None:
        take = Take(
            sub_event_id=scene.sub_event_id,
            number=number,
            scene_id=scene.id,
            clip_key=clip_key,
            origin=origin,
        )
        session.add(take)
        await session.flush()
    else:
        await session.execute(
            update(SubEvent)
            .where(SubEvent.id == scene.sub_event_id)
            .values(next_take=number)
            .execution_options(synchronize_session=False)
        )
    return take


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
) -> list[tuple[Take, SceneVersion, Clip]]:
    """List the takes of a sub-event with the wordings they were made from, oldest first."""
    rows = await session.execute(
        select(Take, SceneVersion, Clip)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .join(Clip, Clip.key == Take.clip_key)
        .where(Take.sub_event_id == sub_event_id)
        .order_by(Take.number)
    )
    return [(take, scene, clip) for take, scene, clip in rows]
