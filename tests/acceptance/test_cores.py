"""Clips are made by as many processes as pay, and none of them outlives the story."""

import hashlib
import os
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

STORY = "\n".join(f"{n}. A bell rings {n} times in the rain (20 s)" for n in range(1, 8))
PATIENCE_S = 120.0


def _start(audiostory, processes, story, file, *options):
    audiostory.processes = processes
    return audiostory.start("create", story, "--seed", 5, *options, "-o", file)


@pytest.fixture
def audiostory(audiostory):
    class WithProcesses(type(audiostory)):
        processes = 2

        @property
        def environment(self):
            return super().environment | {"AUDIOSTORY_PROCESSES": str(self.processes)}

    return WithProcesses(audiostory.home)


def _helpers(process):
    """List the processes that a command forked, or started to make clips."""
    try:
        command = psutil.Process(process.pid)
        return [child for child in command.children() if _is_helper(child, command)]
    except psutil.NoSuchProcess:
        return []


def _is_helper(child, command):
    try:
        return child.cmdline() == command.cmdline() or _is_started(child)
    except psutil.NoSuchProcess:
        return False


def _is_started(child):
    return "api.operations.maker_process" in child.cmdline()


def _makers(process):
    """List those that make clips: they show a sign of life of their own."""
    return [child for child in _helpers(process) if _has_sign_of_life(child)]


def _has_sign_of_life(child):
    try:
        return any(Path(file.path).parent.name == "workers" for file in child.open_files())
    except psutil.Error:
        return False


def _rows(home, query):
    try:
        connection = sqlite3.connect(f"file:{home}/studio.db?mode=ro", uri=True, timeout=30)
    except sqlite3.OperationalError:
        return []
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def _finished(home):
    return dict(_rows(home, "SELECT key, finished_at FROM clip WHERE file IS NOT NULL"))


def _until(is_true):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := is_true()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def _two_claims(home):
    return len(_rows(home, "SELECT DISTINCT owner FROM work WHERE state = 'claimed'")) == 2


def _sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_processes_make_the_bytes_of_one_although_a_maker_is_killed(audiostory, tmp_path):
    alone, together = tmp_path / "alone.wav", tmp_path / "together.wav"
    audiostory.home = tmp_path / "other-home"
    process = _start(audiostory, 1, STORY, alone)
    while process.poll() is None:
        assert _helpers(process) == []
        time.sleep(0.05)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    audiostory.home = tmp_path / "home"
    process = _start(audiostory, 2, STORY, together)
    [maker] = _until(lambda: _makers(process))
    assert not _is_started(maker)
    _until(lambda: _two_claims(audiostory.home))
    maker.kill()
    helpers = _helpers(process)
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, errors
    assert _sha256(together) == _sha256(alone)
    assert not any(helper.is_running() for helper in helpers)
    kinds = [kind for (kind,) in _rows(audiostory.home, "SELECT kind FROM event")]
    assert kinds.count("clip.finished") == 7
    assert not list((audiostory.home / "workers").iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_makers_end_with_the_command_and_nothing_finished_is_made_again(
    audiostory, tmp_path, number
):
    file = tmp_path / "story.wav"
    process = _start(audiostory, 2, STORY, file)
    _until(lambda: _makers(process))
    _until(lambda: _two_claims(audiostory.home))
    helpers = _helpers(process)
    assert len(helpers) == 2  # one makes clips, one will write the file
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)
    if number == signal.SIGINT:
        assert not any(helper.is_running() for helper in helpers)
        states = dict(_rows(audiostory.home, "SELECT state, max(attempt) FROM work GROUP BY state"))
        assert states["queued"] == 0  # given back uncounted
    psutil.wait_procs(helpers, PATIENCE_S)
    assert not any(helper.is_running() for helper in helpers)
    before = _finished(audiostory.home)

    [(story_id,)] = _rows(audiostory.home, "SELECT id FROM story")
    resumed = audiostory("resume", story_id, "-o", file)

    assert resumed.returncode == 0, resumed.stderr
    after = _finished(audiostory.home)
    assert len(after) == 7
    assert {key: after[key] for key in before} == before


def test_story_of_one_clip_is_made_by_one_process(audiostory, tmp_path):
    process = _start(audiostory, 2, "Rain", tmp_path / "story.wav", "--duration", 10)

    while process.poll() is None:
        assert _helpers(process) == []
        time.sleep(0.02)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def test_worker_makes_clips_beside_itself_and_takes_its_makers_with_it(audiostory, tmp_path):
    assert audiostory("create", STORY, "--review", "--seed", 5).returncode == 0
    [(story_id,)] = _rows(audiostory.home, "SELECT id FROM story")
    worker = audiostory.start("worker")
    assert audiostory("approve", story_id).returncode == 0
    [maker] = _until(lambda: _makers(worker))
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()

    psutil.wait_procs([maker], PATIENCE_S)
    assert not maker.is_running()
