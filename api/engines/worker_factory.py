"""Putting a worker together: the one place where engines, planners, store and graph meet."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from api.engines.catalog import engines as all_engines
from api.engines.engine_factory import Parts
from api.engines.planners import PLANNERS
from api.settings import Settings
from api.store import OpenStore
from audiostory_core.errors import BadInput
from graph.build import build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.worker import Worker
from nodes.services import Services
from storage.worker_lock import WorkerLock


@asynccontextmanager
async def build_worker(
    store: OpenStore,
    settings: Settings,
    story_id: str | None = None,
    only: Sequence[str] = (),
) -> AsyncIterator[Worker]:
    """Build a worker with every engine and planner that is usable here.

    Args:
        store: the open data folder.
        settings: of this installation.
        story_id: work on this story only.
        only: make clips of these engines only; it drives runs of all.

    Raises:
        BadInput: if one of those engines is not known, or not usable here.
    """
    parts = Parts(settings)
    for name in only:
        why = parts.why_unusable("engine", all_engines().get(name).name)
        if why:
            raise BadInput("engine", name, "is not usable here", why)
    engines = {
        name: parts.engine(name)
        for name in all_engines().names
        if not parts.why_unusable("engine", name)
    }
    planners = {
        name: parts.planner(name) for name in PLANNERS if not parts.why_unusable("planner", name)
    }
    services = Services(store.database, store.audio, engines, planners, settings.max_scenes)
    try:
        async with open_checkpoints(settings.checkpoints) as checkpoints:
            yield Worker(
                services,
                WorkerLock(store.workers),
                graph=build_graph(checkpoints),
                batch=settings.batch,
                story_id=story_id,
                engines=only,
            )
    finally:
        for engine in engines.values():
            engine.close()
