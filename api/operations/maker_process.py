"""A process that only makes clips, beside the one that started it; see maker_pool.py.

It starts without LangGraph, planners and command line, or is forked from a command before that
imports them, and stops when the pipe from there closes, however that came about.
"""

import asyncio
import signal
import sys
from io import FileIO
from typing import IO, Any

from api.engines.catalog import engines as all_engines
from api.engines.engine_factory import Parts
from api.operations.logs import configure
from api.operations.memory import share_one_arena
from api.operations.orphans import when_orphaned
from api.settings import LogLevel, read_settings
from api.store import open_store
from graph.maker import ClipMaker
from nodes.context import bound
from nodes.services import Services
from storage.worker_lock import WorkerLock


async def make_clips(story_id: str | None, drain_s: float, share: float, pipe: IO[Any]) -> None:
    """Make clips until a pipe closes.

    Args:
        story_id: whose; None: those of all stories.
        drain_s: clips that take longer then are given back.
        share: of the story's clips, where to begin; see `ClipMaker`.
        pipe: from who started this process.
    """
    settings = read_settings()
    configure(settings.log, settings.log_level or LogLevel.WARNING, bound)
    store = await open_store(settings)
    parts = Parts(settings)
    engines = {
        card.name: parts.engine(card.name)
        for card in all_engines()
        if card.one_core and not parts.why_unusable("engine", card.name)
    }
    try:
        maker = ClipMaker(
            Services(store.database, store.audio, engines, {}),
            WorkerLock(store.workers),
            batch=settings.batch,
            story_id=story_id,
            drain_s=drain_s,
            share=share if story_id else None,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, maker.stop)
        await when_orphaned(maker.stop, pipe)
        await maker.work()
    finally:
        for engine in engines.values():
            engine.close()
        await store.database.close()


def carry_out(order: dict[str, Any], pipe: FileIO) -> bool:
    """Carry out an order to make clips, in a forked process."""
    asyncio.run(make_clips(order["story_id"], order["drain_s"], order["share"], pipe))
    return True


if __name__ == "__main__":
    share_one_arena()
    story_id, drain_s, share = sys.argv[1:]
    asyncio.run(make_clips(story_id or None, float(drain_s), float(share), sys.stdin))
