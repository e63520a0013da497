"""Coroutines that run beside each other and end together."""

import asyncio
from collections.abc import Coroutine

Work = Coroutine[None, None, object]


async def first_of(*coroutines: Work) -> None:
    """Run coroutines until the first of them ends; the others are cancelled, its error is raised."""
    await _run(coroutines, asyncio.FIRST_COMPLETED)


async def all_of(*coroutines: Work) -> None:
    """Run coroutines until all end; the first that fails ends the others, and its error is raised.

    A TaskGroup would raise it within a group.
    """
    await _run(coroutines, asyncio.FIRST_EXCEPTION)


async def _run(coroutines: tuple[Work, ...], until: str) -> None:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=until)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
