"""Processes that work as `audiostory resume` and `audiostory worker` do, with an engine quick
enough for them to be killed many times within a test, which writes down what it does."""

import asyncio
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from api.engines import planners
from api.engines.worker_factory import build_worker
from api.settings import Settings
from api.store import OpenStore, open_store
from api.stories.local_run import make_story
from audiostory_core.engines import discovery
from audiostory_core.engines.protocol import (
    UNWATCHED,
    ClipRequest,
    ClipResult,
    Condition,
    ProgressListener,
)
from audiostory_core.stem import Stem
from audiostory_core.story.plan import StoryPlan
from tests.support import fakes
from tests.support.cards import VARIABLE

LOG, SHORTEST_S, LONGEST_S = (
    "AUDIOSTORY_TEST_LOG",
    "AUDIOSTORY_TEST_SHORTEST",
    "AUDIOSTORY_TEST_LONGEST",
)
LOGGED = Path(__file__).with_name("logged")
JOINED, BEGUN, MADE = "joined", "begun", "made"
CONDITIONING, CONDITIONED = "conditioning", "conditioned"
DRIVER = "driver"  # name of a process without an engine
CONDITION_S = 0.02  # that conditioning a scene takes longer


@dataclass(frozen=True)
class Line:
    """What a process wrote down: that it joined, began or made a clip, conditioned a scene."""

    what: str
    clip: str  # see `name_of` and `name_of_scene`
    pid: int
    at: float  # seconds since 1970


class LoggedEngine(fakes.ToneEngine):
    """Adds a pause to each clip that follows from its seed, and writes down begin and end.

    A line is one `write` to a file opened for appending: it is whole and stays, whenever its
    process is killed, and lines of several processes do not mix.
    """

    def __init__(self, log: Path, shortest_s: float, longest_s: float) -> None:
        super().__init__()
        self._lines = log
        self._pauses_s = shortest_s, longest_s

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        made = dict(known)
        try:
            for place in places:
                caption = plan.sub_events[place].caption
                write(self._lines, CONDITIONING, name_of_scene(caption, stem))
                time.sleep(CONDITION_S)
                [part] = super().interleave(plan, [place], made, stem)
                made |= part
                yield part
        finally:
            write(self._lines, CONDITIONED)

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        made = []
        for at, request in enumerate(requests):
            name = name_of(request.caption, request.seed, request.samples)
            write(self._lines, BEGUN, name)
            shortest_s, longest_s = self._pauses_s
            self.pause_s = shortest_s + (longest_s - shortest_s) * (request.seed % 1000) / 1000
            made.append(self._make(request, at, watch))
            write(self._lines, MADE, name)
        return made


def name_of(caption: str, seed: int, samples: int) -> str:
    """Name a clip by what its engine reads of it, as the engine can and the database can."""
    return hashlib.sha256(f"{caption}\n{seed}\n{samples}".encode()).hexdigest()[:16]


def name_of_scene(caption: str, stem: str) -> str:
    """Name what is conditioned."""
    return hashlib.sha256(f"{stem} {caption}".encode()).hexdigest()[:16]


def name_of_request(request: str) -> str:
    """Name a clip by its request as the database has it."""
    told = json.loads(request)
    return name_of(told["caption"], told["seed"], told["samples"])


def write(log: Path, what: str, clip: str = "-") -> None:
    """Append a line."""
    line = f"{what} {clip} {os.getpid()} {time.time():.6f}\n".encode()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read(log: Path) -> list[Line]:
    """Read all lines; of one that is being written a part may be there."""
    split = (line.split() for line in log.read_text().rpartition("\n")[0].splitlines())
    return [Line(what, clip, int(pid), float(at)) for what, clip, pid, at in split]


def logged_engine() -> LoggedEngine:
    """Build the engine in a child process; see `_prepare`."""
    return LoggedEngine(
        Path(os.environ[LOG]), float(os.environ[SHORTEST_S]), float(os.environ[LONGEST_S])
    )


@dataclass(frozen=True)
class Crew:
    """Starts processes that work on one store.

    Args:
        settings: of the store.
        log: what their engines write; see `read`.
        pauses_s: least and most seconds added to each clip.
    """

    settings: Settings
    log: Path
    pauses_s: tuple[float, float] = (0.05, 0.3)

    def resume(self, story_id: str) -> BaseProcess:
        """Start a process that works on a story until it settles, as `audiostory resume` does."""
        return self._start(story_id)

    def work(self) -> BaseProcess:
        """Start a process that works on anything until it is killed, as `audiostory worker`."""
        return self._start(None)

    def drive(self) -> BaseProcess:
        """Start a process that drives runs until it is killed, and has no engine."""
        return self._start(None, has_engine=False)

    def _start(self, story_id: str | None, *, has_engine: bool = True) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.support.tone_process"])
        process = context.Process(
            target=run,
            args=(self, story_id, has_engine),
            daemon=True,
            name="tone" if has_engine else DRIVER,
        )
        process.start()
        return process


def run(crew: Crew, story_id: str | None, has_engine: bool) -> None:
    """Be one of the processes."""
    os.environ[LOG] = str(crew.log)
    os.environ[SHORTEST_S], os.environ[LONGEST_S] = map(str, crew.pauses_s)
    discovery.SHIPPED = LOGGED if has_engine else LOGGED / DRIVER
    os.environ.pop(VARIABLE, None)
    planners.PLANNERS["lines"] = "tests.support.fakes:LinePlanner"
    asyncio.run(_run(crew, story_id))


async def _run(crew: Crew, story_id: str | None) -> None:
    store = await open_store(crew.settings)
    write(crew.log, JOINED)
    try:
        if story_id is None:
            await _work(store, crew.settings)
        else:
            await make_story(store, crew.settings, story_id, partial(bool), partial(bool))
    finally:
        await store.database.close()


async def _work(store: OpenStore, settings: Settings) -> None:
    async with build_worker(store, settings) as worker:
        await worker.work()
