"""Going when the process that started this one is gone, however it went."""

import asyncio
import sys
from collections.abc import Callable
from typing import IO, Any


async def when_orphaned(stop: Callable[[], None], pipe: IO[Any] | None = None) -> None:
    """Have `stop` called once a pipe, standard input by default, closes at the end of who started us."""

    class Orphaned(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            stop()

    await asyncio.get_running_loop().connect_read_pipe(Orphaned, pipe or sys.stdin)
