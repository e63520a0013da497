"""`audiostory worker`: one worker process, alone or supervised by `serve`."""

import asyncio
import signal
from collections.abc import Callable, Sequence

from api.engines.worker_factory import build_worker
from api.operations.logs import configure
from api.operations.maker_pool import Pool, count_processes
from api.operations.orphans import when_orphaned
from api.settings import LogLevel, read_settings
from api.store import open_store
from nodes.context import bound


async def work_forever(
    supervised: bool,
    engines: Sequence[str] = (),
    batch: int | None = None,
    processes: int | None = None,
) -> None:
    """Work until SIGTERM, Ctrl-C or, if supervised, until standard input closes.

    What takes a few seconds more is finished first, the rest given back for others to go on with;
    a second signal ends at once.

    Args:
        supervised: `serve` started this process.
        engines: make clips of these only; empty: of all that are usable here.
        batch: clips handed to an engine at once; None: as the settings say.
        processes: that make clips, this one included; None: as the settings say, or one a core.
    """
    settings = read_settings()
    if batch is not None:
        settings = settings.model_copy(update={"batch": batch})
    most = processes or count_processes(settings)
    configure(settings.log, settings.log_level or LogLevel.INFO, bound)
    store = await open_store(settings)
    try:
        async with build_worker(store, settings, only=engines) as worker:
            pool = Pool(store.database, settings, most, engines=engines, drain_s=worker.drain_s)

            def stop() -> None:
                worker.stop()
                pool.stop()

            _on_signal(stop)
            if supervised:
                await when_orphaned(stop)
            async with pool.running():
                await worker.work()
    finally:
        await store.database.close()


def _on_signal(stop: Callable[[], None]) -> None:
    """Have `stop` called at SIGTERM or Ctrl-C; a second one waits for nothing."""
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_once)
