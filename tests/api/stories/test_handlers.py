from typing import Any, cast

from api.stories.handlers import _measuring
from storage.database import Database


class Unused:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is used")


async def test_nothing_is_measured_where_nobody_watches():
    async with _measuring(cast("Database", Unused()), "a-story", None):
        pass
