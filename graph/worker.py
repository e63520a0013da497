"""A worker: a clip maker that drives runs besides."""

import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field

from langgraph.runtime import RunControl

from audiostory_core.errors import LanguageModelAway
from graph.build import Graph
from graph.drive import LEASE_S, drive
from graph.maker import LOOK_S, WAITING, ClipMaker, Duty
from graph.resting import Resting
from nodes.context import bind
from storage import runs
from storage.models import Run

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Worker(ClipMaker):
    """Claims runs besides clips and conditions: one more loop drives them.

    A run that needs a language model which does not answer goes on after `retry_s`, doubled each
    time, to a minute at most.

    Args:
        graph: the compiled state machine.
    """

    graph: Graph
    _control: RunControl = field(default_factory=RunControl)
    _resting_runs: Resting[int] = field(init=False)  # their ids

    def __post_init__(self) -> None:
        """Begin rested."""
        super().__post_init__()
        self._resting_runs = Resting(self.retry_s)

    def stop(self) -> None:
        """Leave `work` soon: after the step and the clips at hand, or without a clip that takes long."""
        super().stop()
        self._control.request_drain()

    def _loops(self) -> list[Coroutine[None, None, None]]:
        rests = self._resting_runs
        driving = Duty(self._drive_one, runs.give_up, lambda: rests.until_next_s(LOOK_S))
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
                log.warning("%s", error)
                self._resting_runs.let_rest(run.id)
                await self._give_up(runs.give_up, str(error), WAITING)
            else:
                self._resting_runs.reset()
        return True

    async def _claim_run(self) -> Run | None:
        resting = self._resting_runs.keys()
        async with self.services.database.read() as session:
            if not await runs.has_claimable(session, self.story_id, resting):
                return None
        owner = self.presence.owner
        async with self.services.database.write() as session:
            return await runs.claim(session, owner, LEASE_S, self.story_id, resting)
