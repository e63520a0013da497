"""Clips are made by as many processes as pay, and none of them outlives the story."""

import hashlib
import os
import signal
import sqlite3
import time

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


def _makers(process):
    try:
        family = psutil.Process(process.pid).children()
        return [child for child in family if "api.operations.maker_process" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


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
    return dict(_rows(home, "SELECT key, finished_at FROM clip WHERE state = 'finished'"))


def _until(is_true):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := is_true()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def _two_claims(home):
    return len(_rows(home, "SELECT DISTINCT owner FROM clip WHERE state = 'claimed'")) == 2


def _sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_processes_make_the_bytes_of_one_although_a_maker_is_killed(audiostory, tmp_path):
    alone, together = tmp_path / "alone.wav", tmp_path / "together.wav"
    audiostory.home = tmp_path / "other-home"
    process = _start(audiostory, 1, STORY, alone)
    while process.poll() is None:
        assert _makers(process) == []
        time.sleep(0.05)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    audiostory.home = tmp_path / "home"
    process = _start(audiostory, 2, STORY, together)
    [maker] = _until(lambda: _makers(process))
    _until(lambda: _two_claims(audiostory.home))
    maker.kill()
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, errors
    assert _sha256(together) == _sha256(alone)
    kinds = [kind for (kind,) in _rows(audiostory.home, "SELECT kind FROM event")]
    assert kinds.count("clip.finished") == 7
    assert not list((audiostory.home / "workers").iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_makers_end_with_the_command_and_nothing_finished_is_made_again(
    audiostory, tmp_path, number
):
    file = tmp_path / "story.wav"
    process = _start(audiostory, 2, STORY, file)
    [maker] = _until(lambda: _makers(process))
    _until(lambda: _two_claims(audiostory.home))
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)
    if number == signal.SIGINT:
        assert not maker.is_running()
        states = dict(_rows(audiostory.home, "SELECT state, max(attempt) FROM clip GROUP BY state"))
        assert states["queued"] == 0  # given back uncounted
    psutil.wait_procs([maker], PATIENCE_S)
    assert not maker.is_running()
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
        assert _makers(process) == []
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
