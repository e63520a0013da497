"""Webhooks and what is on its way to them.

A delivery is written in the transaction that wrote its event, so that neither is there without
the other. It is sent at least once, by whoever claims it; `next_at` doubles as the lease.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    cast,
    delete,
    desc,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.errors import Conflict, NotFound
from storage.models import ApiKey, Delivery, DeliveryState, Event, Json, Story, Webhook, now_s

TEST_KIND = "webhook.test"  # of no story: sent to try an address
ID_BYTES, SECRET_BYTES = 9, 32
HELD_ATTEMPTS = 4  # an event is overtaken by those after it once it failed this often
MAX_WEBHOOKS = 100  # of one owner
MAX_GIVEN_UP = 20  # in a row, before a webhook is disabled
IS_ANYONE_LISTENING = exists().where(Webhook.disabled_at.is_(None))  # rides on another statement


@dataclass(frozen=True)
class Outgoing:
    """A claimed delivery with everything that is needed to send it."""

    id: int
    attempt: int  # counts from 1, this one included
    webhook_id: str
    url: str
    secret: str
    story_id: str  # empty for a test
    number: int
    kind: str
    data: Json
    at: float  # when the event happened, in seconds since 1970


async def add(
    session: AsyncSession,
    *,
    url: str,
    story_id: str | None,
    kinds: Sequence[str],
    owner_key: str | None,
) -> Webhook:
    """Store a webhook with a fresh secret.

    Raises:
        Conflict: if its owner has `MAX_WEBHOOKS`.
        NotFound: if there is no such story.
    """
    if story_id is not None and await session.get(Story, story_id) is None:
        raise NotFound("story", story_id)
    has = await session.scalar(
        select(func.count())
        .select_from(Webhook)
        .where(Webhook.owner_key.is_not_distinct_from(owner_key))
    )
    if (has or 0) >= MAX_WEBHOOKS:
        raise Conflict(f"There are {has} webhooks; remove one that is not needed.")
    webhook = Webhook(
        id=f"wh_{secrets.token_hex(ID_BYTES)}",
        owner_key=owner_key,
        story_id=story_id,
        url=url,
        secret=f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}",
        kinds=list(kinds),
    )
    session.add(webhook)
    await session.flush()
    return webhook


async def get(session: AsyncSession, webhook_id: str, sees_only: str | None = None) -> Webhook:
    """Get a webhook.

    Args:
        session: of a transaction.
        webhook_id: of the webhook.
        sees_only: the key whose webhooks alone exist for the caller; None: all do.

    Raises:
        NotFound: if there is none of that id.
    """
    webhook = await session.get(Webhook, webhook_id)
    if webhook is None or sees_only not in (None, webhook.owner_key):
        raise NotFound("webhook", webhook_id)
    return webhook


async def list_oldest(session: AsyncSession, sees_only: str | None = None) -> list[Webhook]:
    """List the webhooks that exist for a caller, the oldest first; see `get`."""
    wanted = select(Webhook).order_by(Webhook.created_at, Webhook.id)
    if sees_only is not None:
        wanted = wanted.where(Webhook.owner_key == sees_only)
    return list(await session.scalars(wanted))


async def remove(session: AsyncSession, webhook: Webhook) -> None:
    """Remove a webhook and what was on its way to it."""
    await session.execute(delete(Webhook).where(Webhook.id == webhook.id))


async def list_deliveries(
    session: AsyncSession, webhook_id: str, limit: int
) -> list[tuple[Delivery, str]]:
    """List the deliveries to a webhook with the kinds of their events, newest first."""
    rows = await session.execute(
        select(Delivery, func.coalesce(Event.kind, TEST_KIND))
        .outerjoin(Event, _is_its_event())
        .where(Delivery.webhook_id == webhook_id)
        .order_by(desc(Delivery.id))
        .limit(limit)
    )
    return [(delivery, kind) for delivery, kind in rows]


async def get_delivery(session: AsyncSession, delivery_id: int) -> Delivery:
    """Get a delivery that is known to exist, as it now stands."""
    return await session.get_one(Delivery, delivery_id, populate_existing=True)


async def announce(session: AsyncSession, story_id: str, number: int, kind: str) -> None:
    """Queue an event for every webhook of its kind; `events.append` calls it."""
    heard = select(
        Webhook.id,
        literal(story_id),
        literal(number),
        literal(DeliveryState.DUE.value),
        literal(0),
        now_s(),
    ).where(Story.id == story_id, _hears(kind))
    columns = ["webhook_id", "story_id", "event_number", "state", "attempt", "next_at"]
    await session.execute(insert(Delivery).from_select(columns, heard))


async def add_test(session: AsyncSession, webhook: Webhook) -> Delivery:
    """Put a test on its way to a webhook.

    Raises:
        Conflict: if the webhook is disabled.
    """
    if webhook.disabled_at is not None:
        raise Conflict(f"The webhook {webhook.id} is disabled. Remove it and add it again.")
    latest = await session.scalar(
        select(func.max(Delivery.event_number)).where(
            Delivery.webhook_id == webhook.id, Delivery.story_id == ""
        )
    )
    delivery = Delivery(
        webhook_id=webhook.id,
        story_id="",
        event_number=(latest or 0) + 1,
        state=DeliveryState.DUE,
        attempt=0,
        next_at=await _now(session),
    )
    session.add(delivery)
    await session.flush()
    return delivery


async def next_due_s(session: AsyncSession) -> float | None:
    """Return the seconds until a delivery is due, 0 if one is; None if there is none."""
    first = select(func.min(Delivery.next_at)).where(_is_due(), ~_must_wait())
    wait_s = await session.scalar(select(first.scalar_subquery() - now_s()))
    return None if wait_s is None else max(0.0, wait_s)


async def claim(session: AsyncSession, most: int, lease_s: float) -> list[Outgoing]:
    """Claim up to `most` deliveries that are due, those that waited longest first.

    An event waits for the earlier ones of its story, unless those have failed several times.

    Args:
        session: a writing session.
        most: how many at most.
        lease_s: seconds until others may claim those that are not settled.
    """
    due = await session.execute(
        select(Delivery, Webhook, Event)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .outerjoin(Event, _is_its_event())
        .where(_is_due(), Delivery.next_at <= now_s(), ~_must_wait())
        .order_by(Delivery.next_at, Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True, of=Delivery)
    )
    now = await _now(session)
    claimed = []
    for delivery, webhook, event in due.all():
        delivery.attempt += 1
        delivery.next_at = now + lease_s
        claimed.append(_outgoing(delivery, webhook, event, now))
    return claimed


async def settle_delivered(session: AsyncSession, sent: Outgoing, status: int) -> None:
    """Note that a delivery arrived, even if another sender has claimed it meanwhile."""
    await _settle(
        session,
        Delivery.id == sent.id,
        state=DeliveryState.DELIVERED,
        status=status,
        error=None,
        delivered_at=now_s(),
        next_at=now_s(),
    )


async def settle_failed(
    session: AsyncSession, sent: Outgoing, status: int | None, error: str, retry_s: float | None
) -> None:
    """Note that an attempt failed, unless another has been made since.

    Args:
        session: a writing session.
        sent: what was claimed.
        status: of HTTP, None if there was no answer.
        error: what went wrong, a clause.
        retry_s: seconds until the next attempt; None gives the delivery up, and disables the
            webhook if it is one too many in a row.
    """
    is_last = retry_s is None
    await _settle(
        session,
        and_(Delivery.id == sent.id, Delivery.attempt == sent.attempt),
        state=DeliveryState.GIVEN_UP if is_last else DeliveryState.DUE,
        status=status,
        error=error,
        next_at=now_s() + (retry_s or 0.0),
    )
    if is_last and await _gave_up_in_a_row(session, sent.webhook_id):
        await disable(session, sent.webhook_id, "gave up too often")


async def disable(session: AsyncSession, webhook_id: str, reason: str) -> None:
    """Send nothing more to a webhook; what was on its way is given up."""
    await session.execute(
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.disabled_at.is_(None))
        .values(disabled_at=now_s())
        .execution_options(synchronize_session=False)
    )
    await _settle(
        session,
        Delivery.webhook_id == webhook_id,
        state=DeliveryState.GIVEN_UP,
        error=f"the webhook was disabled: {reason}",
        next_at=now_s(),
    )


def _hears(kind: str) -> ColumnElement[bool]:
    kinds = cast(Webhook.kinds, Text)  # kinds are plain words: their JSON is searched as text
    is_its_story = or_(
        Webhook.story_id == Story.id,
        and_(
            Webhook.story_id.is_(None),
            Webhook.owner_key.is_not_distinct_from(Story.owner_key),
        ),
    )
    is_revoked = exists().where(ApiKey.id == Webhook.owner_key, ApiKey.revoked_at.is_not(None))
    return and_(
        Webhook.disabled_at.is_(None),
        ~is_revoked,
        is_its_story,
        or_(kinds == "[]", kinds.contains(f'"{kind}"', autoescape=True)),
    )


def _is_its_event() -> ColumnElement[bool]:
    return and_(Event.story_id == Delivery.story_id, Event.number == Delivery.event_number)


def _is_due() -> ColumnElement[bool]:
    return Delivery.state == literal(
        DeliveryState.DUE.value, literal_execute=True
    )  # else no partial index is used


def _must_wait() -> ColumnElement[bool]:
    """Return whether an earlier event of the same story is still on its way to the webhook."""
    earlier = aliased(Delivery)
    return exists().where(
        earlier.webhook_id == Delivery.webhook_id,
        earlier.story_id == Delivery.story_id,
        earlier.event_number < Delivery.event_number,
        earlier.state == literal(DeliveryState.DUE.value, literal_execute=True),
        earlier.attempt < HELD_ATTEMPTS,
    )


def _outgoing(delivery: Delivery, webhook: Webhook, event: Event | None, now: float) -> Outgoing:
    return Outgoing(
        id=delivery.id,
        attempt=delivery.attempt,
        webhook_id=webhook.id,
        url=webhook.url,
        secret=webhook.secret,
        story_id=delivery.story_id,
        number=delivery.event_number,
        kind=event.kind if event else TEST_KIND,
        data=event.data if event else {"webhook_id": webhook.id},
        at=event.created_at if event else now,
    )


async def _settle(session: AsyncSession, which: ColumnElement[bool], **values: Any) -> None:
    await session.execute(
        update(Delivery)
        .where(which, Delivery.state == DeliveryState.DUE)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


async def _gave_up_in_a_row(session: AsyncSession, webhook_id: str) -> bool:
    latest = list(
        await session.scalars(
            select(Delivery.state)
            .where(Delivery.webhook_id == webhook_id, Delivery.state != DeliveryState.DUE)
            .order_by(desc(Delivery.next_at), desc(Delivery.id))
            .limit(MAX_GIVEN_UP)
        )
    )
    return len(latest) == MAX_GIVEN_UP and set(latest) == {DeliveryState.GIVEN_UP}


async def _now(session: AsyncSession) -> float:
    return (await session.execute(select(now_s()))).scalar_one()
