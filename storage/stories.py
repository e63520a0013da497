"""Stories, their revisions and scene versions."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import desc, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.errors import Conflict, NotFound
from storage.lookup import list_by
from storage.models import Condition, Json, Mix, Revision, Run, RunState, SceneVersion, Story

ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # nothing that is misread
ID_LENGTH = 10


async def add(session: AsyncSession, **values: Any) -> Story:
    """Store a story and its first queued run; what `values` may be is the story's columns."""
    story_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
    story = Story(id=story_id, next_event=1, **values)
    session.add(story)
    await session.flush()
    await events.append(session, story.id, "story.created", seed=story.seed)
    await queue_run(session, story.id)
    return story


async def queue_run(session: AsyncSession, story_id: str) -> Run:
    """Queue a new run of a story.

    Raises:
        IntegrityError: if the story has an active run; a partial unique index forbids two.
    """
    latest = await find_latest_run(session, story_id)
    number = latest.number + 1 if latest else 1
    run = Run(story_id=story_id, number=number, state=RunState.QUEUED, approved=[], attempt=0)
    session.add(run)
    await session.flush()
    await events.append(session, story_id, "run.queued", run=number)
    return run


async def find_latest_run(session: AsyncSession, story_id: str) -> Run | None:
    """Find the newest run of a story."""
    return await session.scalar(
        select(Run).where(Run.story_id == story_id).order_by(desc(Run.number)).limit(1)
    )


async def find_by_idempotency(session: AsyncSession, key: str, digest: str) -> Story | None:
    """Find the story that an equal request with this key made before.

    Raises:
        Conflict: if the key was used for a different request.
    """
    story = await session.scalar(select(Story).where(Story.idempotency_key == key))
    if story is not None and story.request_digest != digest:
        raise Conflict(
            f"Idempotency-Key {key[:40]!r} was used for another request. Send a fresh key."
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


async def list_newest(
    session: AsyncSession, limit: int, offset: int = 0
) -> list[tuple[Story, Run, Revision | None]]:
    """List stories with their newest run and current revision, newest first."""
    newest = (
        select(func.max(Run.id)).where(Run.story_id == Story.id).correlate(Story).scalar_subquery()
    )
    rows = await session.execute(
        select(Story, Run, Revision)
        .join(Run, Run.id == newest)
        .outerjoin(Revision, Revision.id == Story.revision_id)
        .order_by(desc(Story.created_at), desc(Story.id))
        .limit(limit)
        .offset(offset)
    )
    return [(story, run, revision) for story, run, revision in rows]


async def count(session: AsyncSession) -> int:
    """Count all stories."""
    return await session.scalar(select(func.count()).select_from(Story)) or 0


async def add_revision(
    session: AsyncSession,
    run: Run,
    *,
    language: str,
    samples: int,
    plan: Json,
    scenes: Sequence[Json],
) -> Revision:
    """Store a planned revision with its scene versions and make it the story's current one.

    A run has one revision: if another worker stored it meanwhile, that one is returned.
    """
    if run.revision_id is not None:
        return await get_revision(session, run.revision_id)
    versions = [
        SceneVersion(story_id=run.story_id, rerolls=0, flags=[], **scene) for scene in scenes
    ]
    session.add_all(versions)
    await session.flush()
    story = await get(session, run.story_id)
    revision = Revision(
        story_id=run.story_id,
        parent_id=story.revision_id,
        language=language,
        samples=samples,
        plan=plan,
        scenes=[version.id for version in versions],
    )
    session.add(revision)
    await session.flush()
    story.revision_id = run.revision_id = revision.id
    await events.append(
        session, run.story_id, "plan.ready", revision=revision.id, sub_events=len(versions)
    )
    return revision


async def get_revision(session: AsyncSession, revision_id: int) -> Revision:
    """Get a revision that is known to exist."""
    return await session.get_one(Revision, revision_id)


async def list_scenes(session: AsyncSession, revision: Revision) -> list[SceneVersion]:
    """List the scene versions of a revision in the order they are heard."""
    found = await list_by(session, SceneVersion, SceneVersion.id, revision.scenes)
    by_id = {version.id: version for version in found}
    return [by_id[scene_id] for scene_id in revision.scenes]


async def get_scene(session: AsyncSession, scene_id: int) -> SceneVersion:
    """Get a scene version that is known to exist."""
    return await session.get_one(SceneVersion, scene_id)


async def get_condition(session: AsyncSession, condition_id: str) -> Condition:
    """Get a stored condition that is known to exist."""
    return await session.get_one(Condition, condition_id)


async def add_condition(session: AsyncSession, condition_id: str, data: bytes) -> None:
    """Store a condition under its content address, unless it is there."""
    if await session.get(Condition, condition_id) is None:
        session.add(Condition(id=condition_id, data=data))


async def find_mix(session: AsyncSession, revision_id: int) -> Mix | None:
    """Find the mix of a revision."""
    return await session.get(Mix, revision_id)
