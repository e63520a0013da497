"""Processes killed or stopped at random instants: nothing finished is lost or made again."""

import asyncio
import hashlib
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np

from api.views import open_mix
from storage.models import RunState
from tests.acceptance import tone_process

SCENES = 32
COUNTED_KILLS = 10
INSTRUCTION = "\n".join(f"scene {n}" for n in range(SCENES))


async def test_no_kill_at_any_instant_loses_or_repeats_a_finished_clip(studio, tmp_path):
    rng = random.Random(2)
    counted = seed = 0
    while counted < COUNTED_KILLS:
        seed += 1
        story = await studio.add(INSTRUCTION, duration_s=16.0, tail_s=0.1, seed=seed)
        log = tmp_path / f"{seed}.log"
        log.touch()
        counted += await _kill_until_settled(studio, story.id, log, rng)
        assert await _mix_digest(studio, story.id) == await _undisturbed(studio, tmp_path, seed)


async def test_process_stopped_past_its_leases_repeats_nothing_when_it_wakes(studio, tmp_path):
    story = await studio.add(INSTRUCTION, duration_s=16.0, tail_s=0.1, seed=1)
    log = tmp_path / "log"
    log.touch()
    home = studio.settings.home
    sleeper = tone_process.start(home, story.id, log)
    await asyncio.to_thread(_wait_for_clips, home, story.id, 5)
    os.kill(sleeper.pid, signal.SIGSTOP)
    while not _end_leases(studio.settings.database_file):  # stopped within a transaction
        os.kill(sleeper.pid, signal.SIGCONT)
        await asyncio.sleep(0.01)
        os.kill(sleeper.pid, signal.SIGSTOP)
    assert len(_finished(home, story.id)) < SCENES
    rival = tone_process.start(home, story.id, log)
    rival.join(30)
    before = _finished(home, story.id)
    assert len(before) == SCENES

    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join(30)

    assert (rival.exitcode, sleeper.exitcode) == (0, 0)
    assert _finished(home, story.id) == before
    await _check_log_of_events(studio, story.id)
    assert await _mix_digest(studio, story.id) == await _undisturbed(studio, tmp_path, 1)


def _wait_for_clips(home: Path, story_id: str, count: int) -> None:
    while len(_finished(home, story_id)) < count:
        time.sleep(0.005)


def _end_leases(database: Path) -> bool:
    """End all leases as if their time were over; False if another holds the write lock."""
    connection = sqlite3.connect(database, timeout=0.2)
    try:
        for table in ("run", "clip"):
            connection.execute(f"UPDATE {table} SET expires_at = 0 WHERE expires_at IS NOT NULL")
        connection.commit()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


async def _kill_until_settled(studio, story_id: str, log: Path, rng: random.Random) -> int:
    counted = 0
    home = studio.settings.home
    while (await studio.latest_run(story_id)).state != RunState.FINISHED:
        before, begun = _finished(home, story_id), len(_begun(log))
        workers = [tone_process.start(home, story_id, log) for _ in range(rng.choice([1, 1, 2]))]
        is_spared = len(before) == SCENES and rng.random() < 0.5
        for worker in workers:
            worker.join(30 if is_spared else rng.uniform(0.3, 0.8))
            worker.kill()
        for worker in workers:
            worker.join()
            assert worker.exitcode in (0, -signal.SIGKILL)
        after = _finished(home, story_id)
        assert {key: after[key] for key in before} == before
        assert not set(before) & set(_begun(log)[begun:])
        counted += 0 < len(after) < SCENES and len(_begun(log)) > begun
    assert (await studio.latest_run(story_id)).error is None
    assert len(_finished(home, story_id)) == SCENES
    await _check_log_of_events(studio, story_id)
    return counted


async def _check_log_of_events(studio, story_id: str) -> None:
    events = await studio.events(story_id)
    kinds = [event.kind for event in events]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert kinds.count("clip.finished") == kinds.count("clip.queued") == SCENES
    assert kinds.count("plan.ready") == kinds.count("mix.ready") == 1
    assert kinds[-1] == "run.finished"


async def _mix_digest(studio, story_id: str) -> str:
    async with studio.store.database.read() as session:
        mix = await open_mix(session, studio.store.audio, story_id)
    with mix:
        return hashlib.sha256(np.concatenate(list(mix.blocks()), axis=1).tobytes()).hexdigest()


async def _undisturbed(studio, tmp_path: Path, seed: int) -> str:
    """Return the digest of the same story, made in another folder by one process."""
    other = await type(studio).make(tmp_path / f"undisturbed-{seed}")
    story = await other.add(INSTRUCTION, duration_s=16.0, tail_s=0.1, seed=seed)
    await other.run(story.id)
    digest = await _mix_digest(other, story.id)
    await other.store.database.close()
    return digest


def _begun(log: Path) -> list[str]:
    return log.read_text().split()


def _finished(home: Path, story_id: str) -> dict[str, float]:
    """Captions of finished clips as the log spells them, and when each was finished."""
    connection = sqlite3.connect(f"file:{home / 'studio.db'}?mode=ro", uri=True, timeout=30)
    rows = connection.execute(
        "SELECT caption, finished_at FROM scene_version JOIN clip ON clip.key = clip_key"
        " WHERE story_id = ? AND clip.state = 'finished'",
        (story_id,),
    ).fetchall()
    connection.close()
    return {hashlib.sha256(caption.encode()).hexdigest()[:8]: at for caption, at in rows}
