"""Figures for a Prometheus server."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.http.access import needs_admin
from api.http.deps import AppStateDep
from api.operations.metrics import RequestFigures, StoreFigures, render
from api.operations.readiness import count_workers
from storage.stats import tally

router = APIRouter(tags=["health"], dependencies=[Depends(needs_admin)])
TEXT = {"content": {CONTENT_TYPE_PLAIN_0_0_4: {"schema": {"type": "string"}}}}


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", **TEXT}},
)
async def get_metrics(state: AppStateDep, request: Request) -> Response:
    """Return figures of the store and of this process's requests; needs an admin key."""
    async with state.store.database.read() as session:
        tallies = await tally(session)
    requests: RequestFigures = request.app.state.figures
    workers = await count_workers(state)
    figures = StoreFigures(tallies, workers, is_sending=state.is_sending())
    return Response(render(requests, figures), media_type=CONTENT_TYPE_PLAIN_0_0_4)
