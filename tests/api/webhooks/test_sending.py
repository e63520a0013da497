import asyncio
import re
import time
from contextlib import suppress
from datetime import datetime

import httpx
import pytest
from sqlalchemy import update

from api.app import create_app
from api.http.deps import AppState
from api.settings import Settings
from api.webhooks.sender import Sender
from storage import events, webhooks
from storage.models import Delivery
from tests.support.postgres import ON_BOTH_DATABASES
from tests.support.webhook_deliveries import (
    add_story,
    add_webhook,
    append_events,
    list_deliveries,
    make_sender,
    settle,
    verify_signature,
)
from tests.support.webhook_receiver import receiving


@ON_BOTH_DATABASES
async def test_events_are_posted_signed_and_in_order(studio, story, receiver):
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "run.queued", "clip.finished", "run.finished")
        await receiver.wait_for(3)
        rows = await settle(studio, webhook)

    assert receiver.numbers == [1, 2, 3]
    for got, kind in zip(
        receiver.got, ("run.queued", "clip.finished", "run.finished"), strict=True
    ):
        verify_signature(webhook.secret, got)
        assert got.headers["content-type"] == "application/json"
        assert got.told["type"] == kind
        assert got.told["data"] == {"story_id": story.id, "number": got.number, "scene": 3}
        at = datetime.fromisoformat(got.told["timestamp"])
        assert abs(at.timestamp() - time.time()) < 60
    assert [(row.state, row.status, row.attempt) for row in rows] == [("delivered", 204, 1)] * 3


@ON_BOTH_DATABASES
async def test_only_what_was_asked_for_is_heard(studio, story):
    other = await add_story(studio, "story00002")
    all_kinds = await add_webhook(studio, "https://a.example/")
    one_kind = await add_webhook(studio, "https://b.example/", ["clip.finished"])
    one_story = await add_webhook(studio, "https://c.example/", story_id=other.id)
    disabled = await add_webhook(studio, "https://d.example/")
    async with studio.store.database.write() as session:
        await webhooks.disable(session, disabled.id, "test")
    await append_events(studio, "clip.finished", "clip.lost")
    await append_events(studio, "clip_finished", story_id=other.id)

    async def heard(webhook):
        return [(row.story_id, row.event_number) for row in await list_deliveries(studio, webhook)]

    assert await heard(all_kinds) == [(story.id, 1), (story.id, 2), (other.id, 1)]
    assert await heard(one_kind) == [(story.id, 1)]
    assert await heard(one_story) == [(other.id, 1)]
    assert await heard(disabled) == []


async def test_event_that_is_rolled_back_is_not_on_its_way(studio, story):
    webhook = await add_webhook(studio, "https://a.example/")
    with suppress(RuntimeError):
        async with studio.store.database.write() as session:
            await events.append(session, story.id, "lost")
            raise RuntimeError

    assert await list_deliveries(studio, webhook) == []


async def test_what_fails_is_tried_again_under_the_same_identity(studio, story, receiver):
    receiver.answer = lambda got: "500 Oops" if len(receiver.got) < 4 else "200 OK"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "run.finished")
        await receiver.wait_for(4)
        (row,) = await settle(studio, webhook)

    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    for got in receiver.got:
        verify_signature(webhook.secret, got)
    assert (row.state, row.status, row.attempt, row.error) == ("delivered", 200, 4, None)


async def test_waits_grow_as_the_settings_have_them(studio, story, receiver):
    receiver.answer = lambda got: "503 Busy"
    webhook = await add_webhook(studio, receiver.url)
    times = []
    async with make_sender(studio, (0.1, 0.6)).running():
        await append_events(studio, "run.finished")
        for count in (1, 2, 3):
            await receiver.wait_for(count)
            times.append(time.monotonic())
        (row,) = await settle(studio, webhook)

    assert times[1] - times[0] >= 0.09
    assert times[2] - times[1] >= 0.59
    assert (row.state, row.attempt, row.error) == ("given up", 3, "answered 503")


async def test_answer_may_ask_for_a_longer_wait(studio, story, receiver):
    receiver.answer = lambda got: "429 Slow down\r\nRetry-After: 3600"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "run.finished")
        await receiver.wait_for(1)
        await asyncio.sleep(0.3)
        (row,) = await list_deliveries(studio, webhook)

    assert len(receiver.got) == 1
    assert row.state == "due"
    assert 3500 < row.next_at - time.time() < 3700


async def test_later_events_wait_for_an_earlier_one_until_it_has_failed_often(
    studio, story, receiver
):
    receiver.answer = lambda got: "500 Oops" if got.number == 1 else "200 OK"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "a.b", "c.d", "e.f")
        rows = await settle(studio, webhook)

    assert receiver.numbers[: webhooks.HELD_ATTEMPTS] == [1] * webhooks.HELD_ATTEMPTS
    assert [number for number in receiver.numbers if number != 1] == [2, 3]
    assert [row.state for row in rows] == ["given up", "delivered", "delivered"]
    assert rows[0].attempt == 8


