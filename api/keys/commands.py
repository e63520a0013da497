"""Commands for API keys. They work on the data folder itself and need no key."""

import asyncio
from typing import Annotated

import typer

from api.terminal.options import AsJson
from audiostory_core.errors import BadInput

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="API keys, and who asked for what.")
app.add_typer(keys, name="keys")


@keys.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write or admin; repeat it. Without any: read and write."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once. From the first key on, every request needs one."""
    from api.keys import handlers
    from api.keys.schemas import parse_key

    wanted = parse_key(name, scope or ["read", "write"])
    asyncio.run(handlers.create(wanted, as_json=as_json))


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, revoked ones too, oldest first."""
    from api.keys import handlers

    asyncio.run(handlers.list_all(as_json=as_json))


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="See `audiostory keys list`.")],
) -> None:
    """Make a key useless for good, at once; its stories stay."""
    from api.keys import handlers

    if key_id.startswith("as_"):
        raise BadInput("key", "as_…", "is a key, not its id", "Give the part after as_ alone.")
    asyncio.run(handlers.revoke(key_id))


@keys.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, max=2**62, help="Only what is older than this id.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the requests and commands that may have changed something, newest first."""
    from api.keys import handlers

    asyncio.run(handlers.list_audit(limit, before, as_json=as_json))
