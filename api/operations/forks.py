"""Processes forked from a command while it has one thread: what all need is imported once.

Each waits for one order, carries it out and ends; it also ends when the other end of its pipe
closes, which it does however the command ends, SIGKILL included. Memory is shared until it is
written to.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn

TASKS = Path("/proc/self/task")  # of Linux: threads that Python does not know are there too
LOOK_S = 0.01  # between two looks whether a process has ended
Order = dict[str, Any]
Work = Callable[[Order, FileIO], bool]


class Fork:
    """A process that waits for its order, in some ways like one of asyncio's."""

    def __init__(self, pid: int, stdin: FileIO) -> None:
        self.pid = pid
        self.stdin = stdin
        self._returncode: int | None = None
        self._looking = threading.Lock()

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it has not."""
        with self._looking:  # the kernel tells it but once
            if self._returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._returncode = os.waitstatus_to_exitcode(status)
            return self._returncode

    def order(self, order: Order) -> None:
        """Give it its order; one that has died meanwhile hears nothing."""
        rest = memoryview(json.dumps(order).encode() + b"\n")
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[self.stdin.write(rest) :]

    async def wait(self) -> int:
        """Wait until it has ended."""
        return await asyncio.to_thread(self.join)

    def join(self) -> int:
        """Wait in this thread until it has ended."""
        while (code := self.returncode) is None:
            time.sleep(LOOK_S)
        return code

    def kill(self) -> None:
        """End it at once."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


class Kind(StrEnum):
    """What forked processes wait for."""

    WRITE = "write"
    MAKE = "make"


_waiting: dict[Kind, list[Fork]] = {kind: [] for kind in Kind}  # of this process


def prepare(kind: Kind, count: int, work: Work) -> None:
    """Fork processes that wait; none where this process has threads already.

    What this process imports or writes later is no part of them: those that need least come first.

    Args:
        kind: what they wait for.
        count: how many.
        work: carries out an order, and tells whether it could; may look at the pipe that it came
            by, which closes when whoever gave it is gone.
    """
    tasks = list(TASKS.iterdir()) if TASKS.exists() else []
    if threading.active_count() > 1 or len(tasks) > 1:
        return
    gc.freeze()  # or collecting would write to memory that is shared
    for _ in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            _serve(FileIO(reading, "r"), work)
        os.close(reading)
        _waiting[kind].append(Fork(pid, FileIO(writing, "w")))


def count_waiting(kind: Kind) -> int:
    """Return how many of a kind wait."""
    return len(_waiting[kind])


def take(kind: Kind) -> Fork | None:
    """Take one of a kind that waits; None if there is none."""
    while _waiting[kind]:
        fork = _waiting[kind].pop()
        if fork.returncode is None:
            return fork
    return None


def dismiss() -> None:
    """Let those end that still wait."""
    forks = _drain()
    for fork in forks:
        fork.stdin.close()
    for fork in forks:
        fork.join()


def _drain() -> list[Fork]:
    forks = [fork for of_kind in _waiting.values() for fork in of_kind]
    for of_kind in _waiting.values():
        of_kind.clear()
    return forks


def _serve(orders: FileIO, work: Work) -> NoReturn:
    """Be a process of its own, that Ctrl-C does not reach, until the order is carried out."""
    code = 1
    try:
        for fork in _drain():
            fork.stdin.close()  # or it would not close when the command is killed
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        with open(orders.fileno(), "rb", closefd=False) as lines:
            line = lines.readline()
        code = 0 if not line or work(json.loads(line), orders) else 1
    finally:
        if isinstance(sys.exc_info()[1], Exception):
            sys.excepthook(*sys.exc_info())
        os._exit(code)  # the rest of this stack is the command's
