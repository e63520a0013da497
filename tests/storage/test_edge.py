"""What the HTTP edge answers when requests meet in the database, or bring what it cannot hold."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import make_url

from api.app import create_app
from api.http.deps import AppState
from api.stories.schemas import parse_story
from api.stories.service import create_story
from audiostory_core.errors import BadInput
from nodes.planning import make_plan
from storage import stories
from storage.database import Database
from storage.errors import BadText
from tests.support.postgres import ON_BOTH_DATABASES, ON_POSTGRES
from tests.support.servers import assert_problem

RAIN = {"instruction": "Rain", "duration_s": 5}
NUL, HALF = "a\x00b", "a\ud800b"


@pytest.fixture
async def client(studio):
    settings = studio.settings.model_copy(
        update={"rate_per_minute": 100_000, "starts_per_minute": 100_000}
    )
    transport = httpx.ASGITransport(create_app(AppState(studio.store, settings, lambda: 1)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@ON_BOTH_DATABASES
async def test_equal_requests_at_once_make_one_story_each_is_told_of(client):
    for number in range(8):
        headers = {"Idempotency-Key": f"equal-{number}"}
        asking = [client.post("/v1/stories", json=RAIN, headers=headers) for _ in range(12)]
        answers = await asyncio.gather(*asking)

        assert [answer.status_code for answer in answers] == [202] * 12
        assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await client.get("/v1/stories")).json()["total"] == 8


@ON_BOTH_DATABASES
async def test_unlike_requests_with_one_key_at_once_make_one_story(client):
    for number in range(8):
        headers = {"Idempotency-Key": f"unlike-{number}"}
        asking = [
            client.post("/v1/stories", json=RAIN | {"seed": seed}, headers=headers)
            for seed in range(12)
        ]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*asking))

        assert statuses == [202] + [409] * 11


@ON_BOTH_DATABASES
@pytest.mark.parametrize("text", [NUL, HALF])
async def test_text_that_cannot_be_stored_is_refused_wherever_a_body_has_it(client, studio, text):
    story = (await client.post("/v1/stories", json=RAIN)).json()["id"]
    plan = {
        "instruction": "x",
        "language": "en",
        "duration_s": 5,
        "sub_events": [{"caption": "rain", "duration_s": 5, "tone": text}],
    }
    for path, body, field in (
        ("/v1/stories", RAIN | {"language": text}, "language"),
        ("/v1/stories", RAIN | {"instruction": text}, "instruction"),
        ("/v1/stories", {"plan": plan}, "plan.sub_events.0.tone"),
        ("/v1/stories", RAIN | {text: 1}, "body"),
        (f"/v1/stories/{story}/reject", {"remark": text}, "remark"),
        ("/v1/webhooks", {"url": f"https://example.org/{text}"}, "url"),
        ("/v1/keys", {"name": text, "scopes": ["read"]}, "name"),
    ):
        escaped = json.dumps(body).encode()
        for content in (escaped, escaped.decode().encode("utf-16")):
            headers = {"Content-Type": "application/json"}
            answer = await client.post(path, content=content, headers=headers)
            assert assert_problem(answer, 422, field)["value"], path


@ON_BOTH_DATABASES
async def test_text_that_cannot_be_stored_is_refused_in_paths_and_queries(client, studio):
    story = (await client.post("/v1/stories", json=RAIN)).json()["id"]

    path = f"/v1/stories/{story}"
    asked = f"{path}/diff?before=%00&after=2"
    assert assert_problem(await client.get(asked), 422, "before")["value"] == "\x00"
    for answer in (
        await client.put(f"{path}/revisions/a%00/name", json={"name": "b"}),
        await client.post(f"{path}/revisions/a%00/branch"),
        await client.get("/v1/webhooks/a%00"),
        await client.delete("/v1/webhooks/a%00"),
    ):
        assert answer.status_code in (404, 409, 422), answer.text
    assert_problem(await client.get("/v1/webhooks/a%00"), 422, "webhook_id")


@ON_BOTH_DATABASES
@pytest.mark.parametrize("text", [NUL, HALF])
async def test_no_way_into_the_database_takes_text_that_it_cannot_hold(studio, text):
    database = studio.store.database
    with pytest.raises(BadText):
        await studio.add("rain", language=text)
    with pytest.raises(BadText):
        async with database.read() as session:
            await stories.find_by_idempotency(session, text, "")


@ON_POSTGRES
async def test_default_of_the_database_makes_no_post_fail(client, studio, postgres):
    name = make_url(studio.settings.database_url).database
    postgres.execute("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", name)
    fresh = Database(studio.store.database.location)
    try:
        made = await asyncio.gather(
            *(create_story(fresh, parse_story(**RAIN), 1.0) for _ in range(40))
        )
        async with fresh.write() as session:
            level = await session.connection()
            assert await level.get_isolation_level() == "READ COMMITTED"
    finally:
        await fresh.close()
    assert len({story.id for story in made}) == 40


async def test_reader_is_answered_while_another_process_keeps_the_file_locked(client, studio):
    path = (await client.post("/v1/stories", json=RAIN)).headers["location"]
    with closing(sqlite3.connect(studio.settings.database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        posting = [asyncio.create_task(client.post("/v1/stories", json=RAIN)) for _ in range(40)]
        await asyncio.sleep(0.2)

        begun = time.monotonic()
        answers = await asyncio.gather(*(client.get(path) for _ in range(20)))

        assert {answer.status_code for answer in answers} == {200}
        assert time.monotonic() - begun < 5.0
        assert not any(post.done() for post in posting)
        other.execute("ROLLBACK")
    posted = await asyncio.gather(*posting)
    assert {answer.status_code for answer in posted} == {202}


async def test_file_that_stays_locked_is_503_with_a_time_to_come_again(studio, monkeypatch):
    monkeypatch.setattr("storage.sqlite.BUSY_TIMEOUT_S", 0.3)
    impatient = Database(studio.store.database.location)
    store = replace(studio.store, database=impatient)
    transport = httpx.ASGITransport(create_app(AppState(store, studio.settings, lambda: 1)))
    with closing(sqlite3.connect(studio.settings.database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            asking = [client.post("/v1/stories", json=RAIN) for _ in range(5)]
            answers = await asyncio.gather(*asking)
        other.execute("ROLLBACK")
    await impatient.close()

    for answer in answers:
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0


async def test_writers_are_served_in_the_order_they_came(studio):
    database, served = studio.store.database, []

    async def write(number: int) -> None:
        async with database.write():
            served.append(number)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(write(number) for number in range(30)))

    assert served == list(range(30))


async def test_plan_of_more_scenes_than_the_limit_is_refused_with_the_limit(client):
    scenes = [{"caption": "rain", "duration_s": 0.5}] * 100_000
    plan = {"instruction": "x", "language": "en", "duration_s": 50_000, "sub_events": scenes}
    slowest = 0.0

    async def watch() -> None:
        nonlocal slowest
        while True:
            begun = time.monotonic()
            await client.get("/v1/health/live")
            slowest = max(slowest, time.monotonic() - begun)
            await asyncio.sleep(0.01)

    content = json.dumps({"plan": plan}).encode()
    watching = asyncio.create_task(watch())
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v1/stories", content=content, headers=headers)
    watching.cancel()

    told = assert_problem(answer, 422, "plan.sub_events")
    assert "10,000" in told["detail"]
    assert "AUDIOSTORY_MAX_SCENES" in told["remedy"]
    assert slowest < 2.0


async def test_lists_within_lists_have_a_limit_together(client):
    layers = [{"kind": "sfx", "text": "rain"}] * 9_000
    scenes = [{"caption": "rain", "duration_s": 1, "layers": layers}] * 9
    plan = {"instruction": "x", "language": "en", "duration_s": 9, "sub_events": scenes}

    assert_problem(await client.post("/v1/stories", json={"plan": plan}), 422)


async def test_planner_that_makes_too_many_scenes_fails_the_run_with_the_limit(studio):
    story = await studio.add("\n".join(["rain"] * 30), duration_s=30.0)
    services = studio.services
    services.max_scenes = 10

    with pytest.raises(BadInput, match="more than the 10"):
        make_plan(story, services, {"tone": studio.engine.capabilities})
