import hashlib
import re

import pytest

from storage import keys
from storage.errors import NotFound
from storage.models import ApiKey
from tests.support.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES


async def _add(studio, **values):
    async with studio.store.database.write() as session:
        return await keys.add(session, **({"name": "someone", "scopes": ["read"]} | values))


async def _find(studio, key):
    async with studio.store.database.read() as session:
        return await keys.find(session, key)


async def test_key_is_found_by_its_text_and_only_its_digest_is_kept(studio):
    row, key = await _add(studio, name="Ada", scopes=["write", "read", "read"])

    found = await _find(studio, key)

    assert re.fullmatch(rf"as_{row.id}_[0-9a-f]{{64}}", key)
    assert (found.id, found.name, found.scopes) == (row.id, "Ada", ["read", "write"])
    stored = [getattr(found, column.name) for column in ApiKey.__table__.columns]
    assert not any(key.rsplit("_", 1)[1] in str(value) for value in stored)
    assert found.digest == hashlib.sha256(key.encode()).hexdigest()


async def test_what_is_not_the_whole_key_is_not_found(studio):
    row, key = await _add(studio)

    for wrong in ("", row.id, row.digest, key[:-1], key + "0", key.upper(), "\ud800", "x" * 10**6):
        assert await _find(studio, wrong) is None


async def test_revoked_key_counts_no_more_and_stays_revoked(studio):
    row, key = await _add(studio)
    await _add(studio)
    async with studio.store.database.write() as session:
        first = (await keys.revoke(session, row.id)).revoked_at
    async with studio.store.database.write() as session:
        again = (await keys.revoke(session, row.id)).revoked_at
        assert await keys.count_valid(session) == 1

    assert first is not None
    assert first == again == (await _find(studio, key)).revoked_at


@pytest.mark.parametrize("key_id", ["nosuch", "", "\0", "../x", "x" * 5000])
async def test_key_that_is_not_there_cannot_be_revoked(studio, key_id):
    async with studio.store.database.write() as session:
        with pytest.raises(NotFound):
            await keys.revoke(session, key_id)


async def test_story_exists_for_its_owner_and_for_those_who_see_all(studio):
    ada, _ = await _add(studio)
    bob, _ = await _add(studio)
    hers = await studio.add("rain", owner_key=ada.id)
    nobodys = await studio.add("snow")

    async with studio.store.database.read() as session:
        seen = {
            (story.instruction, owner_key)
            for story in (hers, nobodys)
            for owner_key in (ada.id, bob.id, None)
            if await keys.may_touch(session, story.id, owner_key)
        }
        assert not await keys.may_touch(session, "nosuch", None)

    assert seen == {("rain", ada.id), ("rain", None), ("snow", None)}


async def test_audit_is_listed_newest_first_in_pages(studio):
    async with studio.store.database.write() as session:
        for status in range(200, 205):
            await keys.audit(session, key_id=None, action="POST /", target=None, status=status)

    async with studio.store.database.read() as session:
        page = await keys.list_audit(session, 2)
        rest = await keys.list_audit(session, 100, before=page[-1].id)

    assert [row.status for row in page + rest] == [204, 203, 202, 201, 200]
    assert page[0].at > 1.7e9
