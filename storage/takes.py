"""Takes: every clip that was ever wanted for a sub-event, numbered, kept with its recipe."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.clips import WORK
from storage.errors import NotFound
from storage.models import Clip, SceneStem, SceneVersion, SubEvent, Take, TakeOrigin, Work


async def add(
    session: AsyncSession, scene: SceneVersion, stem: str, clip_key: str, origin: TakeOrigin
) -> Take:
    """Note that a clip was wanted for a scene; a clip is one take of a sub-event, however often."""
    return (await add_all(session, [(scene, stem, clip_key)], origin))[scene.id, stem]


async def add_all(
    session: AsyncSession, wanted: Sequence[tuple[SceneVersion, str, str]], origin: TakeOrigin
) -> dict[tuple[int, str], Take]:
    """Note that clips were wanted for stems of scenes.

    Args:
        session: a writing session.
        wanted: scene versions, each with the name of a stem and the clip's key.
        origin: why.

    Returns:
        The takes by the ids of the scene versions and stems.
    """
    sub_events = [scene.sub_event_id for scene, _, _ in wanted]
    keys = [key for _, _, key in wanted]
    listed = select(Take).where(Take.sub_event_id.in_(sub_events), Take.clip_key.in_(keys))
    known = {(take.sub_event_id, take.clip_key): take for take in await session.scalars(listed)}
    fresh = {
        (scene.sub_event_id, key): (scene, stem)
        for scene, stem, key in wanted
        if (scene.sub_event_id, key) not in known
    }
    following = await _number(session, Counter(sub_event_id for sub_event_id, _ in fresh))
    for (sub_event_id, key), (scene, stem) in fresh.items():
        take = Take(
            sub_event_id=sub_event_id,
            number=next(following[sub_event_id]),
            stem=stem,
            scene_id=scene.id,
            clip_key=key,
            origin=origin,
        )
        session.add(take)
        known[sub_event_id, key] = take
    await session.flush()
    return {(scene.id, stem): known[scene.sub_event_id, key] for scene, stem, key in wanted}


async def _number(session: AsyncSession, counts: Counter[int]) -> dict[int, Iterator[int]]:
    """Take as many numbers of takes as are given for each sub-event."""
    following: dict[int, Iterator[int]] = {}
    for count in sorted(set(counts.values())):
        numbered = await session.execute(
            update(SubEvent)
            .where(SubEvent.id.in_([key for key, needs in counts.items() if needs == count]))
            .values(next_take=SubEvent.next_take + count)
            .returning(SubEvent.id, SubEvent.next_take)
            .execution_options(synchronize_session=False)
        )
        following |= {row[0]: iter(range(row[1] - count, row[1])) for row in numbered}
    return following


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


async def list_before(
    session: AsyncSession, stems: Sequence[SceneStem]
) -> dict[tuple[int, str], Clip]:
    """List the clip that each stem's sub-event was heard as before, by scene version and stem.

    One that has no earlier take is left out.
    """
    scene_ids = [heard.scene_id for heard in stems]
    owners = {
        row.id: row.sub_event_id
        for row in await session.scalars(select(SceneVersion).where(SceneVersion.id.in_(scene_ids)))
    }
    rows = await session.execute(
        select(Take, Clip)
        .join(Clip, Clip.key == Take.clip_key)
        .where(Take.sub_event_id.in_(owners.values()), Take.origin != TakeOrigin.REQUESTED)
        .order_by(Take.number)
    )
    made: dict[tuple[int, str], list[tuple[Take, Clip]]] = {}
    for take, clip in rows:
        made.setdefault((take.sub_event_id, take.stem), []).append((take, clip))
    before: dict[tuple[int, str], Clip] = {}
    for heard in stems:
        earlier = made.get((owners[heard.scene_id], heard.stem), [])
        others = [
            clip
            for take, clip in earlier
            if clip.key != heard.clip_key and take.scene_id != heard.scene_id
        ]
        if others:
            before[heard.scene_id, heard.stem] = others[-1]
    return before


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
