"""How far foley is with a clip, reported to its listener.

The work is done many calls below the engine, by filters that know nothing of clips. They reach
the clip's watch through a context variable: so each of them can be a point at which the clip is
given up, and none has to hand a watch on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # words are read without numpy
    from audiostory_core.engines.protocol import ProgressListener


@dataclass
class _Followed:
    """A clip while it is made."""

    watch: ProgressListener
    index: int  # in its batch
    work: float = math.inf  # in all
    spent: float = 0.0

    def report(self) -> None:
        self.watch.step(self.index, min(self.spent / self.work, 1.0))


_followed: ContextVar[_Followed | None] = ContextVar("followed", default=None)


@contextmanager
def followed(watch: ProgressListener, index: int) -> Iterator[None]:
    """Report to a watch how far request `index` of its batch is, from 0 to 1.

    Within it every `checkpoint` of this thread raises `Cancelled` when the watch does.
    """
    token = _followed.set(_Followed(watch, index))
    try:
        watch.step(index, 0.0)
        yield
        watch.step(index, 1.0)
    finally:
        _followed.reset(token)


def expect(work: float) -> None:
    """Say once, before anything is done, how much there is to do, above 0, in any unit."""
    clip = _followed.get()
    if clip is not None:
        clip.work = work


def checkpoint() -> None:
    """Ask whether the clip that is being made is still wanted.

    Called before every piece of work that may take some milliseconds; no longer than 250 ms may
    lie between two calls.

    Raises:
        Cancelled: if it is not.
    """
    clip = _followed.get()
    if clip is not None:
        clip.report()


def advance(work: float) -> None:
    """Count a part of the expected work as done.

    Raises:
        Cancelled: if the clip is not wanted any more.
    """
    clip = _followed.get()
    if clip is not None:
        clip.spent += work
        clip.report()
