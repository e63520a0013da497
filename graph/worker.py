"""A worker: one loop drives runs, the other makes clips, until it is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from graph.build import Graph
from graph.runs import LEASE_S, RENEW_S, drive, while_held
from nodes.services import Services
from nodes.synthesize import make_clips, patiently
from storage import clips, runs
from storage.errors import StoreUnusable
from storage.models import Clip, Run
from storage.presence import Presence

LOOK_S = 5.0  # the longest between two looks for work; what is committed is seen at once
RETRY_S = 1.0  # before a database that is away is asked again
CLIP_LEASE_S = 120.0

log = logging.getLogger(__name__)


@dataclass
class Worker:
    """Claims work and does it.

    Args:
        graph: the compiled state machine.
        services: what steps and clip jobs work with.
        presence: sign of life; its owner name is what claims carry.
        batch: clips handed to an engine at once.
        story_id: work for this story only.
        engines: make clips of these engines only; empty: of all there are.
    """

    graph: Graph
    services: Services
    presence: Presence
    batch: int = 1
    story_id: str | None = None
    engines: Sequence[str] = ()
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """Work until `stop`; what is being done then is finished first.

        However it ends, short of a kill, its leases end with it.
        """
        await self.take_over_dead()
        try:
            await _all_or_none(
                self._loop(self._drive_one, Run),
                self._loop(self._make_batch, Clip),
                self._watch_the_dead(),
            )
        finally:
            try:
                async with self.services.database.write() as session:
                    await runs.release_owner(session, [self.presence.owner])
            finally:
                self.presence.close()

    def stop(self) -> None:
        """Finish what is being done, then leave `work`."""
        self._stopping.set()

    async def take_over_dead(self) -> None:
        """End the leases of workers of this host that are gone."""
        dead = await asyncio.to_thread(self.presence.find_dead)
        if dead:
            async with self.services.database.write() as session:
                await runs.release_owner(session, dead)
            for owner in dead:
                self.presence.forget(owner)

    async def _loop(self, attempt: Callable[[], Awaitable[bool]], held: type[Run | Clip]) -> None:
        """Attempt again and again; wait where there is nothing to do.

        A database that is away ends nothing: what this worker held of `held` is given up, since
        nobody works on it any more, and found again when the database is back.
        """
        while not self._stopping.is_set():
            seen = self.services.database.changes()
            try:
                if not await attempt():
                    await self._wait(seen)
            except StoreUnusable as error:
                if not error.is_passing:
                    raise
                log.warning("%s", error)
                await self._give_up(held)

    async def _wait(self, seen: int) -> None:
        waiting = [
            asyncio.create_task(self.services.database.wait_for_change(seen, LOOK_S)),
            asyncio.create_task(self._stopping.wait()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _give_up(self, held: type[Run | Clip]) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(RETRY_S)
            try:
                async with self.services.database.write() as session:
                    await runs.release_owner(session, [self.presence.owner], (held,))
                return
            except StoreUnusable as error:
                if not error.is_passing:
                    raise

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
            )
        if not claimed:
            return False
        await while_held(make_clips(claimed, self.services), self._keep_leases(claimed))
        return True

    async def _keep_leases(self, claimed: list[Clip]) -> None:
        keys = [clip.key for clip in claimed]
        while True:
            await asyncio.sleep(CLIP_LEASE_S / 3)
            await patiently(lambda: self._renew(keys))

    async def _renew(self, keys: list[str]) -> None:
        async with self.services.database.write() as session:
            await clips.renew(session, keys, self.presence.owner, CLIP_LEASE_S)

    async def _watch_the_dead(self) -> None:
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), RENEW_S)
            except TimeoutError:
                await patiently(self.take_over_dead)


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
