"""Commands for API keys. They work on the data folder itself and need no key."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from api.terminal.options import AsJson, asynchronous
from audiostory_core.errors import BadInput

CREATED, GONE = 201, 204  # what HTTP says of these

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="API keys, and who asked for what.")
app.add_typer(group, name="keys")


@group.command()
@asynchronous
async def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write or admin; repeatable (default: read and write)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, this once. Once there is a key, every request needs one."""
    from api.keys.schemas import KeyView, parse_key
    from api.store import opened_store
    from api.terminal import console
    from storage import keys

    wanted = parse_key(name, scope or ["read", "write"])
    async with opened_store() as (store, _), store.database.write() as session:
        row, key = await keys.add(session, name=wanted.name, scopes=list(wanted.scopes))
        await keys.audit(session, key_id=None, action="keys create", target=row.id, status=CREATED)
        view = KeyView.of(row)
    if as_json:
        console.print_json(view.model_dump(mode="json") | {"key": key})
        return
    console.err.print(f"key {view.id}, {', '.join(view.scopes)}; it is not shown again:")
    console.out.print(key, markup=False, soft_wrap=True)


@group.command("list")
@asynchronous
async def list_keys(as_json: AsJson = False) -> None:
    """List the keys, revoked ones too, oldest first."""
    from api.keys.schemas import KeyView
    from api.store import opened_store
    from api.terminal import console
    from storage import keys

    async with opened_store() as (store, _), store.database.read() as session:
        views = [KeyView.of(row) for row in await keys.list_all(session)]
    if as_json:
        console.print_json([view.model_dump(mode="json") for view in views])
        return
    console.show_rows(
        ("id", "name", "scopes", "made", "revoked"),
        [
            (
                view.id,
                view.name,
                ", ".join(view.scopes),
                _shown(view.created_at),
                "" if view.revoked_at is None else _shown(view.revoked_at),
            )
            for view in views
        ],
    )


@group.command()
@asynchronous
async def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="See `audiostory keys list`.")],
) -> None:
    """Revoke a key for good, at once; its stories stay."""
    from api.store import opened_store
    from api.terminal import console
    from storage import keys

    if key_id.startswith("as_"):
        raise BadInput("key", "as_…", "is a key, not its id", "Give the part after as_ alone.")
    async with opened_store() as (store, _), store.database.write() as session:
        row = await keys.revoke(session, key_id)
        await keys.audit(session, key_id=None, action="keys revoke", target=row.id, status=GONE)
        left = await keys.count_valid(session)
    console.out.print(f"key {row.id} is revoked", markup=False)
    if left == 0:
        console.err.print(
            "That was the last key: a service on a loopback address asks for none now, and one "
            "that others can reach refuses everybody.",
            soft_wrap=True,
        )


@group.command()
@asynchronous
async def audit(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, max=2**62, help="Only what is older than this id.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the requests and commands that may have changed something, newest first."""
    from api.keys.schemas import AuditView
    from api.store import opened_store
    from api.terminal import console
    from storage import keys

    async with opened_store() as (store, _), store.database.read() as session:
        views = [AuditView.of(row) for row in await keys.list_audit(session, limit, before)]
    if as_json:
        console.print_json([view.model_dump(mode="json") for view in views])
        return
    console.show_rows(
        ("#", "at", "key", "action", "about", "status"),
        [
            (
                str(view.id),
                _shown(view.at),
                view.key_id or "",
                view.action,
                view.target or "",
                str(view.status),
            )
            for view in views
        ],
    )


def _shown(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
