"""What an attacker sends: refused with a problem, and nothing on the disk is another."""

import asyncio
import hashlib
import json
import re

import httpx
import pytest

from tests.support.servers import PATIENCE_S

JSON = {"content-type": "application/json"}
DEEP = 100_000
NAMES = [
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cstudio.db",
    "%2fetc%2fpasswd",
    "C%3A%5Cstudio.db",
    "%00",
    "1%00",
    "1%0d%0aX-Injected%3A%201",
    "%C0%AE%C0%AE%2F",
    "%ED%A0%80",
    "%D9%A1",  # one, in Arabic digits
    "%C2%B2",  # a square
    "1e3",
    "-1",
    "1_000",
    "9" * 5000,
    "x" * 50_000,
    "%F0%9F%98%80" * 50,
    "'%20OR%201=1--",
]


def _told(value):
    return json.dumps(value).encode()


HUGE = b"1" + b"0" * 400
BODIES = {
    "deep lists": b"[" * DEEP,
    "deep closed lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"plan":' * DEEP,
    "deep value": b'{"plan":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "not UTF-8": b'{"instruction": "\xff\xfe"}',
    "overlong UTF-8": b'{"instruction": "\xc0\x80"}',
    "a NUL": b'{"instruction": "Rain\0"}',
    "only NULs": b"\0" * 1000,
    "an escaped NUL": b'{"instruction": "Rain\\u0000"}',
    "half a pair": b'{"instruction": "\\ud800"}',
    "half a pair as a name": b'{"\\ud800": 1}',
    "a duration of 1e400": b'{"instruction": "Rain", "duration_s": 1e400}',
    "a duration of 10**400": b'{"instruction": "Rain", "duration_s": ' + HUGE + b"}",
    "a duration of 10**5000": b'{"instruction": "Rain", "duration_s": 1' + b"0" * 5000 + b"}",
    "no number": b'{"instruction": "Rain", "duration_s": NaN}',
    "infinity": b'{"instruction": "Rain", "duration_s": -Infinity}',
    "a seed of 10**400": b'{"instruction": "Rain", "seed": ' + HUGE + b"}",
    "a seed of 2**63": b'{"instruction": "Rain", "seed": 9223372036854775808}',
    "a seed of 1e400": b'{"instruction": "Rain", "seed": 1e400}',
    "the same name twice": b'{"instruction": "Rain", "seed": 1, "seed": -1}',
    "a prototype": b'{"__proto__": {"scopes": ["admin"]}, "instruction": "Rain"}',
    "an empty body": b"",
    "two documents": b"{}{}",
    "a scene of 1e308 s": _told(
        {
            "plan": {
                "instruction": "Rain",
                "language": "en",
                "duration_s": 2,
                "sub_events": [{"caption": "rain", "duration_s": 1e308}],
            }
        }
    ),
    "thousands of names": _told({f"n{n}": n for n in range(20_000)}),
}


