import json

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.http.deps import AppState
from api.http.limits import MAX_BODY_BYTES
from storage import stories
from storage.models import RunState
from tests.support.servers import assert_problem

JSON = {"content-type": "application/json"}
PLAN = {
    "instruction": "Rain, then thunder",
    "language": "en",
    "duration_s": 4.0,
    "sub_events": [
        {"caption": "Rain", "duration_s": 3.0},
        {"caption": "thunder", "duration_s": 1.0},
    ],
}


def _shaped(**layer):
    layer = {"kind": "sfx", "text": "rain"} | layer
    if "words" in layer:
        del layer["text"]
    return PLAN | {"sub_events": [{"caption": "Rain", "duration_s": 4.0, "layers": [layer]}]}


async def test_posted_story_is_stored_and_queued(client, studio):
    asked = {"instruction": "Rain falls.", "duration_s": 6, "seed": 5}

    response = await client.post("/v1/stories", json=asked)

    assert response.status_code == 202
    told = response.json()
    assert response.headers["location"] == f"/v1/stories/{told['id']}"
    assert (told["status"], told["seed"], told["duration_s"]) == ("queued", 5, 6.0)
    assert (await client.get(response.headers["location"])).json()["instruction"] == "Rain falls."
    assert (await studio.latest_run(told["id"])).state == RunState.QUEUED


async def test_posted_plan_is_kept_as_given(client, studio):
    told = (await client.post("/v1/stories", json={"plan": PLAN})).json()

    assert (told["instruction"], told["duration_s"]) == ("Rain, then thunder", 4.0)
    async with studio.store.database.read() as session:
        story = await stories.get(session, told["id"])
    assert [event["caption"] for event in story.given_plan["sub_events"]] == ["Rain", "thunder"]


async def test_posted_script_says_its_format(client):
    script = {"instruction": "It was late. “Who?” asked Nell.", "format": "prose"}

    posted = await client.post("/v1/stories", json=script)

    assert posted.status_code == 202
    instruction = posted.json()["instruction"]
    assert instruction == "Format: prose\n\nIt was late. “Who?” asked Nell."


async def test_posted_final_draft_becomes_fountain(client):
    xml = (
        '<FinalDraft><Content><Paragraph Type="Character"><Text>ANNA</Text></Paragraph>'
        '<Paragraph Type="Dialogue"><Text>Hello.</Text></Paragraph></Content></FinalDraft>'
    )
    posted = await client.post("/v1/stories", json={"instruction": xml})

    assert posted.json()["instruction"] == "Format: fountain\n\n@ANNA\nHello.\n"


@pytest.mark.parametrize(
    ("script", "field"),
    [
        ({"instruction": "Rain", "format": "opera"}, "format"),
        ({"instruction": "Rain", "format": "epub"}, "format"),
        ({"instruction": "<FinalDraft><Content>"}, "script"),
        ({"instruction": "a" * 200_001}, "instruction"),
        ({"instruction": "Format: prose\n\n" + "a" * 2_000_001}, "instruction"),
    ],
)
async def test_posted_script_that_cannot_be_read_is_a_problem(client, script, field):
    response = await client.post("/v1/stories", json=script)

    assert response.status_code == 422
    assert field in response.text


async def test_posted_book_may_be_longer_than_an_instruction(client):
    book = "Format: prose\n\n" + "It was late. " * 20_000

    assert (await client.post("/v1/stories", json={"instruction": book})).status_code == 202


async def test_same_idempotency_key_gives_the_same_story(client):
    posts = [
        await client.post(
            "/v1/stories", json={"instruction": "Rain"}, headers={"Idempotency-Key": key}
        )
        for key in ("a", "a", "b")
    ]

    first, again, other = (post.json()["id"] for post in posts)
    assert first == again != other
    assert (await client.get("/v1/stories")).json()["total"] == 2


