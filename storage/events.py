"""The event log of a story: every change of state, in the order of commit."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import webhooks
from storage.errors import NotFound
from storage.models import Event, Story

PROGRESS = ("plan.ready", "clip.queued", "clip.finished", "mix.ready")  # ends any outage


async def append(session: AsyncSession, story_id: str, kind: str, **data: Any) -> int:
    """Append an event within the transaction that makes the change; return its number.

    The number comes from a counter on the story row, so that the row's lock makes commit order
    number order: a reader that saw number n has seen everything before it. The event is put on
    its way to the webhooks that want to hear of it.

    Raises:
        NotFound: if the story does not exist.
    """
    return await append_all(session, story_id, [(kind, data)])


async def append_all(
    session: AsyncSession, story_id: str, happened: Sequence[tuple[str, dict[str, Any]]]
) -> int:
    """Append events of a story, each a kind and its data; return the number of the last.

    Raises:
        NotFound: if the story does not exist.
    """
    counted = await session.execute(
        update(Story)
        .where(Story.id == story_id)
        .values(next_event=Story.next_event + len(happened))
        .returning(Story.next_event, webhooks.IS_ANYONE_LISTENING)
        .execution_options(synchronize_session=False)
    )
    row = counted.one_or_none()
    if row is None:
        raise NotFound("story", story_id)
    following, is_anyone_listening = row
    for number, (kind, data) in enumerate(happened, following - len(happened)):
        if is_anyone_listening:
            await webhooks.announce(session, story_id, number, kind)
        session.add(Event(story_id=story_id, number=number, kind=kind, data=data))
    return following - 1


async def append_once(
    session: AsyncSession, story_id: str, kind: str, until: Collection[str], **data: Any
) -> None:
    """Append an event unless the story has one that none of the kinds in `until` has followed."""
    newest = await session.scalar(
        select(Event.kind)
        .where(Event.story_id == story_id, Event.kind.in_([kind, *until]))
        .order_by(Event.number.desc())
        .limit(1)
    )
    if newest != kind:
        await append(session, story_id, kind, **data)


async def list_after(
    session: AsyncSession, story_id: str, number: int, limit: int = 500
) -> list[Event]:
    """List the events that follow `number`, oldest first; 0 is before the first."""
    listed = await session.scalars(
        select(Event)
        .where(Event.story_id == story_id, Event.number > number)
        .order_by(Event.number)
        .limit(limit)
    )
    return list(listed)
