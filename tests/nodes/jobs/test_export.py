import asyncio
import io
import os
import subprocess
import sys

import pytest
import soundfile
from sqlalchemy import func, select

from api.exports.media_type import AudioKind
from api.exports.schemas import ExportCreate
from api.exports.service import find_file, open_mix, request_export
from audiostory_core.audio.export import export
from audiostory_core.audio.export_request import FORMATS, ExportRequest
from nodes.jobs import export as job
from nodes.jobs.export import make_export
from storage import deletion, exports, work
from storage.models import Export, Mix, Work, WorkKind, WorkState
from tests.support.finished_stories import branch, shelve
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES
FLAC, WAV = ExportCreate(format=AudioKind.FLAC), ExportCreate(format=AudioKind.WAV)
# Writes a block, says so, and then nothing more until it is killed.
KILLED = """
import asyncio, sys, time
from pathlib import Path
from api.settings import Settings
from api.store import open_store
from nodes.jobs.export import make_export
from nodes.jobs.watching import BatchProgress
from nodes.services import Services
from storage import work
from storage.models import WorkKind

def stop(watch, index, done):
    if done:
        print("writing", flush=True)
        time.sleep(600)

BatchProgress.step = stop

async def main():
    store = await open_store(Settings(home=Path(sys.argv[1]), database_url=sys.argv[2] or None))
    async with store.database.write() as session:
        claimed = await work.claim(session, "doomed", 60.0, WorkKind.EXPORT, ["flac"])
    await make_export(claimed, Services(store.database, store.audio, {}, {}))

asyncio.run(main())
"""


@pytest.fixture
def store(studio):
    return studio.store


async def _claim(store, owner: str = "a", lease_s: float = 60.0) -> list[Work]:
    async with store.database.write() as session:
        return await work.claim(session, owner, lease_s, WorkKind.EXPORT, FORMATS)


async def _get(store, story_id: str, key: str) -> tuple[Export, Work]:
    async with store.database.read() as session:
        return await exports.get(session, story_id, key)


async def _kinds(studio, story_id: str) -> list[str]:
    return [event.kind for event in await studio.events(story_id) if "export" in event.kind]


async def _count(store, table) -> int:
    async with store.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def _leftovers(store) -> list[str]:
    return [path.name for path, _ in store.audio.find_leftovers()]


@pytest.mark.parametrize("wanted", [FLAC, WAV], ids=["flac", "wav"])
async def test_worker_makes_the_file_that_the_command_line_writes(studio, store, tmp_path, wanted):
    story = await shelve(store, "rain", "thunder")
    view = await request_export(store, story.id, wanted)
    assert (view.state, view.href, view.revision) == ("queued", None, 1)

    assert await make_export(await _claim(store), studio.services) == 1

    made, queued = await _get(store, story.id, view.id)
    async with store.database.read() as session:
        mix = await open_mix(session, store.audio, story.id)
    with mix:
        export(mix, tmp_path / f"story.{wanted.format}")
    content = (tmp_path / f"story.{wanted.format}").read_bytes()
    assert store.audio.read(made.file) == content
    assert (made.bytes, queued.state, queued.attempt) == (len(content), "finished", 1)
    assert await _kinds(studio, story.id) == ["export.finished"]
    again = await request_export(store, story.id, wanted)
    assert (again.id, again.state, again.bytes) == (view.id, "finished", len(content))
    assert await _claim(store) == []


async def test_equal_requests_of_two_stories_are_one_file(studio, store):
    story = await shelve(store, "rain", "thunder")
    other = await branch(store, story)
    first = await request_export(store, story.id, FLAC)
    assert (await request_export(store, other, FLAC)).id == first.id

    [claimed] = await _claim(store)
    assert await _claim(store, "b") == []
    assert await make_export([claimed], studio.services) == 1

    files = [(await _get(store, story_id, first.id))[0].file for story_id in (story.id, other)]
    assert len(set(files)) == 1
    async with store.database.write() as session:
        await deletion.delete_story(session, story.id)
    assert (await _get(store, other, first.id))[0].file == files[0]
    assert [await _kinds(studio, other), await _count(store, Export)] == [["export.finished"], 1]