async def test_idempotency_key_of_another_request_is_a_conflict(client):
    headers = {"Idempotency-Key": "a"}
    await client.post("/v1/stories", json={"instruction": "Rain"}, headers=headers)

    response = await client.post("/v1/stories", json={"instruction": "Snow"}, headers=headers)

    assert "fresh key" in assert_problem(response, 409)["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instruction"),
        ({"instruction": " \n\t"}, "instruction"),
        ({"instruction": "x" * 200_001}, "instruction"),
        ({"instruction": 7}, "instruction"),
        ({"instruction": "\ud800"}, "instruction"),
        ({"instruction": None}, "instruction"),
        ({"instruction": "Rain", "color": "red"}, "color"),
        ({"instruction": "Rain", "\ud800": "red"}, "body"),
        ({"instruction": "Rain", "duration_s": 0}, "duration_s"),
        ({"instruction": "Rain", "duration_s": 0.5}, "duration_s"),
        ({"instruction": "Rain", "duration_s": -3}, "duration_s"),
        ({"instruction": "Rain", "duration_s": 1e9}, "duration_s"),
        ({"instruction": "Rain", "duration_s": float("nan")}, "duration_s"),
        ({"instruction": "Rain", "duration_s": float("inf")}, "duration_s"),
        ({"instruction": "Rain", "duration_s": "soon"}, "duration_s"),
        ({"instruction": "Rain", "engine": "organ"}, "engine"),
        ({"instruction": "Rain", "engine": "../../etc/passwd"}, "engine"),
        ({"instruction": "Rain", "planner": "oracle"}, "planner"),
        ({"instruction": "Rain", "planner": ["clauses"]}, "planner"),
        ({"instruction": "Rain", "language": "x" * 36}, "language"),
        ({"instruction": "Rain", "language": "\udfff"}, "language"),
        ({"instruction": "Rain", "seed": -1}, "seed"),
        ({"instruction": "Rain", "seed": 2**63}, "seed"),
        ({"instruction": "Rain", "seed": 1.5}, "seed"),
        ({"instruction": "Rain", "seed": True}, "seed"),
        ({"instruction": "Rain", "seed": False}, "seed"),
        ({"instruction": "Rain", "seed": "5"}, "seed"),
        ({"instruction": "Rain", "priority": True}, "priority"),
        ({"instruction": "Rain", "duration_s": True}, "duration_s"),
        ({"instruction": "Rain", "review": "perhaps"}, "review"),
        ({"plan": PLAN | {"duration_s": 5.0}}, "plan"),
        ({"plan": PLAN | {"sub_events": []}}, "plan.sub_events"),
        ({"plan": PLAN | {"mood": "sad"}}, "plan.mood"),
        ({"plan": PLAN | {"version": 3}}, "plan.version"),
        ({"plan": _shaped(gain_db=40)}, "plan.sub_events.0.layers.0.gain_db"),
        ({"plan": _shaped(kind="speech", words="a", pan=2)}, "plan.sub_events.0.layers.0.pan"),
        ({"plan": _shaped(count=0)}, "plan.sub_events.0.layers.0.count"),
        ({"plan": _shaped(pace="sluggish")}, "plan.sub_events.0.layers.0.pace"),
        ({"plan": _shaped(start_s=601)}, "plan.sub_events.0.layers.0.start_s"),
        ({"plan": _shaped(fade_in_s=float("inf"))}, "plan.sub_events.0.layers.0.fade_in_s"),
        ({"instruction": "Rain", "engines": {"dialogue": "audiostory"}}, "engines.dialogue"),
        ({"instruction": "Rain", "engines": {"music": "organ"}}, "engines.music"),
        ({"plan": "plan.json"}, "plan"),
        ({"instruction": "Snow", "plan": PLAN}, "instruction"),
        ({"duration_s": 9, "plan": PLAN}, "duration_s"),
        ([], "body"),
        ("Rain", "body"),
    ],
)
async def test_request_that_cannot_be_used_is_a_problem_of_its_field(client, body, field):
    response = await client.post("/v1/stories", content=json.dumps(body), headers=JSON)

    problem = assert_problem(response, 422, field)
    assert "value" in problem
    assert (await client.get("/v1/stories")).json()["total"] == 0


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"instruction": ', JSON, 422),
        (b'{"instruction": "\xff"}', JSON, 400),
        (b"", JSON, 422),
        (b"[" * 100_000, JSON, 400),
        (b'{"seed": ' + b"9" * 10_000 + b"}", JSON, 400),
        (b'{"instruction": "Rain"}', {"content-type": "text/plain"}, 422),
        (b"instruction=Rain", {"content-type": "application/x-www-form-urlencoded"}, 422),
        (b'{"instruction": "Rain"}', {}, 422),
    ],
)
async def test_body_that_is_not_json_is_a_problem(client, content, headers, status):
    response = await client.post("/v1/stories", content=content, headers=headers)

    assert assert_problem(response, status)["remedy"]


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_idempotency_key_has_a_length(client, key):
    response = await client.post(
        "/v1/stories", json={"instruction": "Rain"}, headers={"Idempotency-Key": key}
    )

    assert_problem(response, 422, "idempotency-key")


@pytest.mark.parametrize("is_announced", [True, False])
async def test_body_that_is_too_large_is_refused(client, is_announced):
    body = json.dumps({"instruction": "x" * (MAX_BODY_BYTES + 1)}).encode()

    async def chunks():
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    response = await client.post(
        "/v1/stories", content=body if is_announced else chunks(), headers=JSON
    )

    assert_problem(response, 413, "body")


async def test_longest_instruction_fits_in_any_script(client):
    response = await client.post("/v1/stories", json={"instruction": "😀" * 200_000})

    assert response.status_code == 202


async def test_list_is_newest_first_in_pages(client, studio):
    ids = [(await studio.add(f"rain {n}")).id for n in range(5)]

    whole = (await client.get("/v1/stories")).json()
    page = (await client.get("/v1/stories", params={"limit": 2, "offset": 1})).json()

    listed = [story["id"] for story in whole["stories"]]
    assert sorted(listed) == sorted(ids)
    assert [story["id"] for story in page["stories"]] == listed[1:3]
    assert page["total"] == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("limit=1.5", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
    ],
)
async def test_list_checks_its_page(client, query, field):
    assert_problem(await client.get(f"/v1/stories?{query}"), 422, field)


