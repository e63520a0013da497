"""Measuring a story's progress again and again while something else works on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from storage.database import Database
from storage.errors import StoreError
from storage.progress import Progress, measure

MEASURE_S = 0.5  # between two measurements


@asynccontextmanager
async def measuring(
    database: Database, story_id: str, show: Callable[[Progress], None]
) -> AsyncIterator[None]:
    """Show a story's progress for the duration of the block, and once more at its end."""
    task = asyncio.create_task(_measure_often(database, story_id, show))
    try:
        yield
        await _measure(database, story_id, show)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _measure_often(
    database: Database, story_id: str, show: Callable[[Progress], None]
) -> None:
    while True:
        await _measure(database, story_id, show)
        await asyncio.sleep(MEASURE_S)


async def _measure(database: Database, story_id: str, show: Callable[[Progress], None]) -> None:
    with suppress(StoreError):  # whoever works on the story meets it too, and tells of it
        async with database.read() as session:
            show(await measure(session, story_id))
