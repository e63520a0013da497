"""Going when the process that started this one is gone, however it went."""

import asyncio
import sys
from collections.abc import Callable


async def when_orphaned(stop: Callable[[], None]) -> None:
    """Have `stop` called once standard input closes: its other end is with who started us."""

    class Orphaned(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            stop()

    await asyncio.get_running_loop().connect_read_pipe(Orphaned, sys.stdin)
