"""API keys and the audit, for whoever has an admin key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.http.access import Keyring, needs_admin
from api.http.deps import AppStateDep
from api.keys.schemas import AuditView, KeyCreate, KeyCreated, KeyView
from storage import keys
from storage.errors import Conflict

router = APIRouter(tags=["keys"], dependencies=[Depends(needs_admin)])


@router.post("/keys", status_code=201, summary="Create a key")
async def post_key(
    wanted: KeyCreate, state: AppStateDep, request: Request, response: Response
) -> KeyCreated:
    """Create a key. It is shown only once. Once there is a key, every request needs one."""
    async with state.store.database.write() as session:
        row, key = await keys.add(session, name=wanted.name, scopes=list(wanted.scopes))
        made = KeyCreated.model_validate(KeyView.of(row).model_dump() | {"key": key})
    _keyring_of(request).forget()
    response.headers["Location"] = f"/v1/keys/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get("/keys", summary="List keys")
async def get_keys(state: AppStateDep) -> list[KeyView]:
    """List all keys, revoked ones too, oldest first."""
    async with state.store.database.read() as session:
        return [KeyView.of(row) for row in await keys.list_all(session)]


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke a key")
async def delete_key(key_id: str, state: AppStateDep, request: Request) -> None:
    """Revoke a key for good; its stories stay. 409 for the last key: without one, anyone may call."""
    async with state.store.database.write() as session:
        before = await keys.count_valid(session)
        row = await keys.revoke(session, key_id)
        if before > 0 and await keys.count_valid(session) == 0:
            raise Conflict(
                f"Key {row.id} is the last one; without any, the service asks nobody for one. Make "
                "another key first, or run `audiostory keys revoke` on the machine itself."
            )
    _keyring_of(request).forget()


@router.get("/audit", summary="List the audit log")
async def get_audit(
    state: AppStateDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=2**62, description="Only what is older than this id.")
    ] = None,
) -> list[AuditView]:
    """List the requests that may have changed something, newest first."""
    async with state.store.database.read() as session:
        return [AuditView.of(row) for row in await keys.list_audit(session, limit, before)]


def _keyring_of(request: Request) -> Keyring:
    keyring: Keyring = request.app.state.keyring
    return keyring