async def test_webhook_is_disabled_after_it_was_given_up_too_often(studio, story, receiver):
    receiver.answer = lambda got: "500 Oops"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio, ()).running():
        await append_events(studio, *["a.b"] * (webhooks.MAX_GIVEN_UP + 3))
        rows = await settle(studio, webhook)
    await append_events(studio, "a.b")

    async with studio.store.database.read() as session:
        assert (await webhooks.get(session, webhook.id)).disabled_at is not None
    assert len(receiver.got) == webhooks.MAX_GIVEN_UP
    assert len(await list_deliveries(studio, webhook)) == len(rows) == webhooks.MAX_GIVEN_UP + 3
    assert "disabled" in rows[-1].error


async def test_webhook_that_is_gone_is_disabled_at_once(studio, story, receiver):
    receiver.answer = lambda got: "410 Gone"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "a.b", "a.b")
        rows = await settle(studio, webhook)

    assert len(receiver.got) == 1
    assert {row.state for row in rows} == {"given up"}


async def test_sender_that_is_stopped_in_mid_delivery_loses_nothing(studio, story, receiver):
    receiver.answer = lambda got: ""  # hangs up, as if it had died before it answered
    webhook = await add_webhook(studio, receiver.url)
    await append_events(studio, "a.b", "a.b")
    async with studio.store.database.write() as session:
        (claimed,) = await webhooks.claim(session, 8, 30.0)
    await make_sender(studio)._attempt(claimed)  # sent, and then the sender died
    async with studio.store.database.write() as session:
        assert await webhooks.claim(session, 8, 30.0) == []  # its lease still holds
        await session.execute(update(Delivery).values(next_at=0.0))
    receiver.answer = lambda got: "200 OK"
    async with make_sender(studio).running():
        rows = await settle(studio, webhook)

    assert receiver.numbers == [1, 1, 2]
    assert len({got.headers["webhook-id"] for got in receiver.got[:2]}) == 1
    assert {row.state for row in rows} == {"delivered"}


@ON_BOTH_DATABASES
async def test_two_senders_send_everything_once(studio, story, receiver):
    other = await add_story(studio, "story00002")
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running(), make_sender(studio).running():
        for _ in range(15):
            await append_events(studio, "a.b")
            await append_events(studio, "a.b", story_id=other.id)
        await settle(studio, webhook)

    for story_id in (story.id, other.id):
        of_story = [got.number for got in receiver.got if got.told["data"]["story_id"] == story_id]
        assert of_story == list(range(1, 16))


async def test_redirects_are_followed_with_the_same_body(studio, story, receiver):
    receiver.answer = lambda got: (
        "308 Moved\r\nLocation: /elsewhere" if got.path == "/hook" else "200 OK"
    )
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "a.b")
        (row,) = await settle(studio, webhook)

    assert [got.path for got in receiver.got] == ["/hook", "/elsewhere"]
    assert receiver.got[0].body == receiver.got[1].body
    assert row.state == "delivered"


async def test_redirects_end(studio, story, receiver):
    receiver.answer = lambda got: "302 Found\r\nLocation: /again"
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio, ()).running():
        await append_events(studio, "a.b")
        (row,) = await settle(studio, webhook)

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
    sender = make_sender(studio, ())
    async with receiving() as other:
        receiver.raw = answer
        odd, sane = await add_webhook(studio, receiver.url), await add_webhook(studio, other.url)
        async with sender.running():
            await append_events(studio, "a.b")
            (noted,) = await settle(studio, odd)
            await append_events(studio, "c.d")
            await other.wait_for(2)
            rows = await settle(studio, sane)
            assert sender.is_running

    assert noted.state == "given up"
    assert noted.error.isprintable()
    assert 0 < len(noted.error) <= 500
    assert [row.state for row in rows] == ["delivered", "delivered"]


async def test_whatever_an_attempt_raises_is_noted_against_its_delivery(studio, story, receiver):
    def resolver(host, port):
        raise ZeroDivisionError("odd\x1b[2J\0\ud800")

    sender = make_sender(studio, (), resolver=resolver)
    webhook = await add_webhook(studio, receiver.url)
    async with sender.running():
        await append_events(studio, "a.b")
        (row,) = await settle(studio, webhook)

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
    webhook = await add_webhook(studio, receiver.url)

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
            await append_events(studio, "a.b")
            (row,) = await settle(studio, webhook)
            mended = await look()
        stopped = await look()

    assert (broken, mended, stopped) == ((False, "0.0"), (True, "1.0"), (False, "0.0"))
    assert row.state == "delivered"
    waits = [record.args[0] for record in caplog.records if "beginning again" in record.message]
    assert waits == [0.2, 0.4]


async def test_endless_answer_is_read_no_further_than_needed(studio, story, receiver):
    receiver.answer = lambda got: "200 OK\r\nContent-Length: 99999999\r\n\r\n" + "x" * 100_000
    webhook = await add_webhook(studio, receiver.url)
    async with make_sender(studio).running():
        await append_events(studio, "a.b")
        (row,) = await settle(studio, webhook)

    assert row.state == "delivered"
