"""API keys, and the audit of what each changed."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import bindparam, desc, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import NotFound
from storage.models import ApiKey, Audit, Json, Story, now_s

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # nothing that is misread
ID_LENGTH = 8
SECRET_BYTES = 32
MAX_CHARACTERS = 200  # of what may be a key
# Built once, not for every request.
_STORY = select(Story.id).where(Story.id == bindparam("story_id"))
_OWN_STORY = _STORY.where(Story.owner_key == bindparam("owner_key"))


async def add(session: AsyncSession, *, name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
    """Make a key.

    Returns:
        Its row, and the key itself, `as_<id>_<secret>`: nothing but its digest is kept.
    """
    key_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
    key = f"as_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    row = ApiKey(id=key_id, name=name, digest=_digest(key), scopes=sorted(set(scopes)))
    session.add(row)
    await session.flush()
    return row, key


async def find(session: AsyncSession, key: str) -> ApiKey | None:
    """Find the row of a key, revoked ones too."""
    if len(key) > MAX_CHARACTERS:
        return None
    # What the index compares are digests. How long that takes may tell how much of a digest
    # is right, but nobody can choose a key by its digest: the time tells nothing of any secret.
    # A plain hash is enough, too: there is no guessing 256 random bits, however fast it is.
    return await session.scalar(select(ApiKey).where(ApiKey.digest == _digest(key)))


async def count_valid(session: AsyncSession) -> int:
    """Count the keys that are not revoked."""
    valid = select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))
    return await session.scalar(valid) or 0


async def list_all(session: AsyncSession) -> list[ApiKey]:
    """List all keys, revoked ones too, oldest first."""
    return list(await session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)))


async def revoke(session: AsyncSession, key_id: str) -> ApiKey:
    """Make a key useless for good; its stories stay. Nothing changes if it is so already.

    Raises:
        NotFound: if there is none of that id.
    """
    row = await session.get(ApiKey, key_id) if key_id.isalnum() else None
    if row is None:
        raise NotFound("key", key_id)
    if row.revoked_at is None:
        row.revoked_at = await session.scalar(select(now_s()))
        await session.flush()
    return row


async def may_touch(session: AsyncSession, story_id: str, owner_key: str | None) -> bool:
    """Tell whether the story exists and belongs to this key; None: to any key."""
    query, values = _STORY, {"story_id": story_id}
    if owner_key is not None:
        query, values = _OWN_STORY, values | {"owner_key": owner_key}
    return await session.scalar(query, values) is not None


async def audit(
    session: AsyncSession, *, key_id: str | None, action: str, target: str | None, status: int
) -> None:
    """Add a row to the audit; arguments are the columns of `Audit`."""
    await audit_all(
        session, [{"key_id": key_id, "action": action, "target": target, "status": status}]
    )


async def audit_all(session: AsyncSession, rows: Sequence[Json]) -> None:
    """Add rows to the audit, each as columns of `Audit`."""
    await session.execute(insert(Audit), rows)


async def list_audit(session: AsyncSession, limit: int, before: int | None = None) -> list[Audit]:
    """List the audit, newest first.

    Args:
        session: to read in.
        limit: most rows.
        before: only rows of a smaller id than this.
    """
    rows = select(Audit).order_by(desc(Audit.id)).limit(limit)
    return list(await session.scalars(rows if before is None else rows.where(Audit.id < before)))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
