"""Noticing the commits of any process, so that waiting for work needs little polling."""

import asyncio
from contextlib import suppress


class Changes:
    """A count of commits that only grows, and a way to wait until it has grown.

    Read the count, look for work, and wait with the count that was read: what is committed between
    the look and the wait is then not missed. The count may grow without a commit, never the reverse.
    """

    def __init__(self) -> None:
        self._count = 0
        self._moved = asyncio.Event()

    def count(self) -> int:
        """Return the count; read it before looking."""
        return self._count

    def note(self) -> None:
        """Wake all waiting tasks."""
        self._count += 1
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once the count is no longer `seen`, or after `timeout_s` seconds."""
        if self._count == seen:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), timeout_s)

    async def close(self) -> None:
        """Stop noticing."""


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task that notices changes, and see it off."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