async def test_other_format_gain_or_revision_is_another_export(store):
    story = await shelve(store, "rain", "thunder")
    ids = {(await request_export(store, story.id, wanted)).id for wanted in (FLAC, WAV)}
    async with store.database.write() as session:
        mix = await session.get_one(Mix, story.revision_id)
        mix.mastering = mix.mastering | {"gain_db": -3.0}
    ids.add((await request_export(store, story.id, FLAC)).id)
    ids.add((await request_export(store, (await shelve(store, "rain")).id, FLAC)).id)

    assert len(ids) == 4
    assert await _count(store, Export) == 4


async def test_mix_that_is_revised_meanwhile_is_exported_as_it_was(studio, store, tmp_path):
    story = await shelve(store, "rain", "thunder")
    async with store.database.read() as session:
        mix = await open_mix(session, store.audio, story.id)
    with mix:
        export(mix, tmp_path / "before.flac")
    view = await request_export(store, story.id, FLAC)
    async with store.database.write() as session:
        row = await session.get_one(Mix, story.revision_id)
        row.segments = row.segments[:1]
        row.mastering = row.mastering | {"gain_db": 0.0}

    await make_export(await _claim(store), studio.services)

    made, _ = await _get(store, story.id, view.id)
    assert store.audio.read(made.file) == (tmp_path / "before.flac").read_bytes()


async def test_owner_that_lost_its_export_stores_nothing(studio, store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    stale = await _claim(store, "stopped", lease_s=-1.0)
    taken = await _claim(store, "b")

    assert await make_export(stale, studio.services) == 0
    assert (await _get(store, story.id, view.id))[0].file is None
    assert await make_export(taken, studio.services) == 1
    assert await _kinds(studio, story.id) == ["export.finished"]


async def test_export_whose_worker_was_killed_is_made_by_another(studio, store):
    story = await shelve(store, *(f"scene {n}" for n in range(12)))
    view = await request_export(store, story.id, FLAC)
    arguments = [str(studio.settings.home), studio.settings.database_url or ""]
    doomed = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", KILLED, *arguments],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert await doomed.stdout.readline() == b"writing\n"
    doomed.kill()
    await doomed.wait()
    assert (await _get(store, story.id, view.id))[1].state == WorkState.CLAIMED
    assert len(_leftovers(store)) == 1
    async with store.database.write() as session:
        await work.release_owner(session, ["doomed"])

    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        seen = -1
        while (await _get(store, story.id, view.id))[1].state != WorkState.FINISHED:
            await store.database.wait_for_change(seen, 1.0)
            seen = store.database.changes()
        worker.stop()
        await working

    made, queued = await _get(store, story.id, view.id)
    assert (store.audio.is_whole(made.file), queued.attempt) == (True, 2)


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "while it is written"])
async def test_damaged_segment_fails_the_export_in_words(studio, store, monkeypatch, is_early):
    story = await shelve(store, "rain", "thunder")
    async with store.database.read() as session:
        mix = await open_mix(session, store.audio, story.id)
    path = mix.segments[-1].path

    def damage():
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    write = ExportRequest.write

    def write_and_damage(*arguments):
        write(*arguments)
        damage()

    view = await request_export(store, story.id, FLAC)
    names = {name for name, _ in store.audio.find_names()}
    if is_early:
        damage()
    else:
        monkeypatch.setattr(ExportRequest, "write", write_and_damage)

    for _ in range(work.MAX_ATTEMPTS):
        assert await make_export(await _claim(store), studio.services) == 0

    _, failed = await _get(store, story.id, view.id)
    assert failed.state == WorkState.FAILED
    assert failed.error.startswith(f"{path.name} is missing or damaged")
    assert "audiostory resume" in failed.error
    assert await _kinds(studio, story.id) == ["export.failed"]
    assert {name for name, _ in store.audio.find_names()} == names
    assert _leftovers(store) == []
    monkeypatch.undo()
    whole = path.read_bytes()[:-1]
    for last in range(256):
        path.write_bytes(whole + bytes([last]))
        if store.audio.is_whole(path.name):
            break
    assert (await request_export(store, story.id, FLAC)).state == "queued"
    assert await make_export(await _claim(store), studio.services) == 1


