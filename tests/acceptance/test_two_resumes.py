"""Two commands for one story at once: one works on it, the other says so and follows it."""

import asyncio
import hashlib
import os
import re
import signal
import time

import pytest

from api.settings import Settings
from api.store import open_store
from api.stories.schemas import parse_story
from api.stories.service import create_story
from storage import events

STORY = "\n".join(f"{n}. A bell rings {n} times in the rain (5 s)" for n in range(1, 9))
HELD = re.compile(r"story (\w+) is being worked on by another process \(pid (\d+), host (\S+)\)")


@pytest.fixture
def story_id(audiostory):
    return asyncio.run(_queue(audiostory))


async def _queue(audiostory):
    store = await open_store(Settings(home=audiostory.home))
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
    story = await create_story(store.database, wanted, 3.0)
    await store.database.close()
    return story.id


def test_one_of_two_resumes_works_and_the_other_says_who_and_follows(
    audiostory, story_id, tmp_path
):
    files = [tmp_path / "first.wav", tmp_path / "second.wav"]
    both = [audiostory.start("resume", story_id, "-o", file) for file in files]
    told = [process.communicate(timeout=240)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    held = [(process, HELD.search(errors)) for process, errors in zip(both, told, strict=True)]
    followers = [(process, match) for process, match in held if match]
    assert len(followers) == 1
    [(follower, match)] = followers
    holder = both[1 - both.index(follower)]
    assert match.groups() == (story_id, str(holder.pid), os.uname().nodename)
    assert _sha256(files[0]) == _sha256(files[1])
    assert _events(audiostory, story_id).count("run.started") <= 2  # parked once for its clips
    assert not list((audiostory.home / "workers").iterdir())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_resume_that_follows_goes_on_when_the_other_ends(audiostory, story_id, tmp_path, end):
    first = audiostory.start("resume", story_id)
    _wait_until(lambda: list((audiostory.home / "workers").glob(".story-*")))
    file = tmp_path / "story.wav"
    second = audiostory.start("resume", story_id, "-o", file)
    _wait_until(lambda: "run.started" in _events(audiostory, story_id))
    os.killpg(first.pid, end)
    first.communicate(timeout=60)

    _, errors = second.communicate(timeout=240)

    assert second.returncode == 0, errors
    assert file.exists()
    kinds = _events(audiostory, story_id)
    assert kinds.count("clip.finished") == 8
    assert kinds[-1] == "run.finished"


def test_resume_of_a_story_that_does_not_exist_makes_no_file(audiostory):
    refused = audiostory("resume", "../../etc")

    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert not list(audiostory.home.rglob(".story-*"))


def _events(audiostory, story_id):
    async def read():
        store = await open_store(Settings(home=audiostory.home))
        async with store.database.read() as session:
            kinds = [event.kind for event in await events.list_after(session, story_id, 0)]
        await store.database.close()
        return kinds

    return asyncio.run(read())


def _wait_until(is_true):
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()
