"""Exports over HTTP: requested, made by a worker, fetched, listed, forgotten."""

import pytest

from audiostory_core.audio.export_request import FORMATS
from nodes.jobs.export import make_export
from storage import work
from storage.models import WorkKind
from tests.api.exports.test_stems import ENGINES, PLAN
from tests.support.finished_stories import shelve
from tests.support.servers import assert_problem


@pytest.fixture
async def story(studio) -> str:
    return (await shelve(studio.store, "rain", "thunder")).id


@pytest.fixture
async def story_of_stems(studio) -> str:
    made = await studio.add("a", given_plan=PLAN, engines=ENGINES)
    await studio.run(made.id)
    return made.id


async def make(studio) -> None:
    """Make every export that is queued."""
    while True:
        async with studio.store.database.write() as session:
            claimed = await work.claim(session, "a", 60.0, WorkKind.EXPORT, FORMATS)
        if not claimed:
            return
        await make_export(claimed, studio.services)


async def test_export_is_queued_made_and_fetched(client, studio, story):
    path = f"/v1/stories/{story}/exports"
    posted = await client.post(path, json={"format": "flac"})
    view = posted.json()
    assert (posted.status_code, view["state"], view["href"]) == (202, "queued", None)
    assert posted.headers["location"] == f"{path}/{view['id']}"
    pending = assert_problem(await client.get(f"{path}/{view['id']}/file"), 404)
    assert pending["remedy"] == f"GET {path}/{view['id']} tells how far it is."

    await make(studio)

    made = (await client.get(f"{path}/{view['id']}")).json()
    assert (made["state"], made["href"]) == ("finished", f"{path}/{view['id']}/file")
    assert (await client.get(path)).json() == [made]
    again = await client.post(path, json={"format": "flac", "stem": None})
    assert (again.status_code, again.json()["id"]) == (200, view["id"])
    file = await client.get(made["href"])
    assert (file.status_code, len(file.content)) == (200, made["bytes"])
    assert file.headers["content-type"] == "audio/flac"
    assert f'{story}-revision-1.flac"' in file.headers["content-disposition"]
    assert file.content == (await client.get(f"/v1/stories/{story}/mix.flac")).content
    assert not studio.store.exports.exists()  # what a worker made was not made once more


async def test_file_has_ranges_and_a_validator(client, studio, story):
    path = f"/v1/stories/{story}/exports"
    view = (await client.post(path, json={"format": "wav"})).json()
    await make(studio)
    file = f"{path}/{view['id']}/file"
    whole = await client.get(file)
    assert whole.content == (await client.get(f"/v1/stories/{story}/mix.wav")).content

    part = await client.get(file, headers={"Range": "bytes=1000-300000"})
    known = await client.get(file, headers={"If-None-Match": whole.headers["etag"]})
    head = await client.head(file)

    assert (part.status_code, part.content) == (206, whole.content[1000:300_001])
    assert (known.status_code, known.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    beyond = await client.get(file, headers={"Range": f"bytes={len(whole.content)}-"})
    assert_problem(beyond, 416)


async def test_stems_are_the_bytes_of_the_stems_of_the_mix(client, studio, story_of_stems):
    path = f"/v1/stories/{story_of_stems}"
    wanted = [{"format": "wav", "stem": stem} for stem in ("dialogue", "effects")]
    views = [(await client.post(f"{path}/exports", json=body)).json() for body in wanted]
    views.append((await client.post(f"{path}/exports", json={"format": "wav"})).json())

    await make(studio)

    files = [(await client.get(f"{path}/exports/{view['id']}/file")).content for view in views]
    mixes = [(await client.get(f"{path}/mix.wav", params=body)).content for body in wanted]
    assert files == [*mixes, (await client.get(f"{path}/mix.wav")).content]
    assert [view["stem"] for view in views] == ["dialogue", "effects", None]
    assert {view["id"] for view in (await client.get(f"{path}/exports")).json()} == {
        view["id"] for view in views
    }


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "format"),
        ({"format": "mp3"}, 422, "format"),
        ({"format": "FLAC"}, 422, "format"),
        ({"format": None}, 422, "format"),
        ({"format": "wav", "stem": "drums"}, 422, "stem"),
        ({"format": "wav", "stem": ""}, 422, "stem"),
        ({"format": "wav", "profile": "podcast"}, 422, "profile"),
        ({"format": "wav", "stem": "music"}, 404, None),
    ],
)
async def test_what_cannot_be_exported_is_refused(client, story, body, status, field):
    answer = assert_problem(await client.post(f"/v1/stories/{story}/exports", json=body), status)

    assert field in (None, answer["field"])
    assert (await client.get(f"/v1/stories/{story}/exports")).json() == []


