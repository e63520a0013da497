"""Faults of disks and files, as the author meets them: one clear error, and nothing lost."""

import asyncio
import hashlib
import json
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from api.settings import Settings
from api.store import open_store
from api.stories.schemas import parse_story
from api.stories.service import create_story
from tests.acceptance.conftest import CommandLine
from tests.support.disks import mount_disk

__all__ = ["mount_disk"]

STORY = "A bell rings in the rain (4 s)\nThunder rolls (4 s)"
PATIENCE_S = 60.0


def query(home: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home / "studio.db", timeout=30)) as connection:
        return connection.execute(statement).fetchall()


def made_clips(home: Path) -> dict[object, object]:
    return dict(query(home, "SELECT key, finished_at FROM clip WHERE file IS NOT NULL"))


def story_id(audiostory) -> str:
    (story,) = audiostory.json("list")
    return story["id"]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished story: its data folder, and its file."""
    folder = tmp_path_factory.mktemp("finished")
    command_line = CommandLine(folder / "home")
    created = command_line("create", STORY, "--seed", 5, "--output", folder / "story.wav")
    assert created.returncode == 0, created.stderr
    return folder / "home", sha256(folder / "story.wav")


def assert_explained(ended, *words: str) -> None:
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("audiostory: ")]
    for word in words:
        assert word in error


def test_files_that_may_not_grow_end_a_story_with_one_error_and_it_resumes(
    audiostory, tmp_path, finished
):
    asyncio.run(_open(audiostory.home))  # the database is larger than a file may be below
    room = 800_000  # less than a clip needs, and more than the log of the database does
    file = tmp_path / "story.wav"
    cut_off = audiostory(
        "create",
        STORY,
        "--seed",
        5,
        "--output",
        file,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert_explained(cut_off, "cannot be written: File too large", "resume the story")
    assert not file.exists()
    assert not list((audiostory.home / "audio").glob("*.tmp"))
    assert query(audiostory.home, "SELECT DISTINCT attempt FROM work") == [(0,)]

    resumed = audiostory("resume", story_id(audiostory), "--output", file)
    assert resumed.returncode == 0, resumed.stderr
    assert sha256(file) == finished[1]


def test_read_only_audio_folder_ends_a_story_with_one_error_and_it_resumes(
    audiostory, tmp_path, finished, mount_disk
):
    disk = mount_disk(audiostory.home / "audio", 64)
    asyncio.run(_open(audiostory.home))
    disk.set_writable(False)
    file = tmp_path / "story.wav"
    cut_off = audiostory("create", STORY, "--seed", 5, "--output", file)
    assert_explained(cut_off, "cannot be written", "Read-only file system")

    disk.set_writable(True)
    resumed = audiostory("resume", story_id(audiostory), "--output", file)
    assert resumed.returncode == 0, resumed.stderr
    assert sha256(file) == finished[1]
    assert query(audiostory.home, "SELECT DISTINCT attempt FROM work") == [(1,)]


def test_damaged_and_missing_files_of_a_finished_story_are_made_again_to_the_same_bytes(
    audiostory, tmp_path, finished
):
    shutil.copytree(finished[0], audiostory.home)
    audio = audiostory.home / "audio"
    first, second = sorted(audio.glob("??/*.flac"))
    seam = next(audio.glob("??/*.au"))
    flipped = bytearray(first.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    first.write_bytes(flipped)
    second.unlink()
    seam.write_bytes(seam.read_bytes()[:-4])
    before = made_clips(audiostory.home)
    again = tmp_path / "again.wav"

    resumed = audiostory("resume", story_id(audiostory), "--output", again)

    assert resumed.returncode == 0, resumed.stderr
    assert sha256(again) == finished[1]
    told = [
        json.loads(data)
        for (data,) in query(audiostory.home, "SELECT data FROM event WHERE kind = 'clip.damaged'")
    ]
    lost = {first.name: "damaged", second.name: "missing"}
    assert {event["file"]: event["problem"] for event in told} == lost
    after = made_clips(audiostory.home)
    assert after.keys() == before.keys()
    assert audiostory("verify").returncode == 0
    assert len(query(audiostory.home, "SELECT * FROM event WHERE kind = 'mix.ready'")) == 1


def test_second_signal_ends_a_worker_that_waits_for_the_database_at_once(audiostory):
    asyncio.run(_queue(audiostory.home))
    worker = audiostory.start("worker")
    deadline = time.monotonic() + PATIENCE_S
    while not made_clips(audiostory.home) and time.monotonic() < deadline:
        time.sleep(0.01)
    with closing(sqlite3.connect(audiostory.home / "studio.db", timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        worker.send_signal(signal.SIGTERM)
        while _handles(worker.pid, signal.SIGTERM) and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=10)
    assert worker.returncode == -signal.SIGTERM

    resumed = audiostory("resume", story_id(audiostory), "--output", audiostory.home / "story.wav")
    assert resumed.returncode == 0, resumed.stderr


def _handles(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) & 1 << number - 1)


async def _open(home: Path) -> None:
    await (await open_store(Settings(home=home))).database.close()


async def _queue(home: Path) -> None:
    store = await open_store(Settings(home=home))
    wanted = parse_story(
        instruction=STORY,
        duration_s=30.0,
        language=None,
        seed=5,
        engine="foley",
        planner="clauses",
        review=False,
        plan=None,
    )
    await create_story(store.database, wanted, 3.0)
    await store.database.close()