async def test_story_tells_its_plan_and_its_mix(client, studio):
    finished = (await studio.add("rain\nthunder\nbirds", duration_s=6.0)).id
    await studio.run(finished)

    story = (await client.get(f"/v1/stories/{finished}")).json()
    scenes = (await client.get(f"/v1/stories/{finished}/sub-events")).json()

    assert (story["status"], story["sub_events"], story["duration_s"]) == ("finished", 3, 6.0)
    assert story["mastering"]["target_lufs"] == -16.0
    assert [scene["caption"] for scene in scenes] == ["rain", "thunder", "birds"]
    assert [scene["start_s"] for scene in scenes] == [0.0, 2.0, 4.0]
    assert {scene["status"] for scene in scenes} == {"finished"}


async def test_story_that_is_not_planned_has_no_sub_events(client, studio):
    story = await studio.add("rain")

    assert (await client.get(f"/v1/stories/{story.id}/sub-events")).json() == []


@pytest.mark.parametrize("tail", ["", "/sub-events", "/events", "/mix", "/mix.wav", "/clips/1"])
@pytest.mark.parametrize(
    "story_id",
    [
        "nosuch",
        "%00",
        "%2e%2e",
        "..%2f..%2fstudio.db",
        "x" * 5000,
        "%ff",
        "%F0%9F%98%80",
        "'%20OR%201=1",
    ],
)
async def test_unknown_story_is_not_found(client, story_id, tail):
    assert_problem(await client.get(f"/v1/stories/{story_id}{tail}"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/stories/",
        "/v1/../studio.db",
        "/%2e%2e/studio.db",
        "/v1/stories/%2e%2e/%2e%2e/studio.db",
        "//127.0.0.1/v1/stories",
        "/audio/store-id",
    ],
)
async def test_unknown_route_is_not_found(client, path):
    request = client.build_request("GET", "http://127.0.0.1")
    request.url = httpx.URL("http://127.0.0.1").copy_with(raw_path=path.encode())

    assert_problem(await client.send(request), 404)


async def test_method_that_is_not_there_is_a_problem(client):
    response = await client.delete("/v1/stories")

    assert_problem(response, 405)
    assert response.headers["allow"]


async def test_approval_passes_one_review_at_a_time(client, studio):
    story = await studio.add("rain\nthunder", review=True)
    path = f"/v1/stories/{story.id}"
    assert_problem(await client.post(f"{path}/approve"), 409)

    for review in ("plan review", "mix review"):
        await studio.run(story.id)
        waiting = (await client.get(path)).json()
        assert (waiting["status"], waiting["waits_for"]) == ("in review", review)
        approved = await client.post(f"{path}/approve")
        assert (approved.status_code, approved.json()["status"]) == (200, "queued")
    await studio.run(story.id)

    assert (await client.get(path)).json()["status"] == "finished"
    assert_problem(await client.post(f"{path}/approve"), 409)
    assert_problem(await client.post("/v1/stories/nosuch/approve"), 404)


async def test_service_without_workers_lives_but_is_not_ready(studio):
    workers = 0
    state = AppState(studio.store, studio.settings, lambda: workers)
    transport = httpx.ASGITransport(create_app(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/v1/health/live")).json() == {"status": "ok"}
        assert_problem(await client.get("/v1/health/ready"), 503)
        workers = 2
        ready = (await client.get("/v1/health/ready")).json()
        assert (ready["status"], ready["workers"]) == ("ok", 2)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "[", "10.0.0.1"]
)
async def test_name_of_another_site_is_refused(client, host):
    assert_problem(await client.get("/v1/stories", headers={"Host": host}), 400, "Host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321", "[::1]"]
)
async def test_names_of_this_machine_are_served(client, host):
    assert (await client.get("/v1/health/live", headers={"Host": host})).status_code == 200


async def test_form_on_a_page_of_another_site_is_refused(client, studio):
    story = await studio.add("rain", review=True)
    path = f"/v1/stories/{story.id}"

    response = await client.post(f"{path}/approve", headers={"Sec-Fetch-Site": "cross-site"})

    assert_problem(response, 403, "Sec-Fetch-Site")
    read = await client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert read.status_code == 200


async def test_store_that_cannot_be_read_is_not_ready(client, studio):
    await _drop_table(studio, "store")

    assert_problem(await client.get("/v1/health/ready"), 503)
    assert (await client.get("/v1/health/live")).status_code == 200


async def test_fault_of_the_studio_is_a_problem_too(state, studio):
    await _drop_table(studio, "run")
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        problem = assert_problem(await client.get("/v1/stories"), 500)

    assert "no such table" not in str(problem)


async def _drop_table(studio, name):
    async with studio.store.database.write() as session:
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        await session.execute(text(f"DROP TABLE {name}"))
