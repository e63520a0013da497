"""Figures for a Prometheus server."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.access import needs_admin
from api.edge import HasEdge
from api.metrics import RequestFigures, StoreFigures, render
from api.readiness import count_workers
from storage.tallies import tally

router = APIRouter(tags=["health"], dependencies=[Depends(needs_admin)])
TEXT = {"content": {CONTENT_TYPE_PLAIN_0_0_4: {"schema": {"type": "string"}}}}


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", **TEXT}},
)
async def get_metrics(edge: HasEdge, request: Request) -> Response:
    """Return figures of the store and of this process's requests; needs an admin key."""
    async with edge.store.database.read() as session:
        tallies = await tally(session)
    requests: RequestFigures = request.app.state.figures
    workers = await count_workers(edge)
    return Response(
        render(requests, StoreFigures(tallies, workers)), media_type=CONTENT_TYPE_PLAIN_0_0_4
    )
