"""Processes that wait for an order: each carries out one, and none outlives its command."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

PATIENCE_S = 30.0
SCRIPT = """
import json, os, sys, threading
from api.operations import forks
from api.operations.forks import Kind

def work(order, pipe):
    os.write(2, (order["word"] * order["times"]).encode())
    return order["word"] != "bad"

{before}
forks.prepare(Kind.WRITE, 1, work)
forks.prepare(Kind.MAKE, 2, work)
pids = [fork.pid for of_kind in forks._waiting.values() for fork in of_kind]
print(json.dumps(pids), flush=True)
{after}
"""


def _run(before: str = "", after: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(before=before, after=after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not psutil.pid_exists(pid)


def test_each_carries_out_one_order_and_tells_how_it_went():
    orders = """
one, two = forks.take(Kind.MAKE), forks.take(Kind.WRITE)
one.order({"word": "good", "times": 50_000})
two.order({"word": "bad", "times": 1})
print(one.join(), two.join(), forks.count_waiting(Kind.MAKE), forks.take(Kind.WRITE))
forks.dismiss()
print(forks.count_waiting(Kind.MAKE))
"""
    process = _run(after=orders)
    output, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, errors
    pids, codes, left = output.splitlines()
    assert (codes, left) == ("0 1 1 None", "0")
    assert errors.count("good") == 50_000
    assert all(_is_gone(pid) for pid in json.loads(pids))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_those_that_wait_end_however_the_command_ends(number):
    process = _run(after="sys.stdin.read()")
    pids = json.loads(process.stdout.readline())
    assert all(psutil.pid_exists(pid) for pid in pids)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)

    assert all(_is_gone(pid) for pid in pids)


def test_one_that_was_killed_is_not_given_an_order():
    killing = """
os.kill(pids[-1], 9)
os.waitid(os.P_PID, pids[-1], os.WEXITED | os.WNOWAIT)
print(forks.take(Kind.MAKE).pid == pids[-2])
forks.dismiss()
"""
    process = _run(after=killing)
    output, errors = process.communicate(timeout=PATIENCE_S)

    assert output.splitlines()[1:] == ["True"], errors


def test_process_with_threads_forks_none():
    process = _run(before="threading.Thread(target=threading.Event().wait, daemon=True).start()")
    output, errors = process.communicate(timeout=PATIENCE_S)

    assert output == "[]\n", errors


def test_what_waits_to_write_has_neither_scipy_nor_an_engine():
    names = "'scipy', 'langgraph', 'audiostory_core.engines.foley'"
    script = f"import sys, api.stories.stretch_writing; print([n for n in ({names}) if n in sys.modules])"
    listed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert listed.stdout == "[]\n"
