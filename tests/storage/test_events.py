import asyncio
import multiprocessing

from api.settings import Settings
from api.store import open_store
from storage import events
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

WRITERS, EACH = 8, 40


def _write(settings: Settings, story_id: str, writer: int) -> None:
    async def append_all() -> None:
        store = await open_store(settings)
        for turn in range(EACH):
            async with store.database.write() as session:
                await events.append(session, story_id, "test", writer=writer, turn=turn)
        await store.database.close()

    asyncio.run(append_all())


async def test_events_of_eight_processes_are_followed_without_gap_or_duplicate(studio):
    story = await studio.add("rain")
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write, args=(studio.settings, story.id, writer))
        for writer in range(WRITERS)
    ]
    for writer in writers:
        writer.start()

    followed = []
    while len(followed) < WRITERS * EACH + 2:  # the story and its run have an event each
        async with studio.store.database.read() as session:
            last = followed[-1].number if followed else 0
            followed += await events.list_after(session, story.id, last, limit=7)
        assert any(writer.is_alive() for writer in writers) or followed[-1].number
        await asyncio.sleep(0.002)
    for writer in writers:
        await asyncio.to_thread(writer.join)

    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert [event.number for event in followed] == list(range(1, WRITERS * EACH + 3))
    told = [(e.data["writer"], e.data["turn"]) for e in followed if e.kind == "test"]
    assert len(set(told)) == WRITERS * EACH
    for writer in range(WRITERS):
        assert [turn for who, turn in told if who == writer] == list(range(EACH))


async def test_event_of_a_rolled_back_change_leaves_no_gap(studio):
    story = await studio.add("rain")
    try:
        async with studio.store.database.write() as session:
            await events.append(session, story.id, "lost")
            raise RuntimeError("the change failed")
    except RuntimeError:
        pass
    async with studio.store.database.write() as session:
        number = await events.append(session, story.id, "kept")

    heard = await studio.events(story.id)
    assert number == 3
    assert [event.number for event in heard] == [1, 2, 3]
    assert heard[-1].kind == "kept"
