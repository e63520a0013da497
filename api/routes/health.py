"""Whether the service lives, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.edge import HasEdge
from api.errors import problem

router = APIRouter(prefix="/health", tags=["health"])


class Life(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Life):
    """What is asked for will be made."""

    workers: int  # that are alive


@router.get("/live", summary="Is it alive?")
async def live() -> Life:
    """Answer as long as the process does."""
    return Life()


@router.get("/ready", response_model=Readiness, summary="Can it work?")
async def ready(edge: HasEdge) -> Readiness | Response:
    """Answer 200 only if the store can be read and a worker is alive to do what is asked."""
    await edge.store.database.ping()
    workers = edge.count_workers()
    if workers == 0:
        return problem(
            503, "No worker is alive; they are being restarted.", remedy="Wait a little."
        )
    return Readiness(workers=workers)
