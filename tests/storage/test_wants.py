from storage import runs, wants, work
from storage.models import Work, WorkKind, WorkState
from storage.wants import Wanted
from tests.support.postgres import ON_POSTGRES

WINDOW = [Wanted("window", "tone", "{}")]


@ON_POSTGRES
async def test_work_that_is_finished_and_gone_while_it_is_wanted_is_queued_anew(
    studio, monkeypatch
):
    database, insert = studio.store.database, wants.insert_all_new
    story_ids = [(await studio.add(instruction)).id for instruction in ("rain", "thunder")]
    first, second = [(await studio.latest_run(story_id)).id for story_id in story_ids]
    async with database.write() as session:
        run = await runs.get(session, first)
        await wants.want_all(session, run, WorkKind.CONDITION, WINDOW)
    async with database.write() as session:
        [claimed] = await work.claim(session, "worker", 60.0, WorkKind.CONDITION, ["tone"], 1)

    async def insert_late(session, table, rows):
        monkeypatch.setattr(wants, "insert_all_new", insert)
        async with database.write() as worker:
            assert await work.finish(worker, claimed)
            await work.remove(worker, claimed)
        return await insert(session, table, rows)

    monkeypatch.setattr(wants, "insert_all_new", insert_late)
    async with database.write() as session:
        run = await runs.get(session, second)
        queued = await wants.want_all(session, run, WorkKind.CONDITION, WINDOW)

    assert queued["window"].state == WorkState.QUEUED
    async with database.read() as session:
        found = await session.get_one(Work, ("window", WorkKind.CONDITION))
    assert (found.state, found.owner) == (WorkState.QUEUED, None)
