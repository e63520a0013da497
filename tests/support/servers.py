"""Watching the HTTP edge: problems it answers with, and `audiostory serve` as a process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

PATIENCE_S = 60.0


class Serve:
    """`audiostory serve` in a process of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api", "serve", "--port", "0", *arguments],
            env=os.environ | {"AUDIOSTORY_HOME": str(home), "AUDIOSTORY_LOG_LEVEL": "warning"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.announced = self.process.stderr.readline()
        self.url = self.announced.split("/docs")[0]

    def workers(self) -> list[psutil.Process]:
        """List the workers; one that is still a fork of its server is none yet."""
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if "worker" in _command(child)
        ]

    def stop(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and what was said besides the address."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # or a zombie
        return []


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Serve]:
    server = Serve(home, *arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def wait_until(condition, patience_s: float = PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        time.sleep(0.05)
    return found


def assert_problem(response: httpx.Response, status: int, field: str | None = None) -> dict:
    """Assert that a response is a problem, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in response.text
    if field is not None:
        assert problem["field"] == field
        assert problem["remedy"]
    return problem
