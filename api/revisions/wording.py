"""What changes in plain words would do, found out before they are asked for.

The planner `clauses` reads an author's words the same way every time, so what it refuses can be
refused at once. The HTTP process loads no planner: it asks a process of its own, started when the
first such change comes in (wording_process.py).
"""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import BaseModel, TypeAdapter

from audiostory_core.errors import BadInput
from audiostory_core.story.changes import Edits
from audiostory_core.story.editing import Draft
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan

PATIENCE_S = 10.0  # with an answer, starting the process included
LENGTH_BYTES = 8  # before each question and each answer
log = logging.getLogger(__name__)


class Question(BaseModel):
    """Edits of a plan, or a remark on it."""

    plan: StoryPlan
    limits: SceneLimits
    edits: Edits | None = None
    remark: str | None = None
    is_kept: bool = False  # the story's total is to stay, whatever the remark asks of scenes


class Refusal(BaseModel):
    """Why they cannot be made: the parts of a `BadInput`."""

    field: str
    value: Any
    problem: str
    remedy: str


class Unanswered(Exception):
    """Nobody can tell now what the edits would do."""


Resolve = Callable[[Question], Awaitable[list[Draft]]]
"""Returns the edited sub-events; raises `BadInput` or `Unanswered`."""

ANSWER: TypeAdapter[list[Draft] | Refusal] = TypeAdapter(list[Draft] | Refusal)


class WordingProcess:
    """The process that reads words; one question at a time."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._process: Process | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End the process, if one was started, with the block."""
        try:
            yield
        finally:
            await self._stop()

    async def resolve(self, question: Question) -> list[Draft]:
        """Return the edited sub-events.

        Raises:
            BadInput: if the planner refuses them.
            Unanswered: if the process does not answer in time.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._patience_s):
                    answer = await self._ask(question.model_dump_json().encode())
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("changes in words are not looked at before they are made: %r", error)
                raise Unanswered from error
        if isinstance(answer, Refusal):
            raise BadInput(answer.field, answer.value, answer.problem, answer.remedy)
        return answer

    async def _ask(self, question: bytes) -> list[Draft] | Refusal:
        answer = None
        try:
            if self._process is None:
                self._process = await _start()
            sink, source = self._process.stdin, self._process.stdout
            assert sink is not None
            assert source is not None
            sink.write(framed(question))
            await sink.drain()
            length = int.from_bytes(await source.readexactly(LENGTH_BYTES))
            answer = ANSWER.validate_json(await source.readexactly(length))
        finally:
            if answer is None:  # it may answer yet: to a question of before
                await self._stop()
        return answer

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return len(message).to_bytes(LENGTH_BYTES) + message


async def _start() -> Process:
    # A session of its own: Ctrl-C comes to `serve` alone. It ends when its standard input does.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.revisions.wording_process",
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
    )
