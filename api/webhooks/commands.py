"""Commands about webhooks: addresses that hear of events while `audiostory serve` runs."""

import asyncio
from typing import Annotated, get_args

import typer

from api.terminal.options import AsJson
from storage.event_kinds import EventKind

FAILED = 1

webhooks = typer.Typer(
    help="Have events posted to an address, signed as Standard Webhooks has it.",
    no_args_is_help=True,
)
app = typer.Typer()
app.add_typer(webhooks, name="webhooks")

WebhookId = Annotated[
    str, typer.Argument(metavar="ID", help="A webhook's id; see `audiostory webhooks list`.")
]


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="An https address on the Internet.")],
    story: Annotated[
        str | None, typer.Option(metavar="ID", help="Hear of this story alone.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", help=f"Else all; repeatable: {', '.join(get_args(EventKind))}."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print its secret, this once."""
    from api.webhooks import handlers

    asyncio.run(handlers.add(url, story, kind or [], as_json=as_json))


@webhooks.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """List the webhooks, and which of them are disabled."""
    from api.webhooks import handlers

    asyncio.run(handlers.list_all(as_json=as_json))


@webhooks.command()
def remove(webhook_id: WebhookId) -> None:
    """Remove a webhook and what was on its way to it."""
    from api.webhooks import handlers

    asyncio.run(handlers.remove(webhook_id))


@webhooks.command()
def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was sent to a webhook, newest first."""
    from api.webhooks import handlers

    asyncio.run(handlers.list_deliveries(webhook_id, limit, as_json=as_json))


@webhooks.command()
def test(webhook_id: WebhookId) -> None:
    """Have `audiostory serve` send a webhook.test, and tell what was answered."""
    from api.webhooks import handlers

    if not asyncio.run(handlers.test(webhook_id)):
        raise typer.Exit(FAILED)
