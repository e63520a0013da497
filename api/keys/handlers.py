"""What `audiostory keys` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from api.keys.schemas import AuditView, KeyCreate, KeyView
from api.settings import read_settings
from api.store import open_store
from api.terminal import console
from storage import keys
from storage.database import Database

CREATED, GONE = 201, 204  # what HTTP says of these


async def create(wanted: KeyCreate, *, as_json: bool) -> None:
    """Make a key and print it."""
    async with _opened() as database, database.write() as session:
        row, key = await keys.add(session, name=wanted.name, scopes=list(wanted.scopes))
        await keys.audit(session, key_id=None, action="keys create", target=row.id, status=CREATED)
        view = KeyView.of(row)
    if as_json:
        console.print_json(view.model_dump(mode="json") | {"key": key})
        return
    console.err.print(f"key {view.id}, {', '.join(view.scopes)}; it is not shown again:")
    console.out.print(key, markup=False, soft_wrap=True)


async def list_all(*, as_json: bool) -> None:
    """Print all keys."""
    async with _opened() as database, database.read() as session:
        views = [KeyView.of(row) for row in await keys.list_all(session)]
    if as_json:
        console.print_json([view.model_dump(mode="json") for view in views])
        return
    table = _table("id", "name", "scopes", "made", "revoked")
    for view in views:
        revoked = "" if view.revoked_at is None else _when(view.revoked_at)
        scopes = ", ".join(view.scopes)
        table.add_row(view.id, escape(view.name), scopes, _when(view.created_at), revoked)
    console.out.print(table)


async def revoke(key_id: str) -> None:
    """Revoke a key.

    Raises:
        NotFound: if there is none of that id.
    """
    async with _opened() as database, database.write() as session:
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


async def list_audit(limit: int, before: int | None, *, as_json: bool) -> None:
    """Print who asked for what."""
    async with _opened() as database, database.read() as session:
        views = [AuditView.of(row) for row in await keys.list_audit(session, limit, before)]
    if as_json:
        console.print_json([view.model_dump(mode="json") for view in views])
        return
    table = _table("#", "at", "key", "action", "about", "status")
    for view in views:
        table.add_row(
            str(view.id),
            _when(view.at),
            view.key_id or "",
            escape(view.action),
            view.target or "",
            str(view.status),
        )
    console.out.print(table)


@asynccontextmanager
async def _opened() -> AsyncIterator[Database]:
    store = await open_store(read_settings())
    try:
        yield store.database
    finally:
        await store.database.close()


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column)
    return table


def _when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
