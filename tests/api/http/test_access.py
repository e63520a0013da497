"""Who is let in, what they may do, and what is written down about it."""

import asyncio
import json
import logging
import re

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.http.deps import AppState
from storage import keys
from tests.support.api_keys import make_key, over
from tests.support.servers import assert_problem

JSON = {"content-type": "application/json"}
TRICKS = [
    "%2e%2e",
    "%2e%2e%2fstudio.db",
    "..%5c..%5cstudio.db",
    "%00",
    "abc%00",
    "%ff",
    "x" * 5000,
    "'%20OR%201=1",
    "%F0%9F%98%80",
]


async def _audit(studio):
    async with studio.store.database.read() as session:
        rows = await keys.list_audit(session, 1000)
    return [(row.key_id, row.action, row.target, row.status) for row in reversed(rows)]


async def test_nobody_needs_a_key_where_there_is_none(client):
    posted = await client.post("/v1/stories", json={"instruction": "Rain"})

    assert posted.status_code == 202
    assert (await client.get("/v1/keys")).json() == []
    assert (await client.get("/v1/stories", auth=("proxy", "user"))).status_code == 200


async def test_key_that_is_wrong_is_refused_even_where_none_is_needed(client):
    response = await client.get("/v1/stories", headers={"X-API-Key": "as_mistyped"})

    assert_problem(response, 401)


async def test_first_key_closes_the_service_without_a_restart(client, studio):
    assert (await client.get("/v1/stories")).status_code == 200

    _, headers = await make_key(studio, "read")

    assert (await client.get("/v1/stories", headers=headers)).status_code == 200
    await asyncio.sleep(1.1)
    assert_problem(await client.get("/v1/stories"), 401)


async def test_last_key_that_is_revoked_opens_a_service_of_this_machine_alone(studio):
    key_id, headers = await make_key(studio, "admin")
    async with studio.store.database.write() as session:
        await keys.revoke(session, key_id)
    async with over(studio) as private:
        assert (await private.get("/v1/stories")).status_code == 200
        assert_problem(await private.get("/v1/stories", headers=headers), 401)

    public = create_app(AppState(studio.store, studio.settings, lambda: 1, is_public=True))
    transport = httpx.ASGITransport(public)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert_problem(await client.get("/v1/stories"), 401)


async def test_everything_but_health_and_the_reference_needs_a_key(client, admin):
    document = (await client.get("/openapi.json", headers=admin)).json()
    asked = [
        (method, path.replace("{", "").replace("}", ""))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    asked += [("get", "/docs/"), ("get", "/redoc"), ("get", "/nosuch"), ("options", "/v1")]
    asked += [("head", "/v1/stories"), ("get", "/v1/healthy"), ("get", "//v1/health/live")]

    for method, path in asked:
        response = await client.request(method, path)
        if path.startswith("/v1/health/"):
            assert response.status_code == 200, path
        elif method == "head":
            assert response.status_code == 401
        else:
            assert assert_problem(response, 401)["remedy"], path
            assert response.headers["www-authenticate"].startswith("Bearer ")
    assert (await client.get("/v1/health/../stories")).status_code in (401, 404)


@pytest.mark.parametrize("path", ["/v1/health/%2e%2e/stories", "/v1/health//../stories"])
async def test_health_is_no_way_around_the_door(client, admin, path):
    request = client.build_request("GET", "http://127.0.0.1")
    request.url = httpx.URL("http://127.0.0.1").copy_with(raw_path=path.encode())

    assert_problem(await client.send(request), 404)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer {}"),
        ("Authorization", "bearer  {}"),
        ("X-API-Key", "{}"),
    ],
)
async def test_key_is_taken_from_either_header(client, studio, header, value):
    _, headers = await make_key(studio, "read")
    key = headers["Authorization"].removeprefix("Bearer ")

    response = await client.get("/v1/stories", headers={header: value.format(key)})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer as_x"},
        {"Authorization": "Bearer " + "x" * 50_000},
        {"Authorization": "Basic YTpi"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-API-Key": ""},
        {"X-API-Key": "' OR 1=1"},
    ],
)
async def test_wrong_key_is_refused(client, admin, headers):
    assert_problem(await client.get("/v1/stories", headers=headers), 401)


async def test_revoked_key_is_refused_at_once(client, studio, admin):
    key_id, headers = await make_key(studio, "read")
    assert (await client.get("/v1/stories", headers=headers)).status_code == 200

    revoked = await client.delete(f"/v1/keys/{key_id}", headers=admin)

    assert revoked.status_code == 204
    assert_problem(await client.get("/v1/stories", headers=headers), 401)


