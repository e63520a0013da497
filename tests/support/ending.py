"""Ends what a test process started, however that process ends: passed, failed or killed.

Whatever a process starts inherits its environment, also what detaches itself as Postgres does. So
a mark in the environment finds all of it, and nobody who starts a process in a test need think of
this. A watcher waits on a pipe that only the marked process has open for writing; the pipe closes
when the process is gone, and then the watcher ends everything that has the mark.

The watcher is this file as a script, without any import that takes long.
"""

import os
import signal
import sys
import time
from pathlib import Path

PREFIX = "PROCESS_STARTED_BY_TESTS_"
GRACE_S = 5.0  # for those who end in order; Postgres has shared memory to return
LOOK_S = 0.05
PIPES: list[int] = []  # open as long as this process lives


def watch_this_process() -> None:
    """Mark the environment of everything this process will start, and start the watcher."""
    mark = f"{PREFIX}{os.getpid()}_{time.time_ns()}"
    theirs, ours = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", __file__, mark],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,  # Ctrl-C is for those who are to end by it
    )
    os.close(theirs)
    PIPES.append(ours)
    os.environ[mark] = "1"
    # Programs that rename themselves, vLLM's engine among them, would write over the mark.
    os.environ["SPT_NOENV"] = "1"


def of_the_whole_run() -> dict[str, str]:
    """Return the environment for a process that other processes of the test run use too.

    It ends with the run, not with the one of xdist's workers that happened to start it.
    """
    own = f"{PREFIX}{os.getpid()}_"
    is_alone = "PYTEST_XDIST_WORKER" not in os.environ
    return {k: v for k, v in os.environ.items() if is_alone or not k.startswith(own)}


def list_marked(mark: str) -> list[int]:
    """Return the ids of all processes that have a variable of this name in their environment."""
    name = f"\0{mark}=".encode()
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and name in b"\0" + _read_environment(folder)
    ]


def _read_environment(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""  # gone by now, or of another user


def end_all(mark: str) -> None:
    """End all that have the mark: first in order, then by force."""
    signaled: set[int] = set()
    deadline = time.monotonic() + GRACE_S
    while marked := list_marked(mark):
        is_over = time.monotonic() > deadline
        for pid in marked if is_over else set(marked) - signaled:
            _send(pid, signal.SIGKILL if is_over else signal.SIGTERM)
        signaled.update(marked)
        time.sleep(LOOK_S)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_all(sys.argv[1])
