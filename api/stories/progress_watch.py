"""Measuring a story's progress again and again while something else works on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from storage.database import Database
from storage.errors import StoreError
from storage.progress import Progress, measure

MEASURE_S = 1.0  # between two measurements


@asynccontextmanager
async def measuring(
    database: Database, story_id: str, show: Callable[[Progress], None] | None
) -> AsyncIterator[None]:
    """Show a story's progress for the duration of the block, and once more at its end.

    Measured is nothing where nobody watches (None).
    """
    if show is None:
        yield
        return
    meter = _Meter(database, story_id, show)
    task = asyncio.create_task(meter.measure_often())
    try:
        yield
        await meter.measure()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Meter:
    def __init__(self, database: Database, story_id: str, show: Callable[[Progress], None]) -> None:
        self._database = database
        self._story_id = story_id
        self._show = show
        self._last: Progress | None = None

    async def measure_often(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(MEASURE_S)

    async def measure(self) -> None:
        with suppress(StoreError):  # whoever works on the story meets it too, and tells of it
            async with self._database.read() as session:
                self._last = await measure(session, self._story_id, self._last)
            self._show(self._last)
