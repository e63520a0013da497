"""Processes killed or stopped at random instants: nothing finished is lost or made again."""

import asyncio
import os
import random
import signal
import sqlite3

import psycopg
import pytest

from api.revisions.service import ask
from audiostory_core.story.changes import Edits
from audiostory_core.story.edits import Reword
from storage.models import RunState
from tests.support import tone_process
from tests.support.cards import ENGINES, VARIABLE
from tests.support.finished_stories import shelve
from tests.support.killing import SCENES, Chaos, count_repeated, list_clips
from tests.support.killing_exports import ExportChaos
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

INSTRUCTION = "\n".join(f"scene {n}" for n in range(SCENES))
REWORD = Edits(edits=(Reword(sub_event=7, caption="scene 6, nearer"),))


@pytest.fixture
def crew(studio, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(ENGINES))
    log = tmp_path / "log"
    log.touch()
    return tone_process.Crew(studio.settings, log, (0.02, 0.1))


@pytest.mark.parametrize(
    ("kills", "in_stems"),
    [(3, False), (3, True), pytest.param(10, True, marks=pytest.mark.long)],
)
async def test_no_kill_at_any_instant_loses_or_repeats_a_finished_clip(
    studio, tmp_path, kills, in_stems
):
    chaos = Chaos(studio, tmp_path, random.Random(2), in_stems)
    seed, figures = 0, chaos.figures
    while figures.counted < kills or not figures.counted_conditioning:
        seed += 1
        await chaos.play(seed)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_no_kill_at_any_instant_loses_or_repeats_an_export(studio, tmp_path, kills):
    story = await shelve(studio.store, *(f"scene {n}" for n in range(2 * SCENES)))
    chaos = ExportChaos(studio, story, tmp_path, random.Random(3))
    while chaos.figures.counted < kills:
        await chaos.play(chaos.figures.exports)


async def test_story_whose_checkpoints_are_deleted_goes_on_from_sql(studio, crew):
    story = await studio.add(INSTRUCTION, duration_s=10.0, tail_s=0.1)
    before = await _killed_after(5, studio, crew, story.id)
    assert len(before) < SCENES
    _delete_checkpoints(studio.settings)
    await _resumed(studio, crew, story.id)
    made = await list_clips(studio, story.id)
    _check(crew, made, before, SCENES)

    await ask(studio.store.database, story.id, REWORD, accept=True)
    await _killed_after(0, studio, crew, story.id)
    _delete_checkpoints(studio.settings)
    await _resumed(studio, crew, story.id)

    _check(crew, await list_clips(studio, story.id), made, SCENES + 1)
    kinds = [event.kind for event in await studio.events(story.id)]
    assert kinds.count("plan.ready") == kinds.count("revision.ready") == 1
    assert kinds.count("mix.ready") == 2


async def test_process_stopped_past_its_leases_repeats_nothing_when_it_wakes(studio, crew):
    story = await studio.add(INSTRUCTION, duration_s=10.0, tail_s=0.1)
    sleeper = crew.resume(story.id)
    await _wait_for_clips(5, studio, story.id)
    os.kill(sleeper.pid, signal.SIGSTOP)
    while not _end_leases(studio.settings):  # stopped within a transaction
        os.kill(sleeper.pid, signal.SIGCONT)
        await asyncio.sleep(0.01)
        os.kill(sleeper.pid, signal.SIGSTOP)
    assert len(await list_clips(studio, story.id)) < SCENES
    rival = crew.resume(story.id)
    await _join(rival)
    before = await list_clips(studio, story.id)

    os.kill(sleeper.pid, signal.SIGCONT)
    await _join(sleeper)

    after = await list_clips(studio, story.id)
    assert _times(after) == _times(before)
    assert len(after) == SCENES
    told = await studio.events(story.id)
    finished = [event.data["clip"] for event in told if event.kind == "clip.finished"]
    assert len(finished) == len(set(finished)) == SCENES
    assert [event.number for event in told] == list(range(1, len(told) + 1))


async def _killed_after(count, studio, crew, story_id):
    """Let a process work until it has begun `count` clips, kill it; return what is finished."""
    process = crew.resume(story_id)
    begun = len(_begun(crew)) + count
    while len(_begun(crew)) <= begun:
        assert process.is_alive()
        await asyncio.sleep(0.005)
    process.kill()
    await asyncio.to_thread(process.join)
    return await list_clips(studio, story_id)


async def _resumed(studio, crew, story_id):
    await _join(crew.resume(story_id))
    assert (await studio.latest_run(story_id)).state == RunState.FINISHED


async def _join(process):
    await asyncio.to_thread(process.join, 120)
    assert process.exitcode == 0


async def _wait_for_clips(count, studio, story_id):
    while len(await list_clips(studio, story_id)) < count:  # noqa: ASYNC110 - another's work
        await asyncio.sleep(0.01)


def _check(crew, after, before, count):
    assert len(after) == count
    assert {name: after[name].finished_at for name in before} == _times(before)
    assert count_repeated(tone_process.read(crew.log), after) == 0


def _times(clips):
    return {name: clip.finished_at for name, clip in clips.items()}


def _begun(crew):
    return [line for line in tone_process.read(crew.log) if line.what == tone_process.BEGUN]


def _delete_checkpoints(settings):
    if settings.database_url is None:
        for file in settings.home.glob("checkpoints.db*"):
            file.unlink()
        return
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE checkpoints, checkpoint_blobs, checkpoint_writes")


def _end_leases(settings):
    """End all leases as if their time were over; False if another keeps a row or file locked."""
    statements = [
        f"UPDATE {table} SET expires_at = 0 WHERE expires_at IS NOT NULL"
        for table in ("run", "work")
    ]
    if settings.database_url is not None:
        try:
            with psycopg.connect(settings.database_url) as server:
                server.execute("SET lock_timeout = '200ms'")
                for statement in statements:
                    server.execute(statement)
        except psycopg.errors.LockNotAvailable:
            return False
        return True
    connection = sqlite3.connect(settings.database_file, timeout=0.2)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
