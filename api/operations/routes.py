"""Whether the service lives, whether it can do its work, and figures for a Prometheus server."""

from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel

from api.http.access import needs_admin
from api.http.deps import AppStateDep
from api.http.errors import MEDIA_TYPE, Problem
from api.operations.metrics import RequestFigures, StoreFigures, render
from api.operations.readiness import HealthCheck, count_workers, examine
from storage.stats import tally

router = APIRouter(tags=["health"], dependencies=[Depends(needs_admin)])
health = APIRouter(prefix="/health", tags=["health"])  # needs no key
TEXT = {"content": {CONTENT_TYPE_PLAIN_0_0_4: {"schema": {"type": "string"}}}}


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Liveness):
    """The service can do its work."""

    workers: int  # that are alive
    checks: list[HealthCheck]


class NotReady(Problem):
    """Why the service cannot do its work."""

    checks: list[HealthCheck]


@health.get("/live", summary="Check liveness")
async def live() -> Liveness:
    """Answer as long as the process does."""
    return Liveness()


@health.get(
    "/ready",
    response_model=Readiness,
    responses={
        503: {
            "description": "What is wrong, and the remedy",
            "content": {MEDIA_TYPE: {"schema": NotReady.model_json_schema()}},
        }
    },
    summary="Check readiness",
)
async def ready(state: AppStateDep, request: Request) -> Readiness | Response:
    """Answer 200 only if the store can be read and written and a worker is alive.

    The database answers with this version's schema, a file can be written to the audio folder
    (looked at every 5 s at most), a worker is alive, and there is space on the disk.
    """
    checks = await examine(state, request.app.state.folder)
    wrong = [check for check in checks if not check.is_ok]
    if not wrong:
        return Readiness(workers=await count_workers(state), checks=checks)
    unready = NotReady(
        title="Service Unavailable",
        status=503,
        detail=" ".join(f"{check.name}: {check.detail}" for check in wrong),
        remedy=" ".join(check.remedy for check in wrong if check.remedy),
        checks=checks,
    )
    return JSONResponse(unready.model_dump(exclude_none=True), 503, media_type=MEDIA_TYPE)


@router.get(
    "/metrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", **TEXT}},
)
async def get_metrics(state: AppStateDep, request: Request) -> Response:
    """Return metrics of the store and of this process's requests; needs an admin key."""
    async with state.store.database.read() as session:
        tallies = await tally(session)
    requests: RequestFigures = request.app.state.figures
    workers = await count_workers(state)
    figures = StoreFigures(tallies, workers, is_sending=state.is_sending())
    return Response(render(requests, figures), media_type=CONTENT_TYPE_PLAIN_0_0_4)