async def test_story_that_is_deleted_meanwhile_ends_its_export(studio, store, monkeypatch):
    story = await shelve(store, "rain")
    await request_export(store, story.id, FLAC)
    claimed = await _claim(store)
    names = {name for name, _ in store.audio.find_names()}
    begun, deleted = asyncio.Event(), asyncio.Event()
    loop, step = asyncio.get_running_loop(), job.BatchProgress.step

    def wait(watch, index, done):
        if done:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(deleted.wait(), loop).result()
            watch._is_lost.wait()
        step(watch, index, done)

    monkeypatch.setattr(job.BatchProgress, "step", wait)
    making = asyncio.create_task(make_export(claimed, studio.services))
    await begun.wait()
    async with store.database.write() as session:
        await deletion.delete_story(session, story.id)
    deleted.set()

    assert await making == 0
    async with store.database.read() as session:
        assert list(await session.scalars(select(Export))) == []
        left = await session.scalar(select(Work).where(Work.kind == WorkKind.EXPORT))
    assert left.state == WorkState.WITHDRAWN
    assert {name for name, _ in store.audio.find_names()} == names
    assert _leftovers(store) == []


async def test_export_that_is_finished_as_its_story_goes_is_forgotten(studio, store):
    story = await shelve(store, "rain")
    await request_export(store, story.id, FLAC)
    [claimed] = await _claim(store)
    async with store.database.write() as session:
        await deletion.delete_story(session, story.id)

    async with store.database.write() as session:
        assert not await exports.complete(session, claimed, "0" * 64 + ".flac", 9)
    assert await _count(store, Export) == 0


async def test_progress_is_in_the_row(studio, store, monkeypatch):
    story = await shelve(store, "rain", "thunder")
    view = await request_export(store, story.id, FLAC)
    [claimed] = await _claim(store)
    async with store.database.write() as session:
        await work.note_progress(session, claimed, 0.25)
    assert (await _get(store, story.id, view.id))[1].progress == 0.25
    shares = []
    step = job.BatchProgress.step
    monkeypatch.setattr(
        job.BatchProgress, "step", lambda watch, *to: (shares.append(to[1]), step(watch, *to))
    )

    await make_export([claimed], studio.services)

    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert (await _get(store, story.id, view.id))[1].progress is None


async def test_stories_take_turns(studio, store):
    stories = [await shelve(store, name) for name in ("rain", "snow")]
    for story in stories:
        for gain_db in (-1.0, -2.0, -3.0) if story is stories[0] else (-1.0,):
            async with store.database.write() as session:
                mix = await session.get_one(Mix, story.revision_id)
                mix.mastering = mix.mastering | {"gain_db": gain_db}
            await request_export(store, story.id, FLAC)

    order = []
    while claimed := await _claim(store):
        async with store.database.read() as session:
            order.append(
                await session.scalar(select(Export.story_id).where(Export.key == claimed[0].key))
            )
        await make_export(claimed, studio.services)

    first, second = (story.id for story in stories)
    assert order in ([first, second, first, first], [second, first, first, first])


async def test_file_that_was_lost_is_made_again_when_it_is_wanted(studio, store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, WAV)
    await make_export(await _claim(store), studio.services)
    path = await find_file(store, story.id, view.id)
    content = path.read_bytes()
    assert len(soundfile.read(io.BytesIO(content))[0]) == 44_100
    path.write_bytes(content[:-1])

    assert await find_file(store, story.id, view.id) is None

    assert (await _get(store, story.id, view.id))[1].state == WorkState.QUEUED
    assert await make_export(await _claim(store), studio.services) == 1
    assert (await find_file(store, story.id, view.id)).read_bytes() == content
