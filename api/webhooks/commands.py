"""Commands about webhooks: addresses that hear of events while `audiostory serve` runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from api.terminal.options import AsJson, asynchronous
from storage.event_kinds import EventKind

if TYPE_CHECKING:
    from api.store import OpenStore
    from storage.models import Delivery

FAILED = 1
TEST_S = 20.0  # for `serve` to send a test and for the answer to come
LOOK_S = 1.0  # between two looks, where no change tells

app = typer.Typer()
group = typer.Typer(
    help="Post events to an address, signed as Standard Webhooks specifies.",
    no_args_is_help=True,
)
app.add_typer(group, name="webhooks")

WebhookId = Annotated[
    str, typer.Argument(metavar="ID", help="A webhook's id; see `audiostory webhooks list`.")
]


@group.command()
@asynchronous
async def add(
    url: Annotated[str, typer.Argument(help="An https address on the Internet.")],
    story: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this story's events.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help=f"Repeatable (default: every kind): {', '.join(get_args(EventKind))}.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print its secret, this once."""
    from rich.markup import escape

    from api.store import opened_store
    from api.terminal.console import out, print_json
    from api.webhooks.schemas import parse_webhook
    from api.webhooks.service import create_webhook

    wanted = parse_webhook(url, story, kind or [])
    async with opened_store() as (store, settings):
        made = await create_webhook(
            store.database, wanted, None, allow_private=settings.webhook_allow_private
        )
        await _audit(store, "webhooks add", made.id)
    if as_json:
        print_json(made.model_dump())
        return
    out.print(f"[bold]{made.id}[/]  {escape(made.url)}", soft_wrap=True)
    out.print(f"secret {made.secret}  (not shown again)", soft_wrap=True)


@group.command("list")
@asynchronous
async def list_webhooks(as_json: AsJson = False) -> None:
    """List the webhooks, and which of them are disabled."""
    from rich.markup import escape
    from rich.table import Table

    from api.store import opened_store
    from api.terminal.console import out, print_json
    from api.webhooks.schemas import WebhookView
    from storage import webhooks

    async with opened_store() as (store, _), store.database.read() as session:
        views = [WebhookView.of(webhook) for webhook in await webhooks.list_oldest(session)]
    if as_json:
        print_json([view.model_dump() for view in views])
        return
    table = Table(expand=True)
    table.add_column("id", no_wrap=True)
    for column in ("url", "story", "kinds", "state"):
        table.add_column(column, overflow="fold")
    for view in views:
        state = "disabled" if view.disabled_at else ""
        kinds = ", ".join(view.kinds) or "all"
        table.add_row(view.id, escape(view.url), view.story_id or "all", kinds, state)
    out.print(table)


@group.command()
@asynchronous
async def remove(webhook_id: WebhookId) -> None:
    """Remove a webhook and its pending deliveries."""
    from api.store import opened_store
    from api.terminal.console import out
    from storage import webhooks

    async with opened_store() as (store, _):
        async with store.database.write() as session:
            await webhooks.remove(session, await webhooks.get(session, webhook_id))
        await _audit(store, "webhooks remove", webhook_id)
    out.print(f"{webhook_id} is removed")


@group.command()
@asynchronous
async def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was sent to a webhook, newest first."""
    from rich.markup import escape
    from rich.table import Table

    from api.store import opened_store
    from api.terminal.console import out, print_json
    from api.webhooks.schemas import DeliveryView
    from storage import webhooks

    async with opened_store() as (store, _), store.database.read() as session:
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


@group.command()
@asynchronous
async def test(webhook_id: WebhookId) -> None:
    """Have `audiostory serve` send a webhook.test, and print the answer."""
    from api.store import opened_store
    from api.terminal.console import err, out
    from storage import webhooks
    from storage.models import DeliveryState

    async with opened_store() as (store, _):
        async with store.database.write() as session:
            delivery = await webhooks.add_test(session, await webhooks.get(session, webhook_id))
        sent = await _await_attempt(store, delivery.id)
    if sent.state == DeliveryState.DELIVERED:
        out.print(f"delivered: answered {sent.status}")
        return
    problem = sent.error or "it was not sent; is `audiostory serve` running?"
    err.print(f"audiostory: {problem}", markup=False, soft_wrap=True)
    raise typer.Exit(FAILED)


async def _await_attempt(store: OpenStore, delivery_id: int) -> Delivery:
    from storage import webhooks
    from storage.models import DeliveryState

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
    from storage import keys

    async with store.database.write() as session:
        await keys.audit(session, key_id=None, action=action, target=webhook_id, status=200)
