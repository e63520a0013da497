"""Waiting for a database that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nodes.services import Services
from storage.errors import StoreUnusable

Result = TypeVar("Result")
RETRY_S = 1.0  # before a database that is away is asked again


async def patiently(attempt: Callable[[], Awaitable[Result]], services: Services) -> Result:
    """Attempt again and again while the database is away: what is made is not lost with it.

    Raises:
        StoreUnusable: if it will not come back by itself, or the process is to end.
    """
    while True:
        try:
            return await attempt()
        except StoreUnusable as error:
            if not error.is_passing or services.is_overdue:
                raise
            await asyncio.sleep(RETRY_S)
