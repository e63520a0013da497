"""A clip maker: claims clips and makes them, until it is told to stop.

Imports neither LangGraph nor a planner: a process that only makes clips starts without them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nodes.context import bind
from nodes.services import Services
from nodes.synthesize import make_clips, patiently
from storage import clips, events, runs
from storage.clips import Near
from storage.errors import StoreUnusable
from storage.models import Clip, Run
from storage.worker_lock import WorkerLock

LOOK_S = 5.0  # the longest between two looks for work; what is committed is seen at once
RETRY_S = 1.0  # before a database that is away is asked again
LONGEST_RETRY_S = 60.0  # between two looks whether a full disk has room, or a server is back
CLIP_LEASE_S = 120.0
DEAD_S = 10.0  # between two looks for workers that are gone
UNUSABLE = "store.unusable"
PROGRESS = (
    "plan.ready",
    "clip.queued",
    "clip.finished",
    "mix.ready",
)  # an outage is told again after these

log = logging.getLogger(__name__)


@dataclass
class ClipMaker:
    """Claims clips and makes them.

    Args:
        services: what clip jobs work with.
        presence: sign of life; its owner name is what claims carry.
        batch: clips handed to an engine at once.
        story_id: work for this story only; a store that does not mend by itself then ends the
            work, for its author is there to be told.
        engines: make clips of these engines only; empty: of all there are.
        retry_s: before a full disk is looked at again; doubled each time, to a minute at most.
        drain_s: clips that take longer when it is told to stop are given back.
        share: of the story's clips, where it begins; it goes on from clip to clip, for neighbors
            share much of their beds, and each process keeps the last. None: as the queue has them.
    """

    services: Services
    presence: WorkerLock
    batch: int = 1
    story_id: str | None = None
    engines: Sequence[str] = ()
    retry_s: float = 5.0
    drain_s: float = 5.0
    share: float | None = None
    _turn: int | None = None  # of the clip claimed last
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """Work until `stop`.

        However it ends, short of a kill, its leases end with it. An attempt counts only where an
        error that nobody foresaw ended it.

        Raises:
            StoreUnusable: if it works for one story, and the store does not mend by itself.
        """
        database = self.services.database
        await database.wait_for_change(database.changes(), 0.0)  # begins to hear of commits
        await self.take_over_dead()
        is_blameless = False
        try:
            await _all_or_none(*self._loops())
            is_blameless = True
        except (StoreUnusable, asyncio.CancelledError):
            is_blameless = True
            raise
        finally:
            await self._leave(is_blameless)

    def stop(self) -> None:
        """Leave `work` soon: after the clips at hand, or without a clip that takes long."""
        self._stopping.set()
        self.services.stop(self.drain_s)

    async def take_over_dead(self) -> None:
        """End the leases of workers of this host that are gone."""
        dead = await asyncio.to_thread(self.presence.find_dead)
        if dead:
            async with self.services.database.write() as session:
                await runs.release_owner(session, dead)
            for owner in dead:
                self.presence.forget(owner)

    def _loops(self) -> list[Coroutine[None, None, None]]:
        return [self._loop(self._make_batch, Clip), self._watch_the_dead()]

    async def _leave(self, is_blameless: bool) -> None:
        owner, leaves_leases = self.presence.owner, True
        try:
            async with self.services.database.write() as session:
                if is_blameless:
                    await runs.give_up(session, owner, Clip)
                    await runs.give_up(session, owner, Run)
                else:
                    await runs.release_owner(session, [owner])
            leaves_leases = False
        except StoreUnusable as error:
            log.warning("%s", error)
        finally:
            self.presence.close(leaves_leases=leaves_leases)

    async def _loop(self, attempt: Callable[[], Awaitable[bool]], held: type[Run | Clip]) -> None:
        """Attempt again and again; wait where there is nothing to do.

        A database that is away, or a disk that is full, ends nothing: what this worker held of
        `held` is given back uncounted, and claimed again when the store can be used.
        """
        wait_s = self.retry_s
        while not self._stopping.is_set():
            seen = self.services.database.changes()
            try:
                if not await attempt():
                    await self._wait(seen, self._look_s(held))
                wait_s = self.retry_s
            except StoreUnusable as error:
                if self.story_id is not None and not error.is_passing:
                    raise
                wait_s = await self._outlast(error, held, wait_s)

    def _look_s(self, table: type[Run | Clip]) -> float:
        """Return how long to wait at most for work of a table."""
        return LOOK_S

    async def _wait(self, seen: int, look_s: float) -> None:
        waiting = [
            asyncio.create_task(self.services.database.wait_for_change(seen, look_s)),
            asyncio.create_task(self._stopping.wait()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _outlast(self, error: StoreUnusable, held: type[Run | Clip], wait_s: float) -> float:
        """Wait until the store can be used; return how long to wait if it then cannot after all."""
        log.warning("%s", error)
        lacking_bytes = error.lacking_bytes
        with suppress(StoreUnusable):  # else it is given up below
            await self._give_up(held, None if error.is_passing else str(error))
        while not self._stopping.is_set():
            if error.is_passing:
                await self._rest(RETRY_S)
            else:
                await self._rest(wait_s)
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)
            try:
                await asyncio.to_thread(self.services.audio.probe, lacking_bytes)
                await self._give_up(held)
            except StoreUnusable as still:
                if self.story_id is not None and not still.is_passing:
                    raise
                error = still
            else:
                log.info("The store can be used again.")
                break
        return wait_s

    async def _give_up(
        self, held: type[Run | Clip], problem: str | None = None, kind: str = UNUSABLE
    ) -> None:
        async with self.services.database.write() as session:
            for story_id in await runs.give_up(session, self.presence.owner, held):
                if problem is not None:
                    await events.append_once(session, story_id, kind, PROGRESS, problem=problem)

    async def _rest(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _make_batch(self) -> bool:
        engines = list(self.engines or self.services.engines)
        async with self.services.database.read() as session:
            if not await clips.has_claimable(session, engines, self.story_id):
                return False
        async with self.services.database.write() as session:
            claimed = await clips.claim(
                session,
                self.presence.owner,
                CLIP_LEASE_S,
                engines,
                self.batch,
                self.story_id,
                None if self.share is None else Near(self._turn, self.share),
            )
        if not claimed:
            return False
        self._turn = claimed[-1].turn
        with bind(clip=claimed[0].key):
            log.info("making %d clip(s) with %s", len(claimed), claimed[0].engine)
            await while_held(make_clips(claimed, self.services), self._keep_leases(claimed))
        return True

    async def _keep_leases(self, claimed: list[Clip]) -> None:
        keys = [clip.key for clip in claimed]
        while True:
            await asyncio.sleep(CLIP_LEASE_S / 3)
            await patiently(lambda: self._renew(keys), self.services)

    async def _renew(self, keys: list[str]) -> None:
        async with self.services.database.write() as session:
            await clips.renew(session, keys, self.presence.owner, CLIP_LEASE_S)

    async def _watch_the_dead(self) -> None:
        while not self._stopping.is_set():
            await self._rest(DEAD_S)
            try:
                await self.take_over_dead()
            except StoreUnusable as error:
                log.warning("%s", error)


async def while_held(
    work: Coroutine[None, None, object], lease: Coroutine[None, None, None]
) -> None:
    """Do work until it is done, or until the coroutine that keeps its lease ends."""
    tasks = [asyncio.create_task(work), asyncio.create_task(lease)]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _all_or_none(*loops: Coroutine[None, None, None]) -> None:
    """Run loops until all end; the first that fails ends the others, and its error is raised."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
