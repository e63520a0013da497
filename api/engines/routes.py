"""Engines: what makes clips, and what each lacks here."""

from fastapi import APIRouter

from api.engines.queries import list_engines, view_engine
from api.engines.schemas import EngineView
from api.http.deps import AppStateDep

router = APIRouter(prefix="/engines", tags=["engines"])


@router.get("", summary="List engines")
async def get_engines(state: AppStateDep) -> list[EngineView]:
    """List the engines, the default first, each with its parameters and its weights' license."""
    return list_engines(state.settings)


@router.get("/{name}", summary="Get an engine")
async def get_engine(name: str, state: AppStateDep) -> EngineView:
    """Return an engine: its card, and why it cannot be used here, if so."""
    return view_engine(name, state.settings)
