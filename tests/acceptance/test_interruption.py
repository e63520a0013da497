"""Killed or interrupted at any time: nothing finished is made again, and the file is the same."""

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from api import cli
from api.settings import Settings
from api.store import open_store
from api.stories.schemas import parse_story
from api.stories.service import create_story

STORY = "\n".join(f"{n}. A bell rings {n} times in the rain (5 s)" for n in range(1, 9))


LONGER = ("--duration", 240)  # so that an interruption finds something left to do


def _create(audiostory, file: Path, *options: object):
    return audiostory.start("create", STORY, "--seed", 5, *options, "--output", file)


def _finished_clips(home: Path) -> dict[str, float]:
    """Keys of finished clips, and when each was."""
    database = home / "studio.db"
    if not database.exists():
        return {}
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        rows = connection.execute("SELECT key, finished_at FROM clip WHERE file IS NOT NULL")
        return dict(rows.fetchall())
    except sqlite3.OperationalError:
        return {}
    finally:
        connection.close()


def _wait_for_clips(home: Path, process, count: int) -> dict[str, float]:
    deadline = time.monotonic() + 60
    while len(finished := _finished_clips(home)) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return finished


def _story_id(audiostory) -> str:
    (story,) = audiostory.json("list")
    return story["id"]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def undisturbed(audiostory, tmp_path):
    file = tmp_path / "undisturbed.wav"
    other = type(audiostory)(tmp_path / "other-home")
    finished = other("create", STORY, "--seed", 5, "--output", file)
    assert finished.returncode == 0, finished.stderr
    return file


@pytest.mark.parametrize("clips", [0, 1, 4, 8])
def test_killed_story_resumes_to_the_same_bytes_without_making_a_clip_twice(
    audiostory, tmp_path, undisturbed, clips
):
    file = tmp_path / "story.wav"
    process = _create(audiostory, file)
    if clips:
        _wait_for_clips(audiostory.home, process, clips)
    else:
        while not _has_story(audiostory.home):
            time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = _finished_clips(audiostory.home)
    assert clips == 8 or not file.exists()  # after the last clip the file is soon there

    resumed = audiostory("resume", _story_id(audiostory), "--output", file)

    assert resumed.returncode == 0, resumed.stderr
    assert _sha256(file) == _sha256(undisturbed)
    after = _finished_clips(audiostory.home)
    assert {key: after[key] for key in before} == before
    assert len(after) == 8


def test_interrupted_story_says_how_to_go_on_and_resumes(audiostory, tmp_path):
    undisturbed = tmp_path / "undisturbed.wav"
    other = type(audiostory)(tmp_path / "other-home")
    assert other("create", STORY, "--seed", 5, *LONGER, "-o", undisturbed).returncode == 0
    file = tmp_path / "story.wav"
    process = _create(audiostory, file, *LONGER)
    before = _wait_for_clips(audiostory.home, process, 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "audiostory resume" in errors
    assert not file.exists()
    assert not psutil.pid_exists(process.pid)

    resumed = audiostory("resume", _story_id(audiostory), "--output", file)
    assert resumed.returncode == 0, resumed.stderr
    assert _sha256(file) == _sha256(undisturbed)
    after = _finished_clips(audiostory.home)
    assert {key: after[key] for key in before} == before


def test_interrupted_story_is_known_to_have_nobody_at_work_and_can_be_revised(audiostory, tmp_path):
    process = _create(audiostory, tmp_path / "story.wav")
    _wait_for_clips(audiostory.home, process, 1)
    working = psutil.Process(process.pid).cpu_times()
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.communicate()

    assert process.returncode == 130
    spent_s = usage.ru_utime + usage.ru_stime - working.user - working.system
    assert spent_s < 2.0  # of processor time: the wall clock tells how busy the machine is
    story = audiostory.json("show", _story_id(audiostory))
    assert story["status"] == "waiting for a worker"
    assert audiostory("show", story["id"]).stdout.count(f"audiostory resume {story['id']}") == 1

    revised = audiostory("revise", story["id"], 2, "--change", "make it more distant", "--accept")

    assert "Traceback" not in revised.stderr
    assert revised.returncode == 0, revised.stderr
    assert audiostory.json("show", story["id"])["status"] == "finished"


def test_finished_story_is_written_again_without_work(audiostory, tmp_path, undisturbed):
    home = tmp_path / "other-home"
    other = type(audiostory)(home)
    before = _finished_clips(home)
    file = tmp_path / "again.wav"

    written = other("resume", _story_id(other), "--output", file)

    assert written.returncode == 0, written.stderr
    assert _sha256(file) == _sha256(undisturbed)
    assert _finished_clips(home) == before


def test_worker_told_to_stop_finishes_its_clip_and_holds_nothing(audiostory):
    asyncio.run(_queue(audiostory.home))
    worker = audiostory.start("worker")
    _wait_for_clips(audiostory.home, worker, 1)
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert "[info" in errors
    assert not any(told in errors for told in ("Traceback", "[warning", "[error"))
    connection = sqlite3.connect(audiostory.home / "studio.db")
    states = {state for (state,) in connection.execute("SELECT state FROM work")}
    connection.close()
    assert states <= {"finished", "queued"}
    assert not list((audiostory.home / "workers").iterdir())


async def _queue(home: Path) -> None:
    store = await open_store(Settings(home=home))
    wanted = parse_story(
        instruction=STORY,
        duration_s=None,
        language=None,
        seed=5,
        engine="foley",
        planner="clauses",
        review=False,
        plan=None,
    )
    await create_story(store.database, wanted, 3.0)
    await store.database.close()


def _has_story(home: Path) -> bool:
    database = home / "studio.db"
    if not database.exists():
        return False
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return bool(connection.execute("SELECT count(*) FROM story").fetchone()[0])
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def test_ctrl_c_before_a_command_begins_is_quiet(monkeypatch):
    def interrupt(**_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupt)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 130


INTERRUPTED_IMPORT = """
import _signal, os, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), _signal.SIGINT)

_signal.signal(_signal.SIGINT, _signal.default_int_handler)
for name in ("signal", "enum"):  # which an environment's own start may have imported
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["audiostory", "create", "Rain", "--duration", "5"]
from api.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["enum", "api.cli", "typer", "api.stories.commands", "api.stories.handlers", "numpy"]
)
def test_ctrl_c_while_modules_are_imported_is_quiet(audiostory, tmp_path, module):
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.format(module=module)],
        env=audiostory.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (130, "")
    assert list(tmp_path.iterdir()) == []
