"""Stories and their runs; what is in a story is in revisions.py."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, desc, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, wants
from storage.errors import Conflict, NotFound
from storage.models import Json, Mix, Revision, Run, RunState, Story

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # nothing that is misread
ID_LENGTH = 10
# Built once, not for every request.
_LOADED = (
    select(Story, Run, Revision)
    .join(Run, Run.story_id == Story.id)
    .outerjoin(Revision, Revision.id == Story.revision_id)
    .where(Story.id == bindparam("story_id"))
    .order_by(desc(Run.number))
    .limit(1)
)
_LOADED_WITH_MIX = _LOADED.add_columns(Mix).outerjoin(Mix, Mix.revision_id == Revision.id)


async def add(session: AsyncSession, *, edits: Sequence[Json] = (), **values: Any) -> Story:
    """Store a story and its first queued run.

    Args:
        session: a writing session.
        edits: changes to be made once it is planned.
        values: the story's columns.
    """
    story = await _insert(session, values)
    run = Run(
        story_id=story.id,
        number=1,
        state=RunState.QUEUED,
        review=story.review,
        pending_changes=list(edits),
        approved=[],
        attempt=0,
        priority=story.priority,
        start_tag=await wants.serving(session, story.priority),
    )
    session.add(run)
    await events.append_all(
        session,
        story.id,
        [("story.created", {"seed": story.seed}), ("run.queued", {"run": run.number})],
    )
    return story


async def add_without_run(session: AsyncSession, **values: Any) -> Story:
    """Store a story without a run."""
    story = await _insert(session, values)
    await events.append(session, story.id, "story.created", seed=story.seed)
    return story


async def queue_run(
    session: AsyncSession,
    story: Story,
    *,
    review: bool,
    edits: Sequence[Json] = (),
    approved: Sequence[str] = (),
) -> Run:
    """Queue a new run of a story's current revision, or of none if nothing is planned yet.

    Args:
        session: a writing session.
        story: that has no active run.
        review: stop for the author after the plan and after the mix.
        edits: changes to be made first.
        approved: reviews that are passed already.

    Raises:
        Clash: if the story has an active run, once it is written; an index forbids two.
    """
    latest = await find_latest_run(session, story.id)
    number = latest.number + 1 if latest else 1
    run = Run(
        story_id=story.id,
        number=number,
        revision_id=story.revision_id,
        state=RunState.QUEUED,
        review=review,
        pending_changes=list(edits),
        approved=list(approved),
        attempt=0,
        priority=story.priority,
        start_tag=await wants.serving(session, story.priority),
    )
    session.add(run)
    await session.flush()
    await events.append(session, story.id, "run.queued", run=number)
    return run


async def find_latest_run(session: AsyncSession, story_id: str) -> Run | None:
    """Find the newest run of a story."""
    return await session.scalar(
        select(Run).where(Run.story_id == story_id).order_by(desc(Run.number)).limit(1)
    )


async def load(session: AsyncSession, story_id: str) -> tuple[Story, Run, Revision | None]:
    """Get a story with its newest run and its current revision.

    Raises:
        NotFound: if there is none of that id.
    """
    row = (await session.execute(_LOADED, {"story_id": story_id})).one_or_none()
    if row is None:
        raise NotFound("story", story_id)
    story, run, revision = row
    return story, run, revision


async def load_with_mix(
    session: AsyncSession, story_id: str, owner_key: str | None = None
) -> tuple[Story, Run, Revision | None, Mix | None]:
    """Get a story with its newest run, its current revision and that one's mix.

    Raises:
        NotFound: if there is none of that id, or it belongs to another key; None: to any.
    """
    row = (await session.execute(_LOADED_WITH_MIX, {"story_id": story_id})).one_or_none()
    if row is None:
        raise NotFound("story", story_id)
    story, run, revision, mix = row
    if owner_key not in (None, story.owner_key):
        raise NotFound("story", story_id)
    return story, run, revision, mix


async def find_by_idempotency(session: AsyncSession, key: str, digest: str) -> Story | None:
    """Find the story that an equal request with this key made before.

    Raises:
        Conflict: if the key was used for a different request.
    """
    story = await session.scalar(select(Story).where(Story.idempotency_key == key))
    if story is not None and story.request_digest != digest:
        raise Conflict(
            f"Idempotency-Key {key.partition(':')[2][:40]!r} was used for another request. "
            "Send a fresh key."
        )
    return story


async def get(session: AsyncSession, story_id: str) -> Story:
    """Get a story.

    Raises:
        NotFound: if there is none of that id.
    """
    story = await session.get(Story, story_id)
    if story is None:
        raise NotFound("story", story_id)
    return story


async def lock(session: AsyncSession, story_id: str) -> Story:
    """Get a story, and keep others from changing or deleting it until the commit.

    Raises:
        NotFound: if there is none of that id.
    """
    story = await session.get(Story, story_id, with_for_update=True)
    if story is None:
        raise NotFound("story", story_id)
    return story


async def list_newest(
    session: AsyncSession, limit: int, offset: int = 0, owner_key: str | None = None
) -> list[tuple[Story, Run, Revision | None]]:
    """List stories with their newest run and current revision, newest first.

    Args:
        session: to read in.
        limit: most stories.
        offset: newer ones that are left out.
        owner_key: whose stories alone are listed; None: everybody's.
    """
    newest = (
        select(func.max(Run.id)).where(Run.story_id == Story.id).correlate(Story).scalar_subquery()
    )
    wanted = (
        select(Story, Run, Revision)
        .join(Run, Run.id == newest)
        .outerjoin(Revision, Revision.id == Story.revision_id)
        .order_by(desc(Story.created_at), desc(Story.id))
        .limit(limit)
        .offset(offset)
    )
    if owner_key is not None:
        wanted = wanted.where(Story.owner_key == owner_key)
    rows = await session.execute(wanted)
    return [(story, run, revision) for story, run, revision in rows]


async def count(session: AsyncSession, owner_key: str | None = None) -> int:
    """Count the stories of a key; None: all."""
    counted = select(func.count()).select_from(Story)
    if owner_key is not None:
        counted = counted.where(Story.owner_key == owner_key)
    return await session.scalar(counted) or 0


async def _insert(session: AsyncSession, values: dict[str, Any]) -> Story:
    begun: dict[str, Any] = {
        "id": "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH)),
        "priority": 0,
        "redo": [],
        "next_revision": 1,
        "next_ordinal": 0,
        "next_event": 1,
    }
    story = Story(**(begun | values))
    session.add(story)
    await session.flush()
    return story
