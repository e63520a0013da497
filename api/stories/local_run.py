"""Working on one story in this process, and following it until it settles."""

import asyncio
import time
from collections.abc import Callable

from api.maintenance.repair import find_damaged, queue_mending
from api.operations.maker_pool import Pool, count_processes
from api.revisions.service import resume
from api.settings import Settings
from api.store import OpenStore
from audiostory_core.stem import engine_names
from storage import events, stories, wants
from storage.database import Database
from storage.errors import StoreUnusable
from storage.models import ACTIVE, FOR_WORKERS, Event, Run, RunState, Wait
from storage.story_lock import StoryLock

MAX_MENDINGS = 3
DRAIN_S = 0.5  # after Ctrl-C; a clip that takes longer is given back
FOLLOW_S = 1.0  # the longest between two looks at the event log
PATIENCE_S = 5.0  # with a process that holds a story and lets all its leases run out
Listener = Callable[[Event], None]


async def make_story(
    store: OpenStore,
    settings: Settings,
    story_id: str,
    listener: Listener,
    on_held: Callable[[str], None],
) -> Run:
    """Work on a story until it is finished, has failed, or waits for its author.

    A worker elsewhere may do some or all of the work; the listener hears of everything either
    way, from the story's first event on. What failed, was cancelled or lost its worker, has all
    its attempts again, and files of the mix that are missing or damaged are made again. While another process does the same for this story, it is followed; if it
    ends or is stopped before the story has settled, this one goes on.

    Args:
        store: the open data folder.
        settings: of this installation.
        story_id: of the story.
        listener: hears of every event.
        on_held: is told which process is followed, if one is.

    Returns:
        The run as it then stands.

    Raises:
        NotFound: if there is no such story.
        StoreUnusable: if the store does not mend by itself, or damages what is written time and
            again.
    """
    async with store.database.read() as session:
        await stories.get(session, story_id)
    following = _Following(store.database, story_id, listener)
    with StoryLock(store.workers, story_id) as holding:
        if not holding.take():
            on_held(holding.holder())
            await following.hear()
            known = following.heard
            await _follow_holder(store.database, story_id, following, holding)
            run = await following.hear()
            if _is_settled(run) and following.heard > known:
                return run
        return await _work_until_whole(store, settings, story_id, following)


async def _follow_holder(
    database: Database, story_id: str, following: "_Following", holding: StoryLock
) -> None:
    """Follow the process that holds the story until it ends, or is stopped."""
    attended = time.monotonic()
    while not holding.take() and time.monotonic() - attended < PATIENCE_S:
        seen = database.changes()
        await following.hear()
        async with database.read() as session:
            if await wants.is_attended(session, story_id):
                attended = time.monotonic()
        await database.wait_for_change(seen, FOLLOW_S)


async def _work_until_whole(
    store: OpenStore, settings: Settings, story_id: str, following: "_Following"
) -> Run:
    run = await following.hear()
    for _ in range(MAX_MENDINGS):
        if not _has_mix(run):
            run = await _work(store, settings, story_id, following)
        damaged = await find_damaged(store, story_id) if _has_mix(run) else {}
        if not damaged:
            return run
        await queue_mending(store, story_id)
        run = await following.hear()
    raise StoreUnusable(
        f"Files in {store.audio.folder} are lost or damaged each time they are made "
        f"({', '.join(damaged)}). Look after its disk, then resume the story."
    )


async def _work(
    store: OpenStore, settings: Settings, story_id: str, following: "_Following"
) -> Run:
    from api.engines.worker_factory import build_worker  # noqa: PLC0415 - LangGraph and scipy take a second

    pool = await _open_pool(store, settings, story_id)
    async with pool.running(), build_worker(store, settings, story_id) as worker:
        worker.drain_s, worker.share = DRAIN_S, 0.0
        await worker.take_over_dead()
        await resume(store.database, story_id)
        working = asyncio.create_task(worker.work())
        settling = asyncio.create_task(following.until(_is_settled))
        try:
            await asyncio.wait({working, settling}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return await settling
        finally:
            settling.cancel()
            worker.stop()
            pool.stop()
            await asyncio.gather(working, return_exceptions=not working.done())


async def _open_pool(store: OpenStore, settings: Settings, story_id: str) -> Pool:
    async with store.database.read() as session:
        story = await stories.get(session, story_id)
    is_known = story.review or story.revision_id is not None  # what it needs is queued, or nothing
    return Pool(
        store.database,
        settings,
        count_processes(settings),
        story_id=story_id,
        engines=engine_names(story.engine, story.engines),
        expected_s=0.0 if is_known else story.duration_s or 0.0,
    )


class _Following:
    """Tells a listener what happens to a story."""

    def __init__(self, database: Database, story_id: str, listener: Listener) -> None:
        self.heard = 0  # number of the last event
        self._database = database
        self._story_id = story_id
        self._listener = listener

    async def hear(self) -> Run:
        """Tell of everything up to now; return the newest run as it then stands."""
        while True:
            async with self._database.read() as session:
                run = await stories.find_latest_run(session, self._story_id)
                fresh = await events.list_after(session, self._story_id, self.heard)
            for event in fresh:
                self._listener(event)
                self.heard = event.number
            if run is not None and not fresh:
                return run

    async def until(self, is_over: Callable[[Run], bool]) -> Run:
        """Tell of everything until something is true of the newest run."""
        while True:
            seen = self._database.changes()
            run = await self.hear()
            if is_over(run):
                return run
            await self._database.wait_for_change(seen, FOLLOW_S)


def _is_settled(run: Run) -> bool:
    waits_for_author = run.state == RunState.PARKED and run.waits_for not in FOR_WORKERS
    return run.state not in ACTIVE or waits_for_author


def _has_mix(run: Run) -> bool:
    """Whether nothing is left to do but to wait for the author, if even that."""
    waits_for_author = run.state == RunState.PARKED and run.waits_for == Wait.MIX_REVIEW
    return run.state == RunState.FINISHED or waits_for_author
