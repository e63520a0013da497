"""The audit: who asked for what, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.access import needs_admin
from api.http.deps import AppStateDep
from api.keys.schemas import AuditView
from storage import keys

router = APIRouter(prefix="/audit", tags=["keys"], dependencies=[Depends(needs_admin)])


@router.get("", summary="Who asked for what")
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
