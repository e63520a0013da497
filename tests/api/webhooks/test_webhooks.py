import asyncio
import base64
import hashlib
import hmac
import re
import shutil
import ssl
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import datetime

import httpx
import pytest
import trustme
from sqlalchemy import select, update

from api.app import create_app
from api.http.deps import AppState
from api.settings import Settings
from api.webhooks.addresses import find_addresses, is_public
from api.webhooks.sender import Sender
from storage import events, keys, webhooks
from storage.models import Delivery, Story, Webhook
from tests.conftest import ON_BOTH_DATABASES, Studio
from tests.support.servers import assert_problem, serving
from tests.support.webhook_receiver import receiving

PUBLIC = "93.184.215.14"


@pytest.fixture
async def studio(tmp_path, migrated, database_url):
    home = tmp_path / "home"
    home.mkdir()
    if database_url is None:
        shutil.copy(migrated, home / "studio.db")
    studio = await Studio.make(home, database_url)
    yield studio
    await studio.store.database.close()


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def story(studio):
    return await _add_story(studio)


async def _add_story(studio, story_id="story00001"):
    async with studio.store.database.write() as session:
        story = Story(
            id=story_id, instruction="rain", seed=1, engine="tone", planner="lines", tail_s=1.0,
            review=False, priority=0, redo=[], next_revision=1, next_ordinal=1, next_event=1,
        )  # fmt: skip
        session.add(story)
    return story


async def _add(studio, url, kinds=(), story_id=None, owner_key=None):
    async with studio.store.database.write() as session:
        return await webhooks.add(
            session, url=url, story_id=story_id, kinds=kinds, owner_key=owner_key
        )


async def _tell(studio, *kinds, story_id="story00001"):
    for kind in kinds:
        async with studio.store.database.write() as session:
            await events.append(session, story_id, kind, scene=3)


async def _deliveries(studio, webhook):
    async with studio.store.database.read() as session:
        rows = await webhooks.list_deliveries(session, webhook.id, 500)
    return [delivery for delivery, _ in reversed(rows)]


async def _settled(studio, webhook):
    deadline = time.monotonic() + 10
    rows = await _deliveries(studio, webhook)
    while any(row.state == "due" for row in rows):
        assert time.monotonic() < deadline, [(row.state, row.error) for row in rows]
        await asyncio.sleep(0.02)
        rows = await _deliveries(studio, webhook)
    return rows


def _sender(studio, waits_s=(0.02,) * 7, *, allow_private=True, **options):
    settings = Settings(webhook_allow_private=allow_private, webhook_waits_s=waits_s)
    return Sender(studio.store.database, settings, **options)


def _verify(secret, got):
    """Verify a signature as a receiver does, from the specification alone."""
    identity, timestamp = got.headers["webhook-id"], got.headers["webhook-timestamp"]
    assert "." not in identity
    assert abs(time.time() - int(timestamp)) < 60
    signed = b".".join([identity.encode(), timestamp.encode(), got.body])
    key = base64.b64decode(secret.split("_", 1)[1])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    version, _, given = got.headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert hmac.compare_digest(given, expected)


@ON_BOTH_DATABASES
async def test_events_are_posted_signed_and_in_order(studio, story, receiver):
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "run.queued", "clip.finished", "run.finished")
        await receiver.wait_for(3)
        rows = await _settled(studio, webhook)

    assert receiver.numbers == [1, 2, 3]
    for got, kind in zip(
        receiver.got, ("run.queued", "clip.finished", "run.finished"), strict=True
    ):
        _verify(webhook.secret, got)
        assert got.headers["content-type"] == "application/json"
        assert got.told["type"] == kind
        assert got.told["data"] == {"story_id": story.id, "number": got.number, "scene": 3}
        at = datetime.fromisoformat(got.told["timestamp"])
        assert abs(at.timestamp() - time.time()) < 60
    assert [(row.state, row.status, row.attempt) for row in rows] == [("delivered", 204, 1)] * 3