async def test_stem_is_not_to_be_had_as_flac(client, story_of_stems):
    answer = await client.post(
        f"/v1/stories/{story_of_stems}/exports", json={"format": "flac", "stem": "dialogue"}
    )

    assert "32-bit floats" in assert_problem(answer, 422)["remedy"]


async def test_mix_that_is_not_made_cannot_be_exported(client, studio):
    story = await studio.add("rain", review=True)

    answer = await client.post(f"/v1/stories/{story.id}/exports", json={"format": "wav"})

    assert_problem(answer, 404, "mix of story")


@pytest.mark.parametrize("name", ["0" * 64, "x", "%2e%2e", "٣"])
@pytest.mark.parametrize("rest", ["", "/file"])
async def test_export_that_is_not_there_is_not_found(client, story, name, rest):
    answer = await client.get(f"/v1/stories/{story}/exports/{name}{rest}")

    assert_problem(answer, 404)
    if rest == "":
        assert_problem(await client.delete(f"/v1/stories/{story}/exports/{name}"), 404)


async def test_remedy_of_an_export_that_is_not_there_names_the_list(client, story):
    answer = await client.get(f"/v1/stories/{story}/exports/{'0' * 64}")

    assert assert_problem(answer, 404)["remedy"].startswith(f"GET /v1/stories/{story}/exports")


@pytest.mark.parametrize("is_made", [False, True], ids=["queued", "made"])
async def test_deleted_export_is_forgotten(client, studio, story, is_made):
    path = f"/v1/stories/{story}/exports"
    view = (await client.post(path, json={"format": "flac"})).json()
    if is_made:
        await make(studio)

    assert (await client.delete(f"{path}/{view['id']}")).status_code == 204

    assert (await client.get(path)).json() == []
    async with studio.store.database.write() as session:
        assert await work.claim(session, "a", 60.0, WorkKind.EXPORT, FORMATS) == []
        assert await work.list_by_key(session, WorkKind.EXPORT, [view["id"]]) == {}
    assert (await client.post(path, json={"format": "flac"})).status_code == 202


async def test_export_of_damaged_audio_says_why_and_is_tried_again(client, studio, story):
    path = f"/v1/stories/{story}/exports"
    view = (await client.post(path, json={"format": "flac"})).json()
    lost = {file: file.read_bytes() for file in studio.store.audio.folder.glob("??/*.flac")}
    for file in lost:
        file.unlink()
    await make(studio)

    failed = (await client.get(f"{path}/{view['id']}")).json()
    assert (failed["state"], failed["href"]) == ("failed", None)
    assert "missing or damaged" in failed["error"]
    assert str(studio.settings.home) not in failed["error"]
    assert_problem(await client.post(path, json={"format": "flac"}), 503)
    for file, content in lost.items():
        file.write_bytes(content)
    assert (await client.post(path, json={"format": "flac"})).json()["state"] == "queued"
    await make(studio)
    assert (await client.get(f"{path}/{view['id']}")).json()["error"] is None


async def test_export_of_another_authors_story_is_not_seen(client, studio, ada, bob, admin):
    (_, hers), (_, his) = ada, bob
    body = {"instruction": "rain", "engine": "foley", "planner": "clauses"}
    made = (await client.post("/v1/stories", json=body, headers=hers)).json()

    answers = [
        await client.get(f"/v1/stories/{made['id']}/exports", headers=headers)
        for headers in (hers, his, admin)
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 200]
