"""Processes that make clips beside this one: as many as pay, while there are clips for them."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from api.engines.catalog import engines as all_engines
from api.engines.catalog import why_not_here
from api.operations import forks
from api.operations.forks import Fork, Kind
from api.settings import ONE_THREAD, Settings, extend_environment
from audiostory_core.cores import available_bytes, count_cores
from audiostory_core.story.plan import SAMPLE_RATE
from storage import clips
from storage.database import Database
from storage.errors import StoreUnusable

PROCESS_BYTES = 320e6  # that a process takes at most while it makes clips
PAYS_S = 60.0  # of sound each: less is made before another process has started
FORK_PAYS_S = 15.0  # where it is there already
LOOK_S = 5.0  # the longest between two looks for clips; what is committed is seen at once
PAUSE_S = 0.2  # the shortest
LINGER_S = 10.0  # without clips, until a process for all stories ends
RESTART_S = 5.0  # before one that died is replaced
PATIENCE_S = 30.0  # with a process that is to end


def count_processes(settings: Settings) -> int:
    """Return how many processes may make clips here: one a core, as far as memory goes."""
    if settings.processes is not None:
        return settings.processes
    return min(count_cores(), 1 + int(min(available_bytes(), 1e15) // PROCESS_BYTES))


def pays_s() -> float:
    """Return the seconds of sound that there must be for each process to make."""
    return FORK_PAYS_S if forks.count_waiting(Kind.MAKE) else PAYS_S


class Pool:
    """Keeps clip makers beside this process, which makes clips itself.

    A maker's standard input is a pipe from here: it closes however this process ends, SIGKILL
    included, and the maker stops. Its session is its own, so that Ctrl-C comes to this process
    alone.

    Args:
        database: where the clips are queued.
        settings: of this installation.
        most: processes that make clips, this one included.
        story_id: make the clips of this story only; None: of all.
        engines: make clips of these only; empty: of all.
        drain_s: clips that take longer when a maker is to end are given back.
        expected_s: seconds of sound that clips will be queued for, so that makers start meanwhile.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        most: int,
        *,
        story_id: str | None = None,
        engines: Sequence[str] = (),
        drain_s: float = 0.0,
        expected_s: float = 0.0,
    ) -> None:
        self._database = database
        self._settings = settings
        self._most = most
        self._story_id = story_id
        self._engines = [
            card.name
            for card in all_engines()
            if card.one_core
            and (not engines or card.name in engines)
            and why_not_here(card, settings) is None
        ]
        self._drain_s = drain_s
        self._expected_s = expected_s
        self._alive: set[Process | Fork] = set()
        self._begins_at = 0.0  # by the monotonic clock, the next process at the earliest
        self._needed_at = 0.0  # when there were clips last
        self._keeping: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have makers come and go for the duration of the block."""
        if self._most > 1 and self._engines:
            self._keeping = asyncio.create_task(self._keep())
            await asyncio.sleep(0)
        try:
            yield
        finally:
            self.stop()
            if self._keeping is not None:
                await asyncio.gather(self._keeping, return_exceptions=True)

    def stop(self) -> None:
        """Have all makers end soon; the end of `running` waits for them."""
        if self._keeping is not None:
            self._keeping.cancel()

    async def _keep(self) -> None:
        try:
            await self._start_some(int(self._expected_s / pays_s()) - 1)
            while True:
                seen = self._database.changes()
                with suppress(StoreUnusable):  # whoever makes clips here meets it too, and tells
                    await self._adjust()
                await asyncio.sleep(PAUSE_S)
                await self._database.wait_for_change(seen, LOOK_S)
        finally:
            await self._end()

    async def _adjust(self) -> None:
        """Start makers that are lacking; end all when there is nothing left for them."""
        async with self._database.read() as session:
            count, samples = await clips.count_open(
                session, self._engines, self._most * 100, self._story_id
            )
        now = time.monotonic()
        if count:
            self._needed_at, self._expected_s = now, 0.0
        linger_s = LINGER_S if self._story_id is None else 0.0
        if self._alive and not self._expected_s and now - self._needed_at > linger_s:
            await self._end()
        gone = {process for process in self._alive if process.returncode is not None}
        if gone:
            self._alive -= gone
            self._begins_at = now + RESTART_S
        if now >= self._begins_at:
            await self._start_some(min(count, int(samples / SAMPLE_RATE / pays_s())) - 1)

    async def _start_some(self, wanted: int) -> None:
        while len(self._alive) < min(wanted, self._most - 1):
            self._alive.add(await self._start())

    async def _start(self) -> Process | Fork:
        share = (len(self._alive) + 1) / self._most
        if self._story_id is not None and (fork := forks.take(Kind.MAKE)) is not None:
            order = {"story_id": self._story_id, "drain_s": self._drain_s, "share": share}
            fork.order(order)
            return fork
        where = {"AUDIOSTORY_HOME": str(self._settings.home)}
        if self._settings.database_url is not None:
            where["AUDIOSTORY_DATABASE_URL"] = self._settings.database_url
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api.operations.maker_process",
            self._story_id or "",
            str(self._drain_s),
            str(share),
            stdin=PIPE,
            stdout=DEVNULL,
            env=extend_environment(where | ONE_THREAD),
            start_new_session=True,
        )

    async def _end(self) -> None:
        await asyncio.gather(*(end(process, PATIENCE_S) for process in self._alive))
        self._alive.clear()


async def end(process: Process | Fork, patience_s: float) -> None:
    """Let a process that stops when its standard input closes do so; then make it go."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(ProcessLookupError):
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            process.kill()
            await process.wait()