@ON_BOTH_DATABASES
async def test_only_what_was_asked_for_is_heard(studio, story):
    other = await _add_story(studio, "story00002")
    all_kinds = await _add(studio, "https://a.example/")
    one_kind = await _add(studio, "https://b.example/", ["clip.finished"])
    one_story = await _add(studio, "https://c.example/", story_id=other.id)
    disabled = await _add(studio, "https://d.example/")
    async with studio.store.database.write() as session:
        await webhooks.disable(session, disabled.id, "test")
    await _tell(studio, "clip.finished", "clip.lost")
    await _tell(studio, "clip_finished", story_id=other.id)

    async def heard(webhook):
        return [(row.story_id, row.event_number) for row in await _deliveries(studio, webhook)]

    assert await heard(all_kinds) == [(story.id, 1), (story.id, 2), (other.id, 1)]
    assert await heard(one_kind) == [(story.id, 1)]
    assert await heard(one_story) == [(other.id, 1)]
    assert await heard(disabled) == []


async def test_event_that_is_rolled_back_is_not_on_its_way(studio, story):
    webhook = await _add(studio, "https://a.example/")
    with suppress(RuntimeError):
        async with studio.store.database.write() as session:
            await events.append(session, story.id, "lost")
            raise RuntimeError

    assert await _deliveries(studio, webhook) == []


async def test_what_fails_is_tried_again_under_the_same_identity(studio, story, receiver):
    receiver.answer = lambda got: "500 Oops" if len(receiver.got) < 4 else "200 OK"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "run.finished")
        await receiver.wait_for(4)
        (row,) = await _settled(studio, webhook)

    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    for got in receiver.got:
        _verify(webhook.secret, got)
    assert (row.state, row.status, row.attempt, row.error) == ("delivered", 200, 4, None)


async def test_waits_grow_as_the_settings_have_them(studio, story, receiver):
    receiver.answer = lambda got: "503 Busy"
    webhook = await _add(studio, receiver.url)
    times = []
    async with _sender(studio, (0.1, 0.6)).running():
        await _tell(studio, "run.finished")
        for count in (1, 2, 3):
            await receiver.wait_for(count)
            times.append(time.monotonic())
        (row,) = await _settled(studio, webhook)

    assert times[1] - times[0] >= 0.09
    assert times[2] - times[1] >= 0.59
    assert (row.state, row.attempt, row.error) == ("given up", 3, "answered 503")


async def test_answer_may_ask_for_a_longer_wait(studio, story, receiver):
    receiver.answer = lambda got: "429 Slow down\r\nRetry-After: 3600"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "run.finished")
        await receiver.wait_for(1)
        await asyncio.sleep(0.3)
        (row,) = await _deliveries(studio, webhook)

    assert len(receiver.got) == 1
    assert row.state == "due"
    assert 3500 < row.next_at - time.time() < 3700


async def test_later_events_wait_for_an_earlier_one_until_it_has_failed_often(
    studio, story, receiver
):
    receiver.answer = lambda got: "500 Oops" if got.number == 1 else "200 OK"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "a.b", "c.d", "e.f")
        rows = await _settled(studio, webhook)

    assert receiver.numbers[: webhooks.HELD_ATTEMPTS] == [1] * webhooks.HELD_ATTEMPTS
    assert [number for number in receiver.numbers if number != 1] == [2, 3]
    assert [row.state for row in rows] == ["given up", "delivered", "delivered"]
    assert rows[0].attempt == 8


async def test_webhook_is_disabled_after_it_was_given_up_too_often(studio, story, receiver):
    receiver.answer = lambda got: "500 Oops"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio, ()).running():
        await _tell(studio, *["a.b"] * (webhooks.MAX_GIVEN_UP + 3))
        rows = await _settled(studio, webhook)
    await _tell(studio, "a.b")

    async with studio.store.database.read() as session:
        assert (await webhooks.get(session, webhook.id)).disabled_at is not None
    assert len(receiver.got) == webhooks.MAX_GIVEN_UP
    assert len(await _deliveries(studio, webhook)) == len(rows) == webhooks.MAX_GIVEN_UP + 3
    assert "disabled" in rows[-1].error


