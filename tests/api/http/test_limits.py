"""How often one may come, and with how much."""

import asyncio

import httpx
import psutil
import pytest

from api.http.limits import MAX_BUCKETS, Buckets
from tests.support.api_keys import make_key, over
from tests.support.servers import PATIENCE_S, assert_problem

JSON = {"content-type": "application/json"}


async def test_too_many_requests_of_a_key_have_to_wait(studio, ada, bob):
    async with over(studio, rate_per_minute=3) as client:
        statuses = [(await client.get("/v1/stories", headers=ada[1])).status_code for _ in range(4)]
        late = await client.get("/v1/stories", headers=ada[1])
        other = await client.get("/v1/stories", headers=bob[1])

    assert statuses == [200, 200, 200, 429]
    assert_problem(late, 429)
    assert 1 <= int(late.headers["retry-after"]) <= 21
    assert other.status_code == 200


async def test_requests_that_start_work_have_a_limit_of_their_own(studio, ada):
    async with over(studio, starts_per_minute=2) as client:
        statuses = [
            (
                await client.post("/v1/stories", json={"instruction": "Rain"}, headers=ada[1])
            ).status_code
            for _ in range(3)
        ]
        read = await client.get("/v1/stories", headers=ada[1])

    assert statuses == [202, 202, 429]
    assert read.status_code == 200


async def test_to_look_ahead_starts_nothing(studio, ada):
    story = await studio.add("rain", owner_key=ada[0])
    async with over(studio, starts_per_minute=1) as client:
        statuses = {
            (
                await client.post(f"/v1/stories/{story.id}/preview", json={}, headers=ada[1])
            ).status_code
            for _ in range(3)
        }

    assert 429 not in statuses


async def test_without_a_key_an_address_is_counted(studio):
    async with over(studio, rate_per_minute=2) as client:
        statuses = [(await client.get("/v1/stories")).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


async def test_who_tries_keys_is_stopped(studio, admin):
    async with over(studio, rate_per_minute=2) as client:
        statuses = [
            (await client.get("/v1/stories", headers={"X-API-Key": f"as_{n}"})).status_code
            for n in range(3)
        ]
        honest = await client.get("/v1/stories", headers=admin)

    assert statuses == [401, 401, 429]
    assert honest.status_code == 200


def test_bucket_fills_evenly_up_to_a_minutes_worth():
    buckets = Buckets(60)
    assert [buckets.take("a", 100.0) for _ in range(60)] == [0.0] * 60

    assert buckets.take("a", 100.0) == pytest.approx(1.0)
    assert buckets.take("a", 100.5) == pytest.approx(0.5)
    assert buckets.take("b", 100.5) == 0.0
    assert buckets.take("a", 101.01) == 0.0
    assert buckets.take("a", 101.01) > 0.9
    assert [buckets.take("a", 1000.0) for _ in range(60)] == [0.0] * 60
    assert buckets.take("a", 1000.0) > 0.9


def test_names_that_are_idle_are_forgotten_and_their_number_is_bounded():
    buckets = Buckets(60)
    for n in range(2 * MAX_BUCKETS):
        buckets.take(str(n), 0.001 * n)
    crowded = len(buckets)

    buckets.take("late", 1000.0)

    assert (crowded, len(buckets)) == (MAX_BUCKETS, 1)


async def test_streams_of_a_key_have_a_limit_until_they_end(studio, state, socket_client):
    key_id, headers = await make_key(studio, "read")
    _, other = await make_key(studio, "admin")
    story = await studio.add("rain", owner_key=key_id)
    url, most = f"/v1/stories/{story.id}/events", state.settings.streams_per_key
    limits = httpx.Limits(max_connections=2 * most)
    async with httpx.AsyncClient(base_url=socket_client.base_url, limits=limits) as client:
        opened = [
            await client.send(client.build_request("GET", url, headers=headers), stream=True)
            for _ in range(most)
        ]
        assert {response.status_code for response in opened} == {200}

        refused = await client.get(url, headers=headers)
        assert_problem(refused, 429)
        assert refused.headers["retry-after"]
        async with client.stream("GET", url, headers=other) as response:
            assert response.status_code == 200
        for response in opened:
            await response.aclose()

        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        status = 429
        while status == 429 and asyncio.get_running_loop().time() < deadline:
            async with client.stream("GET", url, headers=headers) as response:
                status = response.status_code
            await asyncio.sleep(0.05)
        assert status == 200


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
async def test_hundred_megabytes_are_refused_unread(
    socket_client, studio, ada, is_announced, is_known
):
    process = psutil.Process()
    before, chunk, sent = process.memory_info().rss, b" " * 65_536, 0

    async def chunks():
        nonlocal sent
        for _ in range(1600):
            sent += len(chunk)
            yield chunk

    headers = (ada[1] if is_known else {}) | JSON
    if is_announced:
        headers["content-length"] = str(1600 * len(chunk))
    response = await socket_client.post("/v1/stories", content=chunks(), headers=headers)

    assert_problem(response, 413 if is_known else 401)
    assert process.memory_info().rss - before < 32 << 20
    assert (await socket_client.get("/v1/health/live")).status_code == 200


async def test_client_that_asks_first_sends_nothing_of_a_large_body(socket_client):
    url = socket_client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n"
    )

    answer = await asyncio.wait_for(reader.read(100), PATIENCE_S)

    assert answer.startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()
