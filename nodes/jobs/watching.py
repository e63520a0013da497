"""Following what a thread makes of claimed work: its progress, and whether anybody still waits."""

import asyncio
import threading
import time
from collections.abc import Sequence

from audiostory_core.errors import Cancelled
from nodes.patience import patiently
from nodes.services import Services
from storage import wants, work
from storage.models import Work

LOOK_S = 0.1  # between two looks whether anybody still waits, if something was committed
UNCHANGED_S = 1.0  # if nothing was
PROGRESS_S = 1.0  # between two notes of progress


class BatchProgress:
    """What a thread reports of its progress; stops it once nobody waits for what it makes.

    Args:
        count: pieces of work of the batch.
    """

    def __init__(self, count: int) -> None:
        self.shares = [0.0] * count  # of each that are done
        self._is_lost = threading.Event()

    def step(self, index: int, done: float) -> None:
        """Note progress; raises `Cancelled` once nobody waits for the batch."""
        self.shares[index] = done
        if self._is_lost.is_set():
            raise Cancelled

    def lose(self) -> None:
        """Let the next step raise."""
        self._is_lost.set()


async def watch_claimed(claimed: Sequence[Work], watch: BatchProgress, services: Services) -> None:
    """Note the progress of claimed work time and again; end it once nobody waits for any of it."""
    noted = looked = time.monotonic()
    known = -1
    while True:
        await asyncio.sleep(LOOK_S)
        seen, is_wanted = services.database.changes(), True
        if seen != known or time.monotonic() - looked >= UNCHANGED_S:
            known, looked = seen, time.monotonic()
            is_wanted = await patiently(lambda: _is_wanted(claimed, services), services)
        if services.is_overdue or not is_wanted:
            watch.lose()
            return
        if time.monotonic() - noted >= PROGRESS_S:
            noted = time.monotonic()
            await patiently(lambda: _note(claimed, watch.shares, services), services)


async def _is_wanted(claimed: Sequence[Work], services: Services) -> bool:
    async with services.database.read() as session:
        return await wants.has_interest(session, claimed)


async def _note(claimed: Sequence[Work], shares: Sequence[float], services: Services) -> None:
    async with services.database.write() as session:
        for piece, share in zip(claimed, shares, strict=True):
            await work.note_progress(session, piece, share)
