"""`audiostory worker`: one worker process, alone or supervised by `serve`."""

import asyncio
import signal
import sys
from collections.abc import Sequence

from api.engines.worker_factory import build_worker
from api.operations.logs import configure
from api.settings import LogLevel, read_settings
from api.store import open_store
from graph.worker import Worker
from nodes.context import bound


async def work_forever(
    supervised: bool, engines: Sequence[str] = (), batch: int | None = None
) -> None:
    """Work until SIGTERM, Ctrl-C or, if supervised, until standard input closes.

    What takes a few seconds more is finished first, the rest given back for others to go on with;
    a second signal ends at once.

    Args:
        supervised: `serve` started this process.
        engines: make clips of these only; empty: of all that are usable here.
        batch: clips handed to an engine at once; None: as the settings say.
    """
    settings = read_settings()
    if batch is not None:
        settings = settings.model_copy(update={"batch": batch})
    configure(settings.log, settings.log_level or LogLevel.INFO, bound)
    store = await open_store(settings)
    try:
        async with build_worker(store, settings, only=engines) as worker:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop, worker)
            if supervised:
                await _stop_when_orphaned(worker)
            await worker.work()
    finally:
        await store.database.close()


def _stop(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # a second one waits for nothing
    worker.stop()


async def _stop_when_orphaned(worker: Worker) -> None:
    """Stop once the supervisor is gone, however it went: its end of our standard input closes."""

    class Orphaned(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            worker.stop()

    await asyncio.get_running_loop().connect_read_pipe(Orphaned, sys.stdin)