@pytest.mark.parametrize(
    ("scopes", "statuses"),
    [
        (["read"], (200, 403, 403)),
        (["write"], (403, 202, 403)),
        (["read", "write"], (200, 202, 403)),
        (["admin"], (200, 202, 200)),
    ],
)
async def test_scopes_say_what_a_key_may_do(client, studio, scopes, statuses):
    _, headers = await make_key(studio, *scopes)

    responses = [
        await client.get("/v1/stories", headers=headers),
        await client.post("/v1/stories", json={"instruction": "Rain"}, headers=headers),
        await client.get("/v1/keys", headers=headers),
    ]

    assert tuple(response.status_code for response in responses) == statuses
    for response in responses:
        if response.status_code == 403:
            assert "scopes" in assert_problem(response, 403)["detail"]


async def test_operators_alone_see_keys_and_audit(client, ada, bob, admin):
    _, headers = ada
    for method, path in (
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", f"/v1/keys/{bob[0]}"),
        ("GET", "/v1/audit"),
    ):
        body = {"name": "x", "scopes": ["admin"]} if method == "POST" else None
        assert_problem(await client.request(method, path, json=body, headers=headers), 403)
        assert (await client.request(method, path, json=body, headers=admin)).is_success


async def test_story_exists_for_its_owner_and_for_operators_alone(client, studio, ada, bob, admin):
    path = (await client.post("/v1/stories", json={"instruction": "Rain"}, headers=ada[1])).headers[
        "location"
    ]
    nobodys = await studio.add("snow")
    document = (await client.get("/openapi.json", headers=admin)).json()

    lists = [
        (await client.get("/v1/stories", headers=headers)).json()
        for headers in (ada[1], bob[1], admin)
    ]

    assert [(page["total"], len(page["stories"])) for page in lists] == [(1, 1), (0, 0), (2, 2)]
    assert (await client.get(path, headers=ada[1])).status_code == 200
    assert (await client.get(path, headers=admin)).status_code == 200
    assert_problem(await client.get(f"/v1/stories/{nobodys.id}", headers=ada[1]), 404)
    routes = [
        (method, route)
        for route, methods in document["paths"].items()
        for method in methods
        if "{story_id}" in route
    ]
    assert len(routes) >= 6
    for method, route in routes:
        url = re.sub(r"\{\w+\}", "1", route.replace("/v1/stories/{story_id}", path))
        body = {} if method in ("post", "put", "patch") else None
        response = await client.request(method, url, headers=bob[1], json=body)
        problem = assert_problem(response, 404, "story")
        unknown = await client.request(
            method, url.replace(path, "/v1/stories/nosuch"), headers=bob[1], json=body
        )
        assert unknown.text.replace("nosuch", path.rsplit("/", 1)[1]) == response.text, problem


async def test_story_of_another_is_not_told_from_none_by_head(client, studio, ada, bob):
    story = await studio.add("rain", owner_key=ada[0])

    assert (await client.head(f"/v1/stories/{story.id}/mix", headers=bob[1])).status_code == 404


async def test_idempotency_keys_of_two_owners_never_meet(client, ada, bob):
    posts = [
        await client.post(
            "/v1/stories",
            json={"instruction": instruction},
            headers=headers | {"Idempotency-Key": key},
        )
        for headers, key, instruction in (
            (ada[1], "a", "Rain"),
            (bob[1], "a", "Rain"),
            (bob[1], f"{ada[0]}:a", "Rain"),
            (ada[1], "a", "Rain"),
            (ada[1], "a", "Snow"),
        )
    ]

    hers, his, other, again = (post.json()["id"] for post in posts[:4])
    assert len({hers, his, other}) == 3
    assert again == hers
    assert ada[0] not in assert_problem(posts[4], 409)["detail"]


async def test_key_is_made_over_http_and_shown_once(client):
    wanted = {"name": "Ada's laptop", "scopes": ["admin", "read"]}

    made = await client.post("/v1/keys", json=wanted)

    told = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/keys/{told['id']}"
    assert made.headers["cache-control"] == "no-store"
    headers = {"X-API-Key": told.pop("key")}
    assert_problem(await client.get("/v1/keys"), 401)
    assert (await client.get("/v1/keys", headers=headers)).json() == [told]
    assert told["scopes"] == ["admin", "read"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "x" * 101, "scopes": ["read"]}, "name"),
        ({"name": "a\nb", "scopes": ["read"]}, "name"),
        ({"name": "a\0b", "scopes": ["read"]}, "name"),
        ({"name": "\ud800", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes.0"),
        ({"name": "x", "scopes": ["read"], "id": "mine"}, "id"),
    ],
)
async def test_key_that_cannot_be_made_is_a_problem_of_its_field(client, body, field):
    response = await client.post("/v1/keys", content=json.dumps(body), headers=JSON)

    assert_problem(response, 422, field)
    assert (await client.get("/v1/keys")).json() == []


