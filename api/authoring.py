"""Working on one story in this process, and following it until it settles."""

import asyncio
from collections.abc import Callable

from api.composition import build_worker
from api.revising import resume
from api.settings import Settings
from api.store import OpenStore
from storage import events, stories
from storage.database import Database
from storage.models import ACTIVE, Event, Run, RunState

FOLLOW_S = 1.0  # the longest between two looks at the event log
Listener = Callable[[Event], None]


async def make_story(
    store: OpenStore, settings: Settings, story_id: str, listener: Listener
) -> Run:
    """Work on a story until it is finished, has failed, or waits for its author.

    A worker elsewhere may do some or all of the work; the listener hears of everything either
    way, from the story's first event on. What failed, was cancelled or lost its worker, has all
    its attempts again.

    Returns:
        The run as it then stands.

    Raises:
        NotFound: if there is no such story.
    """
    async with build_worker(store, settings, story_id) as worker:
        await worker.take_over_dead()
        await resume(store.database, story_id)
        working = asyncio.create_task(worker.work())
        following = asyncio.create_task(_follow(store.database, story_id, listener))
        try:
            await asyncio.wait({working, following}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return await following
        finally:
            following.cancel()
            worker.stop()
            await asyncio.gather(working, return_exceptions=not working.done())


async def _follow(database: Database, story_id: str, listener: Listener) -> Run:
    heard = 0
    while True:
        seen = database.changes()
        async with database.read() as session:
            run = await stories.find_latest_run(session, story_id)
            fresh = await events.list_after(session, story_id, heard)
        for event in fresh:
            listener(event)
            heard = event.number
        if fresh:
            continue
        if run is not None and _is_settled(run):
            return run
        await database.wait_for_change(seen, FOLLOW_S)


def _is_settled(run: Run) -> bool:
    return run.state not in ACTIVE or (run.state == RunState.PARKED and run.waits_for != "clips")
