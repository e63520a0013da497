"""A worker: a clip maker that drives runs besides."""

import logging
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

from langgraph.runtime import RunControl

from audiostory_core.errors import LanguageModelAway
from graph.build import Graph
from graph.drive import LEASE_S, drive
from graph.maker import LONGEST_RETRY_S, LOOK_S, ClipMaker, Duty
from nodes.context import bind
from storage import runs
from storage.models import Run

WAITING = "llm.waiting"

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Worker(ClipMaker):
    """Claims runs and clips, and does them: one loop drives runs, the other makes clips.

    A run that needs a language model which does not answer goes on after `retry_s`, doubled each
    time, to a minute at most.

    Args:
        graph: the compiled state machine.
    """

    graph: Graph
    _control: RunControl = field(default_factory=RunControl)
    _resting: dict[int, float] = field(default_factory=dict)  # runs, until when by monotonic clock
    _rest_s: float = 0.0  # of the next run that has to

    def stop(self) -> None:
        """Leave `work` soon: after the step and the clips at hand, or without a clip that takes long."""
        super().stop()
        self._control.request_drain()

    def _loops(self) -> list[Coroutine[None, None, None]]:
        driving = Duty(self._drive_one, runs.give_up, self._until_next_run_s)
        return [self._loop(driving), *super()._loops()]

    async def _drive_one(self) -> bool:
        run = await self._claim_run()
        if run is None:
            return False
        self._control = RunControl()
        if self._stopping.is_set():
            self._control.request_drain()
        with bind(story_id=run.story_id, run_id=run.id):
            log.info("driving run %d", run.number)
            try:
                await drive(run, self.graph, self.services, self._control)
            except LanguageModelAway as error:
                await self._let_rest(run, error)
            else:
                self._rest_s = 0.0
        return True

    async def _claim_run(self) -> Run | None:
        resting = self._list_resting()
        async with self.services.database.read() as session:
            if not await runs.has_claimable(session, self.story_id, resting):
                return None
        owner = self.presence.owner
        async with self.services.database.write() as session:
            return await runs.claim(session, owner, LEASE_S, self.story_id, resting)

    def _until_next_run_s(self) -> float:
        """Return how long to wait at most: for the first run that rests, if it is sooner."""
        soonest_s = min(self._resting.values(), default=math.inf) - time.monotonic()
        return max(min(LOOK_S, soonest_s), 0.0)

    def _list_resting(self) -> list[int]:
        now_s = time.monotonic()
        self._resting = {run: until for run, until in self._resting.items() if until > now_s}
        return list(self._resting)

    async def _let_rest(self, run: Run, error: LanguageModelAway) -> None:
        """Give a run back uncounted, and leave it alone for a while; others go on meanwhile."""
        log.warning("%s", error)
        self._rest_s = min(max(self.retry_s, 2 * self._rest_s), LONGEST_RETRY_S)
        self._resting[run.id] = time.monotonic() + self._rest_s
        await self._give_up(runs.give_up, str(error), WAITING)
