"""A studio in full use, served over a socket: stories in every state, and a worker at work."""

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from api.app import create_app
from api.http.deps import AppState
from api.operations.serving import _Server
from api.revisions import service as revision_service
from api.settings import Settings
from api.store import open_store
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.story.changes import Edits, MoreTakes
from audiostory_core.story.edits import read_edits
from graph.worker import Worker
from nodes.services import Services
from storage import keys, webhooks
from tests.support.fakes import LinePlanner, ToneEngine
from tests.support.studio import Studio

ADDRESS = "https://93.184.216.34/hook"  # on the Internet, and nobody has to be asked where
UNLIMITED = 1_000_000


class StockedStudio(Studio):
    """Plans what clients ask for, too; their clips' engine is missing, so their runs fail."""

    @property
    def services(self) -> Services:
        planners = {"lines": self.planner, "clauses": Clauses()}
        engines = {"tone": self.engine}
        return Services(self.store.database, self.store.audio, engines, planners)


@dataclass
class Stock:
    """Ids of what is there."""

    stories: list[str] = field(default_factory=list)
    webhooks: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Faults(logging.Handler):
    """Remembers what is logged as a fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []
        self.left = 0  # streams that FastAPI logs as faults: their reader went away in mid-event

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a record, its traceback included."""
        text = logging.Formatter().format(record)
        if "anyio.BrokenResourceError" in text and "_keepalive_inserter" in text:
            self.left += 1
        else:
            self.told.append(text)


class StockedService:
    """The studio of a thread with a loop of its own; see `stocked_service`.

    Args:
        home: its data folder.
        database_url: of a migrated Postgres database; None is SQLite.
    """

    def __init__(self, home: Path, database_url: str | None) -> None:
        self._settings = Settings(
            home=home,
            database_url=database_url,
            rate_per_minute=UNLIMITED,
            starts_per_minute=UNLIMITED,
            streams_per_key=10_000,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.stock = Stock()
        self.faults = Faults()
        self.url = ""
        self.admin: dict[str, str] = {}  # headers of keys
        self.author: dict[str, str] = {}
        self.stranger: dict[str, str] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have work done by the studio's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def add_stories(self) -> None:
        """Stock up: a story of every state."""
        self.do(self._add_stories())

    def open(self) -> None:
        """Begin to serve, and stock up."""
        for name in ("uvicorn.error", "asyncio", "audiostory"):
            logging.getLogger(name).addHandler(self.faults)
        self._thread.start()
        self.do(self._open())

    def close(self) -> None:
        """End everything; a worker that broke raises here what broke it."""
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        store = await open_store(self._settings)
        self._studio = StockedStudio(self._settings, store, ToneEngine(), LinePlanner())
        self._edge = AppState(store, self._settings, lambda: 1)
        config = uvicorn.Config(create_app(self._edge), log_config=None, lifespan="off")
        self._server = _Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve([listening]))
        self._working = asyncio.create_task(self._work())
        await self._add_keys()
        await self._add_stories()
        await self._add_webhooks()

    async def _work(self) -> None:
        async with self._studio.worker() as worker:
            self._worker: Worker = worker
            await worker.work()

    async def _close(self) -> None:
        self._server.should_exit = True
        self._edge.closing.set()
        await self._serving
        self._worker.stop()
        await self._working
        await self._studio.store.database.close()

    async def _add_keys(self) -> None:
        async with self._studio.store.database.write() as session:
            made = {
                name: await keys.add(session, name=name, scopes=scopes)
                for name, scopes in (
                    ("admin", ["admin"]),
                    ("author", ["read", "write"]),
                    ("stranger", ["read", "write"]),
                    ("gone", ["read"]),
                )
            }
        headers = {name: {"Authorization": f"Bearer {key}"} for name, (_, key) in made.items()}
        self.admin, self.author = headers["admin"], headers["author"]
        self.stranger = headers["stranger"]
        self._author_key = made["author"][0].id
        self.stock.keys.append(made["gone"][0].id)

    async def _add_webhooks(self) -> None:
        async with self._studio.store.database.write() as session:
            for story_id in (None, self.stock.stories[0]):
                hook = await webhooks.add(
                    session, url=ADDRESS, story_id=story_id, kinds=[], owner_key=self._author_key
                )
                self.stock.webhooks.append(hook.id)

    async def _add_stories(self) -> None:
        database = self._studio.store.database
        finished = await self._add("rain\nsnow", 2.0)
        planned = await self._add("rain\nsnow", 2.0, review=True)
        mixed = await self._add("rain\nsnow", 2.0, review=True)
        broken = await self._add("rain\nit fails", 2.0)
        failed = await self._add("rain", 1.0, engine="foley")
        cancelled = await self._add("rain\nsnow", 2.0, review=True)
        revised = await self._add("rain\nsnow\nhail", 3.0)
        for story_id in (finished, planned, mixed, broken, failed, cancelled, revised):
            await self._studio.settle(story_id)
        await revision_service.approve(database, mixed)
        await revision_service.cancel(database, cancelled)
        reword = {"op": "reword", "sub_event": 2, "caption": "thunder"}
        await revision_service.ask(
            database, revised, Edits(edits=read_edits([reword])), accept=True
        )
        await self._studio.settle(revised)
        await revision_service.ask(database, revised, MoreTakes(sub_event=1, count=2))
        await self._studio.settle(revised)
        await revision_service.name(database, revised, 1, "first")
        await self._studio.settle(mixed)
        self.stock.stories += [finished, planned, mixed, broken, failed, cancelled, revised]

    async def _add(self, instruction: str, duration_s: float, **values: Any) -> str:
        values["owner_key"] = self._author_key
        return (await self._studio.add(instruction, duration_s=duration_s, **values)).id


@contextmanager
def stocked_service(home: Path, database_url: str | None = None) -> Iterator[StockedService]:
    """Serve a stocked studio for the block."""
    service = StockedService(home, database_url)
    service.open()
    try:
        yield service
    finally:
        service.close()
