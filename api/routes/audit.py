"""The audit: who asked for what, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import needs_admin
from api.edge import HasEdge
from api.keys import AuditView
from storage import keys

router = APIRouter(prefix="/audit", tags=["keys"], dependencies=[Depends(needs_admin)])


@router.get("", summary="Who asked for what")
async def get_audit(
    edge: HasEdge,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=2**62, description="Only what is older than this id.")
    ] = None,
) -> list[AuditView]:
    """List the requests that may have changed something, newest first."""
    async with edge.store.database.read() as session:
        return [AuditView.of(row) for row in await keys.list_audit(session, limit, before)]