async def test_last_key_is_not_revoked_from_afar(client, studio):
    key_id, headers = await make_key(studio, "admin")

    response = await client.delete(f"/v1/keys/{key_id}", headers=headers)

    assert "audiostory keys revoke" in assert_problem(response, 409)["detail"]
    assert (await client.get("/v1/keys", headers=headers)).status_code == 200


async def test_service_with_keys_answers_to_any_name(client, admin):
    asked = {"Host": "studio.example", "Sec-Fetch-Site": "cross-site"}

    assert (await client.get("/v1/stories", headers=admin | asked)).status_code == 200
    assert_problem(await client.get("/v1/stories", headers=asked), 401)


async def test_every_request_that_may_change_something_is_written_down(client, studio, ada, admin):
    key_id, headers = ada
    posted = await client.post("/v1/stories", json={"instruction": "Rain"}, headers=headers)
    story_id = posted.json()["id"]
    await client.get("/v1/stories", headers=headers)
    await client.post(f"/v1/stories/{story_id}/approve", headers=headers)
    await client.post("/v1/stories", json={}, headers=headers)
    await client.post("/v1/keys", json={"name": "x", "scopes": ["read"]}, headers=headers)
    await client.post("/v1/stories", content=b" " * 5_000_000, headers=headers)
    await client.put("/nosuch", headers=headers)
    await client.post("/v1/health/live")
    await client.post("/v1/stories", json={"instruction": "Rain"})

    assert await _audit(studio) == [
        (key_id, "POST /v1/stories", None, 202),
        (key_id, "POST /v1/stories/{story_id}/approve", story_id, 409),
        (key_id, "POST /v1/stories", None, 422),
        (key_id, "POST /v1/keys", None, 403),
        (key_id, "POST (no route)", None, 413),
        (key_id, "PUT (no route)", None, 404),
    ]
    page = (await client.get("/v1/audit", params={"limit": 2}, headers=admin)).json()
    assert [(row["action"], row["status"]) for row in page] == [
        ("PUT (no route)", 404),
        ("POST (no route)", 413),
    ]
    before = {"before": page[-1]["id"]}
    assert len((await client.get("/v1/audit", params=before, headers=admin)).json()) == 4


async def test_fault_is_in_the_audit_too(studio, state):
    async with studio.store.database.write() as session:
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        await session.execute(text("DROP TABLE run"))
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert_problem(await client.post("/v1/stories", json={"instruction": "Rain"}), 500)

    assert await _audit(studio) == [(None, "POST /v1/stories", None, 500)]


async def test_change_that_cannot_be_written_down_is_logged(client, studio, caplog):
    async with studio.store.database.write() as session:
        await session.execute(text("DROP TABLE audit"))

    with caplog.at_level(logging.ERROR):
        response = await client.post("/v1/stories", json={"instruction": "Rain"})

    assert response.status_code == 202
    assert "not in the audit: key None, POST /v1/stories, None, 202" in caplog.text


@pytest.mark.parametrize("name", TRICKS)
async def test_no_path_of_a_client_gets_anywhere(client, studio, ada, name):
    files = sorted(studio.settings.home.rglob("*"))
    for method, url in (
        ("GET", f"/v1/stories/{name}"),
        ("GET", f"/v1/stories/{name}/mix.wav"),
        ("GET", f"/v1/stories/{name}/events"),
        ("GET", f"/v1/stories/{name}/clips/{name}"),
        ("POST", f"/v1/stories/{name}/approve"),
    ):
        request = client.build_request(method, "http://127.0.0.1", headers=ada[1])
        request.url = httpx.URL("http://127.0.0.1").copy_with(raw_path=url.encode())
        assert_problem(await client.send(request), 404)

    assert sorted(studio.settings.home.rglob("*")) == files
    for _, action, target, _ in await _audit(studio):
        assert action in ("POST /v1/stories/{story_id}/approve", "POST (no route)")
        assert target in ("(no id)", None)


@pytest.mark.parametrize("name", TRICKS)
async def test_clip_is_named_by_a_number_alone(client, studio, name):
    story = await studio.add("rain")
    request = client.build_request("GET", "http://127.0.0.1")
    path = f"/v1/stories/{story.id}/clips/{name}"
    request.url = httpx.URL("http://127.0.0.1").copy_with(raw_path=path.encode())

    assert_problem(await client.send(request), 404)


def test_document_tells_how_to_say_who_one_is_and_what_may_be_refused(state):
    document = create_app(state).openapi()

    schemes = document["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("scheme")) for scheme in schemes.values()} == {
        ("http", "bearer"),
        ("apiKey", None),
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            is_open = path.startswith("/v1/health/")
            told = set(operation["responses"])
            assert ("security" in operation) != is_open
            assert ({"401", "403"} <= told) != is_open
            assert "429" in told
            assert ("404" in told) == ("{" in path)
            assert ("413" in told) == ("requestBody" in operation)
            assert set(operation["responses"]["429"]["content"]) == {"application/problem+json"}
