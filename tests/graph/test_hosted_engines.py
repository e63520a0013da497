"""Stories whose clips are made in hosts, and scenes that name an engine of their own."""

import asyncio
import json
import os
import signal
import sys
import time

import pytest
from sqlalchemy import select

from audiostory_core.engines.card import read_card
from audiostory_core.engines.host.engine import HostedEngine
from audiostory_core.errors import BadInput
from storage.models import Clip, RunState, Work, WorkKind
from tests.support.author import Author, tone_in_catalog
from tests.support.cards import ENGINES, TROUBLED, VARIABLE, write_card
from tests.support.fakes import ToneEngine

PACE = """
[parameters.pace]
type = "integer"
default = 3
maximum = 9
help = "How fast"
"""


@pytest.fixture(autouse=True)
def known_engine():
    with tone_in_catalog():
        yield


@pytest.fixture
def hosted(studio, tmp_path):
    """Give the studio an engine in a host."""
    folder = write_card(
        tmp_path / "troubled", "[environment]", entry="engine:Troubled", revision="1"
    )
    (folder / "engine.py").symlink_to(TROUBLED / "engine.py")
    card = read_card(folder, "a test")
    engine = HostedEngine(card, (sys.executable, "-I", "-S"), {"PATH": os.environ["PATH"]})
    studio.engines["troubled"] = engine
    yield engine
    engine.close()


async def test_host_killed_in_mid_clip_costs_one_attempt_of_one_clip(studio, hosted, tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go_on"
    lines = ["plain a", f"awaits {begun} {go_on}", "plain b"]
    story = await studio.add("\n".join(lines), engine="troubled")

    working = asyncio.create_task(studio.run(story.id))
    await asyncio.to_thread(_await_file, begun)
    os.kill(hosted.pid, signal.SIGKILL)
    go_on.touch()
    run = await working

    assert run.state == RunState.FINISHED
    attempts = {caption: attempt for caption, attempt, _ in await _clips(studio)}
    assert attempts == dict(zip(lines, [1, 2, 1], strict=True))


async def test_clip_that_its_host_never_makes_fails_in_words(studio, hosted):
    story = await studio.add("plain a\ndies", engine="troubled")

    await studio.run(story.id)

    errors = {caption: error for caption, _, error in await _clips(studio)}
    assert errors["plain a"] is None
    assert errors["dies"].startswith("The host of the engine troubled ended by signal 9")


async def test_story_in_a_language_that_its_engine_lacks_fails_as_bad_input(studio):
    studio.engines["german"] = ToneEngine(name="german", fields={"languages": ("de",)})

    story = await studio.add("rain", engine="german")
    run = await studio.run(story.id)

    assert (run.state, run.is_bad_input) == (RunState.FAILED, True)
    assert "language 'en': is no language of the engine german" in run.error


@pytest.mark.parametrize(
    ("more", "fields", "problem"),
    [
        ("", {"languages": ["de"]}, "cannot have the story's language en"),
        (PACE, {}, "cannot have the story's pace 50: Input should be less than or equal to 9"),
        ("[limits]\nlongest_clip_s = 2.5", {}, "longer than"),
        ("[weights]\nsource='x'\nlicense='y'\ncommercial_use=true", {}, "needs weights"),
        (
            "[environment]\nrequirements = ['loudly==1.0']",
            {"revision": "1"},
            "is not installed",
        ),
    ],
)
async def test_scene_is_held_to_its_own_engine(
    studio, tmp_path, monkeypatch, more, fields, problem
):
    brief = write_card(tmp_path / "brief", more, **fields)
    monkeypatch.setenv(VARIABLE, f"{ENGINES},{brief}")
    story = await studio.add("rain\nsea", parameters={"pace": 50})
    await studio.run(story.id)
    author = Author(studio, story.id)

    with pytest.raises(BadInput) as refused:
        await author.ask({"op": "reword", "sub_event": 2, "engine": "brief"})

    assert refused.value.field.startswith("edits.1")
    assert problem in refused.value.problem


def _await_file(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def _clips(studio):
    """Return captions, attempts and errors of all clips."""
    async with studio.store.database.read() as session:
        is_its = (Work.key == Clip.key) & (Work.kind == WorkKind.CLIP)
        rows = (await session.execute(select(Clip, Work).join(Work, is_its))).all()
    return [(json.loads(clip.request)["caption"], done.attempt, done.error) for clip, done in rows]
