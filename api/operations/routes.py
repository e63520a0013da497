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
from api.operations.readiness import Check, count_workers, examine
from storage.stats import tally

router = APIRouter(tags=["health"], dependencies=[Depends(needs_admin)])
health = APIRouter(prefix="/health", tags=["health"])  # needs no key
TEXT = {"content": {CONTENT_TYPE_PLAIN_0_0_4: {"schema": {"type": "string"}}}}


class Life(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Life):
    """What is asked for will be made."""

    workers: int  # that are alive
    checks: list[Check]


class Unready(Problem):
    """What keeps it from being made."""

    checks: list[Check]


@health.get("/live", summary="Is it alive?")
async def live() -> Life:
    """Answer as long as the process does."""
    return Life()


@health.get(
    "/ready",
    response_model=Readiness,
    responses={
        503: {
            "description": "What is wrong, and the remedy",
            "content": {MEDIA_TYPE: {"schema": Unready.model_json_schema()}},
        }
    },
    summary="Can it work?",
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
    unready = Unready(
        title="Service Unavailable",
        status=503,
        detail=" ".join(f"{check.name}: {check.detail}" for check in wrong),
        remedy=" ".join(check.remedy for check in wrong if check.remedy),
        checks=checks,
    )
    return JSONResponse(unready.model_dump(exclude_none=True), 503, media_type=MEDIA_TYPE)


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
