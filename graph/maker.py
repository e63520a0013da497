"""A maker: claims work of every kind, clips, conditions, exports, and does it until it is stopped.

Imports neither LangGraph nor a planner: a process that only makes clips starts without them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.engines.offered import offer_of
from audiostory_core.errors import LanguageModelAway
from graph.racing import all_of, first_of
from graph.resting import Resting
from nodes.context import bind
from nodes.jobs.kinds import JOBS
from nodes.patience import patiently
from nodes.services import Services
from storage import engine_offers, events, runs, work
from storage.errors import StoreUnusable
from storage.models import Work, WorkKind
from storage.work import Near
from storage.worker_lock import WorkerLock

LOOK_S = 5.0  # the longest between two looks for work; what is committed is seen at once
RETRY_S = 1.0  # before a database that is away is asked again
LONGEST_RETRY_S = 60.0  # between two looks whether a full disk has room, or a server is back
WORK_LEASE_S = 120.0
SHARED_S = 1.0  # a look is no older; what no commit tells, as a lease that runs out, is seen later
DEAD_S = 10.0  # between two looks for workers that are gone
UNUSABLE, WAITING = "store.unusable", "llm.waiting"

log = logging.getLogger(__name__)


GiveUp = Callable[[AsyncSession, str], Awaitable[list[str]]]


@dataclass(frozen=True)
class Duty:
    """A kind of work that is looked for and done, time and again.

    Args:
        attempt: does some of it; False if there was none.
        give_up: queues again, uncounted, what an owner holds of it; returns the stories concerned.
        look_s: how long to wait at most before looking for it again.
    """

    attempt: Callable[[], Awaitable[bool]]
    give_up: GiveUp
    look_s: Callable[[], float] = lambda: LOOK_S


@dataclass(frozen=True)
class Seen:
    """What a look for work saw, and when."""

    kinds: Collection[WorkKind] = ()
    needs: Mapping[WorkKind, list[str]] | None = None  # what it looked for
    changes: int = -1  # of the database
    at_s: float = 0.0  # by the monotonic clock


@dataclass
class ClipMaker:
    """Claims clips, conditions and exports, and makes them: a loop for each kind of work.

    What needs a language model that does not answer is tried again after `retry_s`, doubled each
    time, to a minute at most.

    Args:
        services: what jobs work with.
        presence: sign of life; its owner name is what claims carry.
        batch: clips handed to an engine at once.
        story_id: work for this story only; a store that does not mend by itself then ends the
            work, because the author is at the terminal.
        engines: do the work of these engines only; empty: of all. Exports need none.
        retry_s: before a full disk is looked at again; doubled each time, to a minute at most.
        drain_s: on stopping, clips that take longer are given back.
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
    _tag: int | None = None  # start tag of the clip claimed last
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _resting: Resting[tuple[WorkKind, str]] = field(init=False)  # work, by what it needs
    _seen: Seen = field(default_factory=Seen)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Begin rested."""
        self._resting = Resting(self.retry_s)

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
        await self._offer()
        is_blameless = False
        try:
            await all_of(*self._loops())
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
        return [*(self._loop(self._duty(kind)) for kind in JOBS), self._watch_the_dead()]

    def _duty(self, kind: WorkKind) -> Duty:
        return Duty(
            partial(self._do_some, kind),
            partial(work.give_up, kind=kind),
            lambda: self._resting.until_next_s(LOOK_S),
        )

    async def _offer(self) -> None:
        """Write down which engines are here, for the processes that have none."""
        news = []
        for name in self._names():
            capabilities = self.services.engines[name].capabilities
            news.append((name, capabilities.revision, offer_of(capabilities)))
        async with self.services.database.read() as session:
            news = [offer for offer in news if not await engine_offers.is_known(session, *offer)]
        if not news:
            return
        async with self.services.database.write() as session:
            are_new = [await engine_offers.offer(session, *offer) for offer in news]
        if any(are_new):
            async with self.services.database.write() as session:
                await runs.wake_for_engine(session)

    def _names(self) -> list[str]:
        here = self.services.engines
        return [name for name in here if name in (self.engines or here)]

    async def _leave(self, is_blameless: bool) -> None:
        owner, leaves_leases = self.presence.owner, True
        try:
            async with self.services.database.write() as session:
                if is_blameless:
                    await work.give_up(session, owner)
                    await runs.give_up(session, owner)
                else:
                    await runs.release_owner(session, [owner])
            leaves_leases = False
        except StoreUnusable as error:
            log.warning("%s", error)
        finally:
            self.presence.close(leaves_leases=leaves_leases)

    async def _loop(self, duty: Duty) -> None:
        """Attempt again and again; wait where there is nothing to do.

        A database that is away, or a disk that is full, ends nothing: what this worker held is
        given back uncounted, and claimed again when the store can be used.
        """
        wait_s = self.retry_s
        while not self._stopping.is_set():
            seen = self.services.database.changes()
            try:
                if not await duty.attempt():
                    await self._wait(seen, duty.look_s())
                wait_s = self.retry_s
            except StoreUnusable as error:
                if self.story_id is not None and not error.is_passing:
                    raise
                wait_s = await self._outlast(error, duty, wait_s)

    async def _wait(self, seen: int, look_s: float) -> None:
        database = self.services.database
        await first_of(database.wait_for_change(seen, look_s), self._stopping.wait())

    async def _outlast(self, error: StoreUnusable, duty: Duty, wait_s: float) -> float:
        """Wait until the store can be used; return how long to wait if it then cannot after all."""
        log.warning("%s", error)
        lacking_bytes = error.lacking_bytes
        with suppress(StoreUnusable):  # else it is given up below
            await self._give_up(duty.give_up, None if error.is_passing else str(error))
        while not self._stopping.is_set():
            if error.is_passing:
                await self._rest(RETRY_S)
            else:
                await self._rest(wait_s)
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)
            try:
                await asyncio.to_thread(self.services.audio.probe, lacking_bytes)
                await self._give_up(duty.give_up)
            except StoreUnusable as still:
                if self.story_id is not None and not still.is_passing:
                    raise
                error = still
            else:
                log.info("The store can be used again.")
                break
        return wait_s

    async def _give_up(
        self, give_up: GiveUp, problem: str | None = None, kind: str = UNUSABLE
    ) -> None:
        async with self.services.database.write() as session:
            for story_id in await give_up(session, self.presence.owner):
                if problem is not None:
                    await events.append_once(
                        session, story_id, kind, events.PROGRESS, problem=problem
                    )

    async def _rest(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _do_some(self, kind: WorkKind) -> bool:
        claimed = await self._claim(kind)
        if not claimed:
            return False
        if JOBS[kind].is_batched:
            self._tag = claimed[-1].start_tag
        with bind(**{kind: claimed[0].key}):
            log.info("making %d %s(s) with %s", len(claimed), kind, claimed[0].needs)
            try:
                await first_of(JOBS[kind].do(claimed, self.services), self._keep_leases(claimed))
            except LanguageModelAway as error:
                log.warning("%s", error)
                self._resting.let_rest((kind, claimed[0].needs))
                await self._give_up(partial(work.give_up, kind=kind), str(error), WAITING)
            else:
                self._resting.reset()
        return True

    async def _claim(self, kind: WorkKind) -> list[Work]:
        if kind not in await self._look():
            return []
        is_batched = JOBS[kind].is_batched
        near = None if self.share is None or not is_batched else Near(self._tag, self.share)
        async with self.services.database.write() as session:
            return await work.claim(
                session,
                self.presence.owner,
                WORK_LEASE_S,
                kind,
                self._needs(kind),
                self.batch if is_batched else 1,
                self.story_id,
                near,
            )

    async def _look(self) -> Collection[WorkKind]:
        """Return the kinds of work that there are; the loops share a look at the same state."""
        async with self._looking:
            needs = {kind: self._needs(kind) for kind in JOBS}
            changes, now_s = self.services.database.changes(), time.monotonic()
            is_same = (self._seen.changes, self._seen.needs) == (changes, needs)
            if not is_same or now_s - self._seen.at_s > SHARED_S:
                async with self.services.database.read() as session:
                    kinds = await work.list_claimable(session, needs, self.story_id)
                self._seen = Seen(kinds, needs, changes, now_s)
            return self._seen.kinds

    def _needs(self, kind: WorkKind) -> list[str]:
        resting = self._resting.keys()
        has = JOBS[kind].has
        names = self._names() if has is None else has
        return [name for name in names if (kind, name) not in resting]

    async def _keep_leases(self, claimed: list[Work]) -> None:
        while True:
            await asyncio.sleep(WORK_LEASE_S / 3)
            await patiently(lambda: self._renew(claimed), self.services)

    async def _renew(self, claimed: list[Work]) -> None:
        async with self.services.database.write() as session:
            await work.renew(session, claimed, WORK_LEASE_S)

    async def _watch_the_dead(self) -> None:
        while not self._stopping.is_set():
            await self._rest(DEAD_S)
            try:
                await self.take_over_dead()
            except StoreUnusable as error:
                log.warning("%s", error)
