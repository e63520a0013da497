"""What tests of webhooks do with the store: add, tell, wait, and verify as a receiver does."""

import asyncio
import base64
import hashlib
import hmac
import time

from api.settings import Settings
from api.webhooks.sender import Sender
from storage import events, webhooks
from storage.models import Story

PUBLIC = "93.184.215.14"


async def add_story(studio, story_id="story00001"):
    async with studio.store.database.write() as session:
        story = Story(
            id=story_id, instruction="rain", seed=1, engine="tone", planner="lines", tail_s=1.0,
            review=False, priority=0, redo=[], next_revision=1, next_ordinal=1, next_event=1,
        )  # fmt: skip
        session.add(story)
    return story


async def add_webhook(studio, url, kinds=(), story_id=None, owner_key=None):
    async with studio.store.database.write() as session:
        return await webhooks.add(
            session, url=url, story_id=story_id, kinds=kinds, owner_key=owner_key
        )


async def append_events(studio, *kinds, story_id="story00001"):
    for kind in kinds:
        async with studio.store.database.write() as session:
            await events.append(session, story_id, kind, scene=3)


async def list_deliveries(studio, webhook):
    async with studio.store.database.read() as session:
        rows = await webhooks.list_deliveries(session, webhook.id, 500)
    return [delivery for delivery, _ in reversed(rows)]


async def settle(studio, webhook):
    deadline = time.monotonic() + 10
    rows = await list_deliveries(studio, webhook)
    while any(row.state == "due" for row in rows):
        assert time.monotonic() < deadline, [(row.state, row.error) for row in rows]
        await asyncio.sleep(0.02)
        rows = await list_deliveries(studio, webhook)
    return rows


def make_sender(studio, waits_s=(0.02,) * 7, *, allow_private=True, **options):
    settings = Settings(webhook_allow_private=allow_private, webhook_waits_s=waits_s)
    return Sender(studio.store.database, settings, **options)


def verify_signature(secret, got):
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
