"""A test run leaves no process behind, however it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent
START_S = 240.0  # on a busy machine; usual is a twentieth of it
END_S = 60.0


@pytest.fixture
def report(tmp_path) -> Path:
    """Where the test that leaves processes behind tells their ids."""
    return tmp_path / "report"


@pytest.fixture
def begin(report):
    """Start a run of tests that leaves processes behind, with pytest's options."""
    # A run of its own: not one of this run's xdist workers.
    alone = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-q", "tests/support/leaving.py"]
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> subprocess.Popen:
            run = subprocess.Popen(
                [*command, f"--basetemp={report.parent / 'nested'}", *options],
                cwd=ROOT,
                env=alone | {"LEAVING_REPORT": str(report)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.enter_context(run)
            stack.callback(run.kill)
            return run

        yield start


def _wait_until(condition, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _list_started(report: Path, run: subprocess.Popen) -> tuple[int, list[psutil.Process]]:
    """Return the id of the process the test runs in, and all processes that it started."""
    _wait_until(lambda: report.exists() or run.poll() is not None, START_S)
    tester, *started = json.loads(report.read_text())
    roots = [psutil.Process(pid) for pid in started]
    below = [process for root in roots for process in root.children(recursive=True)]
    assert len(below) >= 5  # a worker of `audiostory serve`, and those of Postgres
    return tester, [*roots, *below]


def _is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _assert_all_end(started: list[psutil.Process]) -> None:
    _wait_until(lambda: all(map(_is_over, started)), END_S)


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "1")])
def test_run_that_is_killed_leaves_nothing(report, begin, options):
    run = begin(*options)
    tester, started = _list_started(report, run)

    run.kill()
    run.wait()

    _assert_all_end([psutil.Process(tester), *started] if psutil.pid_exists(tester) else started)


def test_worker_of_xdist_that_is_killed_leaves_nothing(report, begin):
    run = begin("-n", "1", "--max-worker-restart=0")
    tester, started = _list_started(report, run)

    os.kill(tester, signal.SIGKILL)

    _assert_all_end(started)
    assert run.wait(START_S) == pytest.ExitCode.TESTS_FAILED


def test_run_that_fails_leaves_nothing(report, begin):
    run = begin("-n", "0")
    _, started = _list_started(report, run)

    report.with_suffix(".seen").touch()

    assert run.wait(START_S) == pytest.ExitCode.TESTS_FAILED

    _assert_all_end(started)
