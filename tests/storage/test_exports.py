import os

import pytest
from sqlalchemy import func, select, update

from api.exports.media_type import AudioKind
from api.exports.schemas import ExportCreate
from api.exports.service import find_file, request_export
from audiostory_core.audio.export_request import FORMATS
from nodes.jobs.export import make_export
from storage import deletion, exports, stories, wants, work
from storage.gc import survey, sweep
from storage.models import Export, Work, WorkKind, WorkState
from storage.verification import repair, verify
from tests.support.finished_stories import branch, shelve
from tests.support.postgres import ON_BOTH_DATABASES

DAY_S = 86_400.0
FLAC = ExportCreate(format=AudioKind.FLAC)
pytestmark = ON_BOTH_DATABASES


@pytest.fixture
def store(studio):
    return studio.store


async def _make(studio) -> int:
    """Make the exports that are queued; return how many."""
    made = 0
    while True:
        async with studio.store.database.write() as session:
            claimed = await work.claim(session, "a", 60.0, WorkKind.EXPORT, FORMATS)
        if not claimed:
            return made
        made += await make_export(claimed, studio.services)


async def _age(store, story_id: str | None = None) -> None:
    """Let two days pass since an export of a story, or any, was used; and since files were made."""
    async with store.database.write() as session:
        used = update(Export).values(used_at=Export.used_at - 2 * DAY_S)
        await session.execute(used if story_id is None else used.where(Export.story_id == story_id))
    for path in store.audio.folder.glob("??/*"):
        then = path.stat().st_mtime - 2 * DAY_S
        os.utime(path, (then, then))


async def _sweep(store, search=sweep):
    return await search(store.database, store.audio, store.exports, DAY_S)


async def _count(store, table, *is_meant) -> int:
    async with store.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table).where(*is_meant)) or 0


async def test_export_that_nobody_used_for_a_day_is_swept(studio, store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    await _make(studio)
    path = await find_file(store, story.id, view.id)
    assert (await _sweep(store)).exports == []
    await _age(store)

    foreseen = await _sweep(store, survey)
    assert (foreseen.exports, foreseen.files) == ([view.id], [path])
    assert path.exists()
    swept = await _sweep(store)

    assert (swept.exports, swept.files, path.exists()) == ([view.id], [path], False)
    assert [await _count(store, Export), await _count(store, Work, Work.kind == "export")] == [0, 0]
    assert (await request_export(store, story.id, FLAC)).state == "queued"


async def test_use_keeps_an_export_from_being_swept(studio, store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    await _make(studio)
    await _age(store)

    path = await find_file(store, story.id, view.id)

    assert (await _sweep(store)).exports == []
    assert path.exists()


async def test_file_stays_while_one_of_its_stories_uses_it(studio, store):
    story = await shelve(store, "rain")
    other = await branch(store, story)
    for story_id in (story.id, other):
        view = await request_export(store, story_id, FLAC)
    await _make(studio)
    path = await find_file(store, other, view.id)
    await _age(store, story.id)

    assert (await _sweep(store, survey)).files == []
    swept = await _sweep(store)

    assert (swept.exports, swept.files) == ([view.id], [])
    assert await find_file(store, story.id, view.id) is None
    assert await find_file(store, other, view.id) == path
    assert await _make(studio) == 0


async def test_export_that_waits_is_not_swept(store):
    story = await shelve(store, "rain")
    await request_export(store, story.id, FLAC)
    await _age(store)

    assert (await _sweep(store)).exports == []
    assert await _count(store, Work, Work.state == WorkState.QUEUED) == 1


async def test_export_goes_with_its_story_and_its_file_with_the_sweep(studio, store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    await _make(studio)
    path = await find_file(store, story.id, view.id)
    await request_export(store, story.id, ExportCreate(format=AudioKind.WAV))

    async with store.database.write() as session:
        await deletion.delete_story(session, story.id)

    assert [await _count(store, Export), await _count(store, Work, Work.kind == "export")] == [0, 0]
    await _age(store)
    assert path in (await _sweep(store)).files


@pytest.mark.parametrize("problem", ["missing", "damaged"])
async def test_damaged_export_is_named_by_verify_and_made_again(studio, store, problem):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    await _make(studio)
    path = await find_file(store, story.id, view.id)
    content = path.read_bytes()
    assert await verify(store.database, store.audio, story.id) == []
    path.unlink() if problem == "missing" else path.write_bytes(content[:-1])

    for story_id in (None, story.id):
        [damage] = await verify(store.database, store.audio, story_id)
        assert (damage.file, damage.found) == (path.name, problem)
        assert (damage.clips, damage.exports) == ((), (view.id,))
    assert await repair(store.database, store.audio, damage) == 1

    assert await verify(store.database, store.audio) == []
    assert await _make(studio) == 1
    assert (await find_file(store, story.id, view.id)).read_bytes() == content


async def test_export_that_failed_is_tried_again_for_whoever_requests_it(store):
    story = await shelve(store, "rain")
    view = await request_export(store, story.id, FLAC)
    for _ in range(work.MAX_ATTEMPTS):
        async with store.database.write() as session:
            [claimed] = await work.claim(session, "a", 60.0, WorkKind.EXPORT, FORMATS)
            await work.fail(session, claimed, "no")
    async with store.database.read() as session:
        _, failed = await exports.get(session, story.id, view.id)
    assert (failed.state, failed.error) == ("failed", "no")

    again = await request_export(store, story.id, FLAC)

    assert (again.id, again.state, again.error) == (view.id, "queued", None)


async def test_worker_of_one_story_takes_its_exports_alone(store):
    first, second = await shelve(store, "rain"), await shelve(store, "snow")
    view = await request_export(store, second.id, FLAC)
    needs = {WorkKind.EXPORT: FORMATS}
    async with store.database.read() as session:
        assert await work.list_claimable(session, needs, first.id) == set()
        assert await work.list_claimable(session, needs, second.id) == {WorkKind.EXPORT}
    async with store.database.write() as session:
        claim = (session, "a", 60.0, WorkKind.EXPORT, FORMATS, 1)
        assert await work.claim(*claim, first.id) == []
        assert [claimed.key for claimed in await work.claim(*claim, second.id)] == [view.id]
        assert await work.give_up(session, "a") == [second.id]


async def test_exports_that_wait_move_no_run_in_the_queue(store):
    story = await shelve(store, "rain")
    await request_export(store, story.id, FLAC)
    async with store.database.write() as session:
        await session.execute(update(Work).where(Work.kind == WorkKind.EXPORT).values(start_tag=50))
        row = await stories.get(session, story.id)

        assert await wants.serving(session, row.priority) == 0
        assert await wants.serving(session, row.priority, [WorkKind.EXPORT]) == 49
