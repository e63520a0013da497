import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from storage import events
from tests.api.observing import assert_problem


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


async def test_listeners_that_come_and_go_miss_nothing_while_a_story_is_made(socket_client, studio):
    story = await studio.add("\n".join(f"rain {n}" for n in range(8)), duration_s=8.0)

    async def listen_in_short_visits():
        told, kind = [], None
        while kind != "run.finished":
            async with _listening(socket_client, story.id, len(told)) as heard:
                for event in await _take(heard, 1 if len(told) % 3 else 2):
                    told.append(event)
                    kind = event.kind
                    if kind == "run.finished":
                        break
        return told

    async def listen_all_along():
        told = []
        async with _listening(socket_client, story.id) as heard:
            while not told or told[-1].kind != "run.finished":
                told += await _take(heard, 1)
        return told

    listening = [
        asyncio.create_task(listen()) for listen in (listen_in_short_visits, listen_all_along)
    ]
    await studio.run(story.id)

    numbers = [event.number for event in await studio.events(story.id)]
    for told in await asyncio.gather(*listening):
        assert [event.number for event in told] == numbers


async def test_stream_of_many_events_is_replayed_in_pages(socket_client, studio):
    story = await studio.add("rain")
    async with studio.store.database.write() as session:
        for n in range(1200):
            await events.append(session, story.id, "note", text=f"línea {n}\nend\r\n\u2028")

    async with _listening(socket_client, story.id) as heard:
        told = await _take(heard, 1202)

    assert [event.number for event in told] == list(range(1, 1203))
    assert told[-1].data["text"] == "línea 1199\nend\r\n\u2028"


async def test_stream_ends_when_the_service_closes(socket_client, edge, studio):
    story = await studio.add("rain")

    async with _listening(socket_client, story.id, 2) as heard:
        edge.closing.set()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(heard), 5)


@pytest.mark.parametrize(
    "last", ["x", "-1", "1.5", "9" * 30, "9" * 5000, "", "1; DROP TABLE event"]
)
async def test_last_event_id_that_is_no_number_is_a_problem(client, studio, last):
    story = await studio.add("rain")

    response = await client.get(f"/v1/stories/{story.id}/events", headers={"Last-Event-ID": last})

    assert_problem(response, 422, "last-event-id")


async def test_stream_that_nobody_hears_ends(socket_client, studio):
    story = await studio.add("rain")
    await socket_client.get("/v1/health/live")
    before = asyncio.all_tasks()

    async with _listening(socket_client, story.id) as heard:
        await _take(heard, 2)
        serving = asyncio.all_tasks() - before

    assert serving
    await asyncio.wait_for(asyncio.gather(*serving, return_exceptions=True), 10)