async def test_webhook_that_is_gone_is_disabled_at_once(studio, story, receiver):
    receiver.answer = lambda got: "410 Gone"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "a.b", "a.b")
        rows = await _settled(studio, webhook)

    assert len(receiver.got) == 1
    assert {row.state for row in rows} == {"given up"}


async def test_sender_that_is_stopped_in_mid_delivery_loses_nothing(studio, story, receiver):
    receiver.answer = lambda got: ""  # hangs up, as if it had died before it answered
    webhook = await _add(studio, receiver.url)
    await _tell(studio, "a.b", "a.b")
    async with studio.store.database.write() as session:
        (claimed,) = await webhooks.claim(session, 8, 30.0)
    await _sender(studio)._attempt(claimed)  # sent, and then the sender died
    async with studio.store.database.write() as session:
        assert await webhooks.claim(session, 8, 30.0) == []  # its lease still holds
        await session.execute(update(Delivery).values(next_at=0.0))
    receiver.answer = lambda got: "200 OK"
    async with _sender(studio).running():
        rows = await _settled(studio, webhook)

    assert receiver.numbers == [1, 1, 2]
    assert len({got.headers["webhook-id"] for got in receiver.got[:2]}) == 1
    assert {row.state for row in rows} == {"delivered"}


@ON_BOTH_DATABASES
async def test_two_senders_send_everything_once(studio, story, receiver):
    other = await _add_story(studio, "story00002")
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running(), _sender(studio).running():
        for _ in range(15):
            await _tell(studio, "a.b")
            await _tell(studio, "a.b", story_id=other.id)
        await _settled(studio, webhook)

    for story_id in (story.id, other.id):
        of_story = [got.number for got in receiver.got if got.told["data"]["story_id"] == story_id]
        assert of_story == list(range(1, 16))


async def test_redirects_are_followed_with_the_same_body(studio, story, receiver):
    receiver.answer = lambda got: (
        "308 Moved\r\nLocation: /elsewhere" if got.path == "/hook" else "200 OK"
    )
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "a.b")
        (row,) = await _settled(studio, webhook)

    assert [got.path for got in receiver.got] == ["/hook", "/elsewhere"]
    assert receiver.got[0].body == receiver.got[1].body
    assert row.state == "delivered"


async def test_redirects_end(studio, story, receiver):
    receiver.answer = lambda got: "302 Found\r\nLocation: /again"
    webhook = await _add(studio, receiver.url)
    async with _sender(studio, ()).running():
        await _tell(studio, "a.b")
        (row,) = await _settled(studio, webhook)

    assert len(receiver.got) == 4
    assert (row.state, row.error) == ("given up", "more than 3 redirects")


