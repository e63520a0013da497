"""Going when the process that started this one is gone, however it went."""

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from typing import IO, Any


async def when_orphaned(stop: Callable[[], None], pipe: IO[Any] | None = None) -> None:
    """Have `stop` called once a pipe, standard input by default, closes at its other end.

    Anything but a pipe or a socket, such as /dev/null, has no other end.
    """

    class Orphaned(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            stop()

    source = pipe or sys.stdin
    mode = os.fstat(source.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        await asyncio.get_running_loop().connect_read_pipe(Orphaned, source)
    else:
        stop()
