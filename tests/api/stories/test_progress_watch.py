import asyncio
from typing import Any, cast

from api.stories.progress_watch import measuring
from storage.database import Database


class Unused:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


def test_nothing_is_measured_where_nobody_watches() -> None:
    async def follow() -> None:
        async with measuring(cast("Database", Unused()), "a-story", None):
            await asyncio.sleep(0)

    asyncio.run(follow())
