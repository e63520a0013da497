"""A worker: one loop drives runs, the other makes clips, until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from graph.build import Graph
from graph.runs import LEASE_S, RENEW_S, drive, while_held
from nodes.services import Services
from nodes.synthesize import make_clips
from storage import clips, runs
from storage.models import Clip
from storage.presence import Presence

POLL_S = 0.25  # how soon work queued by another process is seen
CLIP_LEASE_S = 120.0


@dataclass
class Worker:
    """Claims work and does it.

    Args:
        graph: the compiled state machine.
        services: what steps and clip jobs work with.
        presence: sign of life; its owner name is what claims carry.
        batch: clips handed to an engine at once.
        story_id: work for this story only.
    """

    graph: Graph
    services: Services
    presence: Presence
    batch: int = 1
    story_id: str | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _nudged: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """Work until `stop`; what is being done then is finished first.

        However it ends, short of a kill, its leases end with it.
        """
        await self.take_over_dead()
        try:
            await _all_or_none(
                self._loop(self._drive_one),
                self._loop(self._make_batch),
                self._watch_the_dead(),
            )
        finally:
            async with self.services.database.write() as session:
                await runs.release_owner(session, [self.presence.owner])
            self.presence.close()

    def stop(self) -> None:
        """Finish what is being done, then leave `work`."""
        self._stopping.set()
        self._nudged.set()

    async def take_over_dead(self) -> None:
        """End the leases of workers of this host that are gone."""
        dead = await asyncio.to_thread(self.presence.find_dead)
        if dead:
            async with self.services.database.write() as session:
                await runs.release_owner(session, dead)
            for owner in dead:
                self.presence.forget(owner)

    async def _loop(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        while not self._stopping.is_set():
            if await attempt():
                self._nudged.set()
                continue
            self._nudged.clear()
            try:
                await asyncio.wait_for(self._nudged.wait(), POLL_S)
            except TimeoutError:
                continue

    async def _drive_one(self) -> bool:
        async with self.services.database.read() as session:
            if not await runs.has_claimable(session, self.story_id):
                return False
        async with self.services.database.write() as session:
            run = await runs.claim(session, self.presence.owner, LEASE_S, self.story_id)
        if run is None:
            return False
        await drive(run, self.graph, self.services)
        return True

    async def _make_batch(self) -> bool:
        engines = list(self.services.engines)
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
            )
        if not claimed:
            return False
        await while_held(make_clips(claimed, self.services), self._keep_leases(claimed))
        return True

    async def _keep_leases(self, claimed: list[Clip]) -> None:
        keys = [clip.key for clip in claimed]
        while True:
            await asyncio.sleep(CLIP_LEASE_S / 3)
            async with self.services.database.write() as session:
                await clips.renew(session, keys, self.presence.owner, CLIP_LEASE_S)

    async def _watch_the_dead(self) -> None:
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), RENEW_S)
            except TimeoutError:
                await self.take_over_dead()


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
