"""Whether the service lives, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.http.deps import AppStateDep
from api.http.errors import MEDIA_TYPE, Problem
from api.operations.readiness import Check, count_workers, examine

router = APIRouter(prefix="/health", tags=["health"])


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


@router.get("/live", summary="Is it alive?")
async def live() -> Life:
    """Answer as long as the process does."""
    return Life()


@router.get(
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
