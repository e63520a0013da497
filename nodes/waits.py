"""How a step tells the graph where to turn: on, to a wait, or back for the author's change."""

import time

from sqlalchemy.ext.asyncio import AsyncSession

from nodes.errors import RunStopped
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import revisions, runs, wants
from storage.models import Run, Wait, WorkKind

MOMENT_S = 0.2  # twice what a story's first window takes


def wait_for(wait: Wait | None) -> StateUpdate:
    """Park for something, or go on; the checkpoint holds plain strings, whose enums may move."""
    return {"waits_for": "" if wait is None else wait.value}


async def is_soon_done(run_id: int, kind: WorkKind, services: Services) -> bool:
    """Wait a moment for work that a run wants: to park for it costs more than little work does."""
    ends_at = time.monotonic() + MOMENT_S
    database = services.database
    while (left_s := ends_at - time.monotonic()) > 0 and not services.is_stopping:
        seen = database.changes()
        async with database.read() as session:
            if not await wants.is_waited_for(session, run_id, kind):
                return True
        await database.wait_for_change(seen, left_s)
    return False


async def load_run(session: AsyncSession, state: StoryState) -> Run:
    """Return the run that is driven, as SQL has it now.

    Raises:
        RunStopped: if its story was deleted.
    """
    run = await runs.find(session, state["story_id"], state["run_id"])
    if run is None:
        raise RunStopped
    return run


async def turn_to(state: StoryState, services: Services) -> StateUpdate:
    """Begin with the run's revision as SQL has it."""
    async with services.database.read() as session:
        run = await load_run(session, state)
        revision = await revisions.get(session, run.revision_id or 0)
    return {
        "revision_id": revision.id,
        "scenes": len(revision.scenes),
        "cursor": 0,
        "waits_for": "",
        "is_changed": bool(run.pending_changes),
    }


def is_changed(state: StoryState, run: Run) -> bool:
    """Tell whether the author wants something else than what the graph is at."""
    return bool(run.pending_changes) or run.revision_id != state["revision_id"]