ODD_ANSWERS = {
    "location that is no URL": b"HTTP/1.1 307 Moved\r\nLocation: http://[1/\r\n\r\n",
    "location with a port that is none": b"HTTP/1.1 307 Moved\r\nLocation: http://a:b/\r\n\r\n",
    "location with a control": b"HTTP/1.1 307 Moved\r\nLocation: /\x1b[2J\r\n\r\n",
    "location in another encoding": b"HTTP/1.1 307 Moved\r\nLocation: http://\xff.\xfe/\r\n\r\n",
    "location that names no host": b"HTTP/1.1 307 Moved\r\nLocation: http:///\r\n\r\n",
    "location of 100 kB": b"HTTP/1.1 307 Moved\r\nLocation: /" + b"a" * 100_000 + b"\r\n\r\n",
    "name with a label too long": b"HTTP/1.1 307 M\r\nLocation: http://" + b"a" * 70 + b"/\r\n\r\n",
    "status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "status out of range": b"HTTP/1.1 999999 OK\r\n\r\n",
    "status of none": b"HTTP/1.1 000 OK\r\n\r\n",
    "header without a colon": b"HTTP/1.1 500 No\r\nnonsense\r\n\r\n",
    "two lengths": b"HTTP/1.1 500 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length below zero": b"HTTP/1.1 500 No\r\nContent-Length: -1\r\n\r\nx",
    "chunk that is none": b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
    "coding that is none": b"HTTP/1.1 500 No\r\nTransfer-Encoding: rot13\r\n\r\nx",
    "wait of 5,000 digits": b"HTTP/1.1 500 No\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
    "TLS instead of HTTP": b"\x15\x03\x01\x00\x02\x02\x28",
    "NUL": b"\0" * 100,
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
async def test_odd_answer_of_one_receiver_is_noted_and_others_go_on_hearing(
    studio, story, receiver, answer
):
    sender = _sender(studio, ())
    async with receiving() as other:
        receiver.raw = answer
        odd, sane = await _add(studio, receiver.url), await _add(studio, other.url)
        async with sender.running():
            await _tell(studio, "a.b")
            (noted,) = await _settled(studio, odd)
            await _tell(studio, "c.d")
            await other.wait_for(2)
            rows = await _settled(studio, sane)
            assert sender.is_running

    assert noted.state == "given up"
    assert noted.error.isprintable()
    assert 0 < len(noted.error) <= 500
    assert [row.state for row in rows] == ["delivered", "delivered"]


async def test_whatever_an_attempt_raises_is_noted_against_its_delivery(studio, story, receiver):
    def resolver(host, port):
        raise ZeroDivisionError("odd\x1b[2J\0\ud800")

    sender = _sender(studio, (), resolver=resolver)
    webhook = await _add(studio, receiver.url)
    async with sender.running():
        await _tell(studio, "a.b")
        (row,) = await _settled(studio, webhook)

        assert sender.is_running
    assert (row.state, row.error) == ("given up", "ZeroDivisionError: odd\ufffd[2J\ufffd\ufffd")


class _BreaksTwice(Sender):
    """Sends for ever from the third time on."""

    times = 0

    async def send_forever(self):
        self.times += 1
        if self.times < 3:
            raise ZeroDivisionError("nobody foresaw this")
        await super().send_forever()


async def test_sender_that_breaks_off_begins_again_and_readiness_tells(
    studio, story, receiver, caplog
):
    settings = Settings(webhook_allow_private=True, webhook_waits_s=())
    sender = _BreaksTwice(studio.store.database, settings, restart_s=0.2)
    state = AppState(studio.store, studio.settings, lambda: 1, lambda: sender.is_running)
    transport = httpx.ASGITransport(create_app(state))
    webhook = await _add(studio, receiver.url)

    async def look():
        ready = (await client.get("/v1/health/ready")).json()["checks"]
        measures = (await client.get("/v1/metrics")).text
        is_ready = next(check["is_ok"] for check in ready if check["name"] == "webhooks")
        return is_ready, re.search(
            r"^audiostory_webhook_sender_running (\S+)", measures, re.MULTILINE
        )[1]

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        async with sender.running():
            await asyncio.sleep(0.1)
            broken = await look()
            await _tell(studio, "a.b")
            (row,) = await _settled(studio, webhook)
            mended = await look()
        stopped = await look()

    assert (broken, mended, stopped) == ((False, "0.0"), (True, "1.0"), (False, "0.0"))
    assert row.state == "delivered"
    waits = [record.args[0] for record in caplog.records if "beginning again" in record.message]
    assert waits == [0.2, 0.4]


async def test_endless_answer_is_read_no_further_than_needed(studio, story, receiver):
    receiver.answer = lambda got: "200 OK\r\nContent-Length: 99999999\r\n\r\n" + "x" * 100_000
    webhook = await _add(studio, receiver.url)
    async with _sender(studio).running():
        await _tell(studio, "a.b")
        (row,) = await _settled(studio, webhook)

    assert row.state == "delivered"


@pytest.fixture
async def tls_receiver():
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with receiving(server_side) as receiver:
        yield receiver, client_side


async def _send_once(studio, url, **options):
    webhook = await _add(studio, url)
    async with _sender(studio, (), **options).running():
        await _tell(studio, "a.b")
        (row,) = await _settled(studio, webhook)
    return row


async def test_tls_verifies_the_name_while_the_checked_address_is_connected_to(
    studio, story, tls_receiver
):
    receiver, tls = tls_receiver
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, resolver=lambda host, port: ["127.0.0.1"])

    assert row.state == "delivered"
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_server_of_another_name_is_not_believed(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    url = f"https://others.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, resolver=lambda host, port: ["127.0.0.1"])

    assert row.state == "given up"
    assert "certificate verify failed" in row.error.lower()
    assert receiver.got == []


async def test_private_target_is_refused_when_it_is_delivered(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(
        studio, url, tls=tls, allow_private=False, resolver=lambda host, port: ["127.0.0.1"]
    )

    assert row.state == "given up"
    assert "127.0.0.1" in row.error
    assert receiver.connections == 0


async def test_name_that_answers_public_first_and_private_then_is_refused(
    studio, story, tls_receiver
):
    """The check is that of the connection: there is no second resolution to slip through."""
    receiver, tls = tls_receiver
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    asked = []

    def rebind(host, port):
        asked.append(host)
        return next(answers)

    assert await find_addresses("hooks.example", 443, is_public, rebind)
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, allow_private=False, resolver=rebind)

    assert asked == ["hooks.example"] * 2
    assert "127.0.0.1" in row.error
    assert receiver.connections == 0


async def test_redirect_to_a_private_address_is_refused(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    inner = f"https://inner.example:{receiver.port}/admin"
    receiver.answer = lambda got: f"307 Moved\r\nLocation: {inner}"
    addresses = {"hooks.example": "127.0.0.1", "inner.example": "10.0.0.1"}
    row = await _send_once(
        studio,
        f"https://hooks.example:{receiver.port}/hook",
        tls=tls,
        is_allowed=lambda address: address == "127.0.0.1",  # the Internet of this test
        resolver=lambda host, port: [addresses[host]],
    )

    assert [got.path for got in receiver.got] == ["/hook"]
    assert row.state == "given up"
    assert "10.0.0.1" in row.error


async def test_redirect_to_plain_http_or_another_scheme_is_refused(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    for location in ("file:///etc/passwd", "gopher://127.0.0.1/", "https://u:p@hooks.example/"):
        receiver.answer = lambda got, to=location: f"307 Moved\r\nLocation: {to}"
        url = f"https://hooks.example:{receiver.port}/hook"
        webhook = await _add(studio, url)
        sender = _sender(studio, (), tls=tls, resolver=lambda host, port: ["127.0.0.1"])
        async with sender.running():
            await _tell(studio, "a.b")
            rows = await _settled(studio, webhook)

        assert rows[-1].state == "given up"
        assert rows[-1].error.startswith("url ")


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

    await _tell(studio, "clip.finished", "run.finished")
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
    webhook = await _add(studio, "https://a.example/", owner_key=owner)
    own = await _add_story(studio, "story00002")
    async with studio.store.database.write() as session:
        await session.execute(update(Story).where(Story.id == own.id).values(owner_key=owner))
    await _tell(studio, "a.b")
    await _tell(studio, "a.b", story_id=own.id)
    async with studio.store.database.write() as session:
        await keys.revoke(session, owner)
    await _tell(studio, "a.b", story_id=own.id)

    heard = [(row.story_id, row.event_number) for row in await _deliveries(studio, webhook)]
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
    _verify(re.search(r"whsec_\S+", added)[0], got)
