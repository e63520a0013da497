import asyncio
import json
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from storage import events
from tests.support.servers import assert_problem


@dataclass
class Heard:
    number: int
    kind: str
    data: dict


@asynccontextmanager
async def _listening(client, story_id, last_event_id=None):
    """Open a story's stream and give its events one by one."""
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    async with client.stream("GET", f"/v1/stories/{story_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in response.headers["cache-control"]
        yield _read(response.aiter_lines())


async def _read(lines):
    fields = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield Heard(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


async def _take(heard, count):
    return [await asyncio.wait_for(anext(heard), 10) for _ in range(count)]


async def test_stream_replays_every_event_then_waits(socket_client, studio):
    story = await studio.add("rain\nthunder")
    await studio.run(story.id)
    stored = await studio.events(story.id)

    async with _listening(socket_client, story.id) as heard:
        told = await _take(heard, len(stored))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(heard), 0.5)

    assert [(event.number, event.kind) for event in told] == [
        (event.number, event.kind) for event in stored
    ]
    assert told[0].data == stored[0].data | {"at": stored[0].created_at}


async def test_stream_goes_on_after_the_last_event_heard(socket_client, studio):
    story = await studio.add("rain")
    await studio.run(story.id)
    stored = [event.number for event in await studio.events(story.id)]

    for last in (0, 1, stored[-2]):
        async with _listening(socket_client, story.id, last) as heard:
            told = await _take(heard, len(stored) - last)
            assert [event.number for event in told] == stored[last:]


async def _hear_until_cut_off(client, story_id, told, patience_s):
    """Listen for a while, and leave in the middle of whatever is going on."""
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(patience_s),
            _listening(client, story_id, told[-1].number if told else None) as heard,
        ):
            async for event in heard:
                told.append(event)
                if event.kind == "run.finished":
                    return


async def test_listener_cut_off_at_random_hears_every_event_once_in_order(socket_client, studio):
    chance = random.Random(3)
    story = await studio.add("\n".join(f"rain {n}" for n in range(12)), duration_s=12.0)
    studio.engine.pause_s = 0.1
    visits = 0

    async def listen_in_short_visits():
        nonlocal visits
        told = []
        while not told or told[-1].kind != "run.finished":
            visits += 1
            await _hear_until_cut_off(socket_client, story.id, told, chance.uniform(0.005, 0.1))
        return told

    async def listen_all_along():
        told = []
        await _hear_until_cut_off(socket_client, story.id, told, 60.0)
        return told

    listening = [
        asyncio.create_task(listen()) for listen in (listen_in_short_visits, listen_all_along)
    ]
    await studio.run(story.id)

    numbers = [event.number for event in await studio.events(story.id)]
    for told in await asyncio.gather(*listening):
        assert [event.number for event in told] == numbers
    assert visits > 20


async def test_stream_begins_after_the_number_in_the_address_unless_a_header_says_more(
    socket_client, studio
):
    story = await studio.add("rain")
    for n in range(3):
        async with studio.store.database.write() as session:
            await events.append(session, story.id, "note", n=n)

    async def first(path, **headers):
        path = f"/v1/stories/{story.id}/events{path}"
        async with socket_client.stream("GET", path, headers=headers) as response:
            return (await _take(_read(response.aiter_lines()), 1))[0].number

    assert await first("?after=3") == 4
    assert await first("?after=2", **{"Last-Event-ID": "4"}) == 5


async def test_stream_with_progress_tells_it_without_a_number(socket_client, studio):
    story = await studio.add("rain\nthunder")
    await studio.run(story.id)
    path = f"/v1/stories/{story.id}/events?progress=true"

    fields = {}
    async with asyncio.timeout(10), socket_client.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if not line and fields["event"] == "progress":
                break
            name, _, value = line.partition(": ")
            fields = fields | {name: value} if line else {}

    assert "id" not in fields
    told = json.loads(fields["data"])
    assert told == (await socket_client.get(f"/v1/stories/{story.id}/progress")).json()
    assert (told["clips_total"], told["clips_finished"], told["share"]) == (2, 2, 1.0)
    assert told["eta_s"] == 0.0
    assert told["speed_x"] > 0


async def test_progress_of_an_unknown_story_is_a_problem(client):
    assert_problem(await client.get("/v1/stories/nosuch/progress"), 404, "story")


async def test_stream_of_many_events_is_replayed_in_pages(socket_client, studio):
    story = await studio.add("rain")
    async with studio.store.database.write() as session:
        for n in range(1200):
            await events.append(session, story.id, "note", text=f"línea {n}\nend\r\n\u2028")

    async with _listening(socket_client, story.id) as heard:
        told = await _take(heard, 1202)

    assert [event.number for event in told] == list(range(1, 1203))
    assert told[-1].data["text"] == "línea 1199\nend\r\n\u2028"


async def test_stream_ends_when_the_service_closes(socket_client, state, studio):
    story = await studio.add("rain")

    async with _listening(socket_client, story.id, 2) as heard:
        state.closing.set()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(heard), 5)


@pytest.mark.parametrize(
    "last", ["x", "-1", "1.5", "9" * 30, "9" * 5000, "", "1; DROP TABLE event"]
)
async def test_last_event_id_that_is_no_number_is_a_problem(client, studio, last):
    story = await studio.add("rain")

    response = await client.get(f"/v1/stories/{story.id}/events", headers={"Last-Event-ID": last})

    assert_problem(response, 422, "last-event-id")


async def test_listener_who_leaves_in_mid_stream_is_no_fault(socket_client, studio, caplog):
    story = await studio.add("rain")
    async with studio.store.database.write() as session:
        for _ in range(1000):
            await events.append(session, story.id, "note", text="x" * 2000)
    await socket_client.get("/v1/health/live")
    before = asyncio.all_tasks()

    async with _listening(socket_client, story.id) as heard:
        await _take(heard, 3)
        serving = asyncio.all_tasks() - before

    assert serving
    await asyncio.wait_for(asyncio.gather(*serving, return_exceptions=True), 10)
    assert caplog.records == []


async def test_stream_that_nobody_hears_ends(socket_client, studio):
    story = await studio.add("rain")
    await socket_client.get("/v1/health/live")
    before = asyncio.all_tasks()

    async with _listening(socket_client, story.id) as heard:
        await _take(heard, 2)
        serving = asyncio.all_tasks() - before

    assert serving
    await asyncio.wait_for(asyncio.gather(*serving, return_exceptions=True), 10)
