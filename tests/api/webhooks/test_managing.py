import asyncio
import re
import sys
from asyncio.subprocess import PIPE

import pytest
from sqlalchemy import select, update

from storage import keys, webhooks
from storage.models import Delivery, Story, Webhook
from tests.support.servers import assert_problem, serving
from tests.support.webhook_deliveries import (
    PUBLIC,
    add_story,
    add_webhook,
    append_events,
    list_deliveries,
    verify_signature,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://localhost/",
        "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest/meta-data", "https://[::1]/",
    ],
)  # fmt: skip
async def test_webhook_with_a_private_target_is_refused_when_asked_for(client, url):
    problem = assert_problem(await client.post("/v1/webhooks", json={"url": url}), 422, "url")

    assert "AUDIOSTORY_WEBHOOK_ALLOW_PRIVATE" in problem["remedy"]
    assert (await client.get("/v1/webhooks")).json() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": f"https://{PUBLIC}/", "kinds": ["DROP TABLE"]}, "kinds.0"),
        ({"url": f"https://{PUBLIC}/", "kinds": "clip.finished"}, "kinds"),
        ({"url": f"https://{PUBLIC}/", "color": "red"}, "color"),
        ({"url": "https://no-such-host.invalid/"}, "url"),
    ],
)
async def test_bad_request_for_a_webhook_is_a_problem(client, body, field):
    assert_problem(await client.post("/v1/webhooks", json=body), 422, field)


async def test_webhook_of_an_unknown_story_is_refused(client):
    response = await client.post(
        "/v1/webhooks", json={"url": f"https://{PUBLIC}/", "story_id": "nosuch"}
    )

    assert_problem(response, 404, "story")


async def test_webhook_is_made_listed_and_removed(client, studio, story):
    response = await client.post(
        "/v1/webhooks",
        json={"url": f"https://{PUBLIC}/hook", "story_id": story.id, "kinds": ["run.finished"]},
    )
    made = response.json()
    assert response.status_code == 201
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    path = response.headers["location"]

    listed = (await client.get("/v1/webhooks")).json()
    assert [webhook["id"] for webhook in listed] == [made["id"]]
    assert "secret" not in listed[0]
    assert (await client.get(path)).json() == listed[0]

    await append_events(studio, "clip.finished", "run.finished")
    (sent,) = (await client.get(f"{path}/deliveries")).json()
    assert (sent["kind"], sent["state"], sent["story_id"]) == ("run.finished", "due", story.id)
    assert (await client.post(f"{path}/test")).status_code == 202
    assert (await client.get(f"{path}/deliveries")).json()[0]["kind"] == "webhook.test"

    assert (await client.delete(path)).status_code == 204
    assert (await client.get("/v1/webhooks")).json() == []
    async with studio.store.database.read() as session:
        assert list(await session.scalars(select(Delivery))) == []
    for gone in (client.get(path), client.delete(path), client.get(f"{path}/deliveries")):
        assert_problem(await gone, 404, "webhook")


async def _make_key(studio, *scopes):
    async with studio.store.database.write() as session:
        row, key = await keys.add(session, name="somebody", scopes=scopes)
    return row.id, {"Authorization": f"Bearer {key}"}


async def test_webhook_exists_for_its_own_key_alone(client, studio):
    mine, as_me = await _make_key(studio, "read", "write")
    _, as_other = await _make_key(studio, "read", "write")
    await _make_key(studio, "admin")
    body = {"url": f"https://{PUBLIC}/hook"}
    made = (await client.post("/v1/webhooks", json=body, headers=as_me)).json()
    path = f"/v1/webhooks/{made['id']}"

    assert (await client.get("/v1/webhooks", headers=as_other)).json() == []
    assert len((await client.get("/v1/webhooks", headers=as_me)).json()) == 1
    assert_problem(await client.get(path, headers=as_other), 404, "webhook")
    assert_problem(await client.delete(path, headers=as_other), 404, "webhook")
    assert_problem(await client.post(f"{path}/test", headers=as_other), 404, "webhook")
    assert_problem(await client.get("/v1/webhooks"), 401)
    async with studio.store.database.read() as session:
        assert (await webhooks.get(session, made["id"])).owner_key == mine


async def test_webhook_hears_of_its_owners_stories_until_the_key_is_revoked(studio, story):
    owner, _ = await _make_key(studio, "read", "write")
    webhook = await add_webhook(studio, "https://a.example/", owner_key=owner)
    own = await add_story(studio, "story00002")
    async with studio.store.database.write() as session:
        await session.execute(update(Story).where(Story.id == own.id).values(owner_key=owner))
    await append_events(studio, "a.b")
    await append_events(studio, "a.b", story_id=own.id)
    async with studio.store.database.write() as session:
        await keys.revoke(session, owner)
    await append_events(studio, "a.b", story_id=own.id)

    heard = [(row.story_id, row.event_number) for row in await list_deliveries(studio, webhook)]
    assert heard == [(own.id, 1)]


async def test_command_line_refuses_a_private_target_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOSTORY_HOME", str(tmp_path / "home"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", "webhooks", "add", "https://127.0.0.1/",
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()

    assert process.returncode == 2
    assert said == b""
    assert complained.decode().count("\n") == 1
    assert "AUDIOSTORY_WEBHOOK_ALLOW_PRIVATE" in complained.decode()


async def test_owner_may_not_have_webhooks_without_end(client, studio):
    async with studio.store.database.write() as session:
        for n in range(webhooks.MAX_WEBHOOKS):
            session.add(Webhook(id=f"w{n}", url="https://a.example/", secret="", kinds=[]))

    assert_problem(await client.post("/v1/webhooks", json={"url": f"https://{PUBLIC}/"}), 409)


async def _audiostory(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", *arguments, stdout=PIPE, stderr=PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


async def test_serve_sends_a_test_that_the_command_line_asks_for(tmp_path, receiver, monkeypatch):
    monkeypatch.setenv("AUDIOSTORY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AUDIOSTORY_WEBHOOK_ALLOW_PRIVATE", "1")
    with serving(tmp_path / "home"):
        added = await _audiostory("webhooks", "add", receiver.url)
        webhook_id = added.split()[0]
        told = await _audiostory("webhooks", "test", webhook_id)
        listed = await _audiostory("webhooks", "deliveries", webhook_id)

    assert told.strip() == "delivered: answered 204"
    assert "webhook.test" in listed
    (got,) = receiver.got
    assert got.told["data"]["webhook_id"] == webhook_id
    verify_signature(re.search(r"whsec_\S+", added)[0], got)
