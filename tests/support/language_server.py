"""A real vLLM server on the tiny checkpoint, started as its users start it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support import ending

START_S = 900.0  # on a machine that is loaded
STARTED: dict[int, subprocess.Popen] = {}  # by this process, and not yet waited for
SAID = re.compile(r"^AUDIOSTORY_LLM_(?:POOLING_)?URL=(\S+)", re.MULTILINE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@dataclass(frozen=True)
class LanguageServer:
    """`audiostory llm serve`, and vLLM under it.

    Args:
        pid: of `audiostory llm serve`.
        url: where it answers.
        states: where it hands over states.
    """

    pid: int
    url: str
    states: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that are to use it."""
        return {"AUDIOSTORY_LLM_URL": self.url, "AUDIOSTORY_LLM_STATES": str(self.states)}

    @classmethod
    def start(cls, weights: Path, home: Path, *options: object, port: int = 0) -> "LanguageServer":
        """Start it, and wait until it says that it serves."""
        home.mkdir(parents=True, exist_ok=True)
        states, told = home / "states", home / "told.txt"
        port = port or free_port()
        command = ["llm", "serve", weights, "--port", port, "--states", states, *options]
        with told.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", *map(str, command)],
                env=ending.of_the_whole_run() | {"AUDIOSTORY_HOME": str(home), "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        STARTED[process.pid] = process
        deadline = time.monotonic() + START_S
        while (said := SAID.search(told.read_text())) is None:
            assert process.poll() is None, told.read_text()
            assert time.monotonic() < deadline, told.read_text()
            time.sleep(0.1)
        return cls(process.pid, said[1], states)

    def processes(self) -> list[psutil.Process]:
        """`audiostory llm serve` and all below it."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """End all at once, as a machine does that runs out of memory."""
        for process in self.processes():
            process.kill()
        self.wait()

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Ask it to end, and return its exit code if it was started by this process."""
        below = self.processes()[1:]
        os.kill(self.pid, number)
        exit_code = self.wait()
        _, alive = psutil.wait_procs(below, timeout=10)
        assert not alive
        return exit_code

    def wait(self) -> int | None:
        """Wait until `audiostory llm serve` has ended; return its exit code, if it can be known."""
        started = STARTED.pop(self.pid, None)
        if started is not None:
            return started.wait(60)
        deadline = time.monotonic() + 60
        while not _is_over(self.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return None


def _is_over(pid: int) -> bool:
    """Tell whether a process has ended, though another that started it may not have noticed."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
