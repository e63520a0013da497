"""A studio in a folder of its own, with everything real but the engine and the planner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from api.settings import Settings
from api.store import OpenStore, open_store
from audiostory_core.engines.offered import offer_of
from audiostory_core.engines.protocol import Engine
from audiostory_core.planners.protocol import Planner
from graph.build import build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.worker import Worker
from nodes.jobs.kinds import JOBS
from nodes.services import Services
from storage import engine_offers, events, stories, work
from storage.models import ACTIVE, FOR_WORK, Event, Run, Story
from storage.worker_lock import WorkerLock
from tests.support.fakes import LinePlanner, ToneEngine


@dataclass
class Studio:
    """A store and the means to work on it as one process."""

    settings: Settings
    store: OpenStore
    engine: ToneEngine
    planner: LinePlanner
    engines: dict[str, Engine] = field(default_factory=dict)  # besides the one of tones
    planners: dict[str, Planner] = field(default_factory=dict)

    @classmethod
    async def make(cls, home: Path, database_url: str | None = None) -> Self:
        """Open a data folder, made if need be."""
        settings = Settings(home=home, database_url=database_url)
        return cls(settings, await open_store(settings), ToneEngine(), LinePlanner())

    @property
    def services(self) -> Services:
        return Services(
            self.store.database,
            self.store.audio,
            {"tone": self.engine} | self.engines,
            {"lines": self.planner} | self.planners,
        )

    @asynccontextmanager
    async def worker(self, **options: Any) -> AsyncIterator[Worker]:
        async with open_checkpoints(self.settings.checkpoints) as checkpoints:
            presence = WorkerLock(self.store.workers)
            graph = build_graph(checkpoints)
            yield Worker(self.services, presence, graph=graph, **options)

    async def add(self, instruction: str, **values: Any) -> Story:
        wanted = {
            "duration_s": None,
            "language": None,
            "seed": 7,
            "engine": "tone",
            "planner": "lines",
            "tail_s": 1.0,
            "review": False,
            "given_plan": None,
            "idempotency_key": None,
            "request_digest": None,
        }
        async with self.store.database.write() as session:
            return await stories.add(session, instruction=instruction, **(wanted | values))

    async def run(self, story_id: str) -> Run:
        """Work until the story is settled or waits for its author."""
        async with self.worker() as worker:
            working = asyncio.create_task(worker.work())
            settling = asyncio.create_task(self.settle(story_id))
            await asyncio.wait({working, settling}, return_when=asyncio.FIRST_COMPLETED)
            settling.cancel()
            worker.stop()
            await working
        return await self.latest_run(story_id)

    async def settle(self, story_id: str) -> None:
        """Wait until a story that workers work on has ended or waits for its author."""
        run = await self.latest_run(story_id)
        while run.state in ACTIVE and run.waits_for in (None, *FOR_WORK):
            await asyncio.sleep(0.01)
            run = await self.latest_run(story_id)

    async def latest_run(self, story_id: str) -> Run:
        async with self.store.database.read() as session:
            run = await stories.find_latest_run(session, story_id)
        assert run is not None
        return run

    async def offer(self) -> None:
        """Write down which engines there are, as a worker does that starts."""
        async with self.store.database.write() as session:
            for name, engine in self.services.engines.items():
                capabilities = engine.capabilities
                card = offer_of(capabilities)
                await engine_offers.offer(session, name, capabilities.revision, card)

    async def do_work(self) -> None:
        """Do what is queued of every kind, as a worker does."""
        for kind, job in JOBS.items():
            most = 100 if job.is_batched else 1
            async with self.store.database.write() as session:
                claimed = await work.claim(session, "a worker", 30.0, kind, ["tone"], most)
            if claimed:
                await job.do(claimed, self.services)

    async def events(self, story_id: str) -> list[Event]:
        async with self.store.database.read() as session:
            return await events.list_after(session, story_id, 0, limit=10_000)