def _refused(response):
    """Assert that a request was refused, and told so as a problem."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:300]}"
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    assert len(response.content) < 3000
    assert "Traceback" not in response.text


def _on_disk(studio):
    """Every file of the data folder, those of audio with what is in them."""
    home = studio.settings.home
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_relative_to(home / "audio")
        else ""
        for path in home.rglob("*")
        if path.is_file()
    }


async def _operations(client, headers=None):
    document = (await client.get("/openapi.json", headers=headers)).json()
    return [
        (method.upper(), path, "requestBody" in operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _at(client, method, path, **options):
    """A request whose path goes out as it is written."""
    request = client.build_request(method, "http://127.0.0.1", **options)
    request.url = httpx.URL("http://127.0.0.1").copy_with(raw_path=path.encode())
    return request


async def test_wrong_key_opens_no_route(client, studio, admin):
    story = await studio.add("rain")
    wrong = {"X-API-Key": admin["Authorization"].removeprefix("Bearer ")[:-1] + "!"}

    for method, path, _ in await _operations(client, admin):
        if not path.startswith("/v1/health/"):
            url = re.sub(r"\{\w+\}", "1", path.replace("{story_id}", story.id))
            response = await client.request(method, url, headers=wrong, json={})
            assert response.status_code == 401, (method, path)
            _refused(response)


@pytest.mark.parametrize("name", NAMES)
async def test_name_in_a_path_reaches_no_file_and_breaks_no_route(client, studio, name):
    story = await studio.add("rain")
    before = _on_disk(studio)

    for method, path, has_body in await _operations(client):
        parameters = re.findall(r"\{(\w+)\}", path)
        for attacked in parameters:
            url = path.replace(f"{{{attacked}}}", name).replace("{story_id}", story.id)
            url = re.sub(r"\{\w+\}", "1", url)
            options = {"json": {"name": "x"}} if has_body else {}
            _refused(await client.send(_at(client, method, url, **options)))

    assert _on_disk(studio) == before


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_body_that_is_an_attack_is_refused_on_every_route(client, studio, body):
    story = await studio.add("rain")
    before = _on_disk(studio)

    for method, path, has_body in await _operations(client):
        if has_body:
            url = re.sub(r"\{\w+\}", "1", path.replace("{story_id}", story.id))
            _refused(await client.request(method, url, content=body, headers=JSON))

    assert _on_disk(studio) == before
    assert (await client.get("/v1/stories")).json()["total"] == 1


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"plan":', b"}"), (b'{"a":[', b"]}")]
)
async def test_no_depth_of_a_body_breaks_what_tells_of_it(client, opening, closing):
    for depth in (*range(50, 1100, 25), 5000):
        for field in (b"instruction", b"duration_s", b"plan", b"seed", b"nosuch"):
            nested = opening * depth + b"1" + closing * depth
            body = b'{"' + field + b'": ' + nested + b"}"
            _refused(await client.post("/v1/stories", content=body, headers=JSON))


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "x" * 100_000},
        {"Idempotency-Key": b"\xff\xfe\x80"},
        {"Idempotency-Key": b"\0"},
        {"Content-Type": "application/json; charset=\xff".encode("latin-1")},
        {"Content-Type": "text/plain"},
        {"Content-Type": "x" * 10_000},
        {"Content-Length": "9" * 100},
        {"Content-Length": "-1"},
        {"Host": "x" * 10_000},
        {"Host": "[::1"},
        {"Authorization": "Bearer " + "\u00b2" * 100},
    ],
)
async def test_header_that_is_odd_breaks_nothing(client, studio, headers):
    headers = {
        name: value.encode("latin-1") if isinstance(value, str) else value
        for name, value in headers.items()
    }
    response = await client.post(
        "/v1/stories", content=b'{"instruction": "Rain"}', headers=JSON | headers
    )

    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        _refused(response)


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=" + "9" * 5000 + "-"},
        {"Range": "bytes=\u0661-"},
        {"Range": ",".join(["bytes=0-1"] * 5000)},
        {"Accept": "audio/wav;q=" + "9" * 5000},
        {"Accept": "," * 50_000},
        {"If-None-Match": "*" * 50_000},
        {"Last-Event-ID": "9" * 5000},
        {"Last-Event-ID": "\u0661"},
    ],
)
async def test_header_of_a_reader_that_is_odd_breaks_nothing(client, studio, headers):
    story = await studio.add("rain")
    await studio.run(story.id)
    told = {name: value.encode() for name, value in headers.items()}
    paths = ["mix", "mix.wav", "mix.flac", "clips/1", "sub-events/1/takes/1"]
    if "Last-Event-ID" in headers:
        paths = ["events"]

    for path in paths:
        response = await client.get(f"/v1/stories/{story.id}/{path}", headers=told)

        assert response.status_code < 500, response.text
        if response.status_code >= 400 and response.status_code != 416:
            _refused(response)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/stories HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: 1\r\n" * 20_000 + b"\r\n",
        b"GET /v1/stories HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/stories\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/stories HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
        b"POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\nhello",
        b"POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"ffffffffffffffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET http://elsewhere/v1/stories HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    ],
)
async def test_request_that_is_no_http_is_refused_and_the_next_one_answered(socket_client, sent):
    url = socket_client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)

    answer = await asyncio.wait_for(reader.read(200), PATIENCE_S)

    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer
    writer.close()
    assert (await socket_client.get("/v1/health/live")).status_code == 200
