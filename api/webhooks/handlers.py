"""What the commands about webhooks do once their input is known to be good."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.markup import escape
from rich.table import Table

from api.settings import Settings, read_settings
from api.store import OpenStore, open_store
from api.terminal.console import err, out, print_json
from api.webhooks.service import DeliveryView, WebhookView, create_webhook, parse_webhook
from storage import keys, webhooks
from storage.models import Delivery, DeliveryState

TEST_S = 20.0  # for `serve` to send a test and for the answer to come
LOOK_S = 1.0  # between two looks, where no change tells


async def add(url: str, story_id: str | None, kinds: list[str], *, as_json: bool) -> None:
    """Add a webhook that belongs to nobody's key, and print its secret."""
    wanted = parse_webhook(url, story_id, kinds)
    async with _opened() as (store, settings):
        made = await create_webhook(
            store.database, wanted, None, allow_private=settings.webhook_allow_private
        )
        await _audit(store, "webhooks add", made.id)
    if as_json:
        print_json(made.model_dump())
        return
    out.print(f"[bold]{made.id}[/]  {escape(made.url)}", soft_wrap=True)
    out.print(f"secret {made.secret}  (not shown again)", soft_wrap=True)


async def list_all(*, as_json: bool) -> None:
    """Print all webhooks."""
    async with _opened() as (store, _), store.database.read() as session:
        views = [WebhookView.of(webhook) for webhook in await webhooks.list_oldest(session)]
    if as_json:
        print_json([view.model_dump() for view in views])
        return
    table = Table(expand=True)
    table.add_column("id", no_wrap=True)
    for column in ("url", "story", "kinds", "state"):
        table.add_column(column, overflow="fold")
    for view in views:
        told = "disabled" if view.disabled_at else ""
        kinds = ", ".join(view.kinds) or "all"
        table.add_row(view.id, escape(view.url), view.story_id or "all", kinds, told)
    out.print(table)


async def remove(webhook_id: str) -> None:
    """Remove a webhook."""
    async with _opened() as (store, _):
        async with store.database.write() as session:
            await webhooks.remove(session, await webhooks.get(session, webhook_id))
        await _audit(store, "webhooks remove", webhook_id)
    out.print(f"{webhook_id} is removed")


async def list_deliveries(webhook_id: str, limit: int, *, as_json: bool) -> None:
    """Print what was sent to a webhook."""
    async with _opened() as (store, _), store.database.read() as session:
        await webhooks.get(session, webhook_id)
        rows = await webhooks.list_deliveries(session, webhook_id, limit)
    views = [DeliveryView.of(delivery, kind) for delivery, kind in rows]
    if as_json:
        print_json([view.model_dump() for view in views])
        return
    table = Table(expand=True)
    for column in ("story", "#", "kind", "state", "attempts", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("error", ratio=1, overflow="fold")
    for view in views:
        table.add_row(
            view.story_id or "",
            str(view.event_number),
            view.kind,
            view.state,
            str(view.attempt),
            str(view.status or ""),
            escape(view.error or ""),
        )
    out.print(table)


async def test(webhook_id: str) -> bool:
    """Have a test sent by `serve`; tell whether it arrived."""
    async with _opened() as (store, _):
        async with store.database.write() as session:
            delivery = await webhooks.add_test(session, await webhooks.get(session, webhook_id))
        sent = await _await_attempt(store, delivery.id)
    if sent.state == DeliveryState.DELIVERED:
        out.print(f"delivered: answered {sent.status}")
        return True
    told = sent.error or "it was not sent; is `audiostory serve` running?"
    err.print(f"audiostory: {told}", markup=False, soft_wrap=True)
    return False


async def _await_attempt(store: OpenStore, delivery_id: int) -> Delivery:
    deadline = time.monotonic() + TEST_S
    while True:
        seen = store.database.changes()
        async with store.database.read() as session:
            delivery = await webhooks.get_delivery(session, delivery_id)
        is_settled = delivery.state != DeliveryState.DUE or delivery.error is not None
        if is_settled or time.monotonic() > deadline:
            return delivery
        await store.database.wait_for_change(seen, LOOK_S)
        await asyncio.sleep(0)


async def _audit(store: OpenStore, action: str, webhook_id: str) -> None:
    async with store.database.write() as session:
        await keys.audit(session, key_id=None, action=action, target=webhook_id, status=200)


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[OpenStore, Settings]]:
    settings = read_settings()
    store = await open_store(settings)
    try:
        yield store, settings
    finally:
        await store.database.close()
