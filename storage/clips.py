"""The queue of clips: made once per key, ever, by whichever worker claims it.

A clip is completed only where key, owner and attempt still match, so that a worker that was
stopped past its lease cannot complete what another has taken over.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, runs
from storage.lookup import list_by
from storage.models import IS_OPEN_CLIP, Clip, ClipState, ClipWant, Json, Run, SceneVersion, now_s

MOST_ATTEMPTS = 3  # a clip that fails or kills its worker this often is failed


async def want(session: AsyncSession, run_id: int, key: str, engine: str, request: str) -> Clip:
    """Note that a run wants a clip, and queue the clip unless it exists.

    One that had failed for others is tried again for a run that is new to it.
    """
    clip = await session.get(Clip, key)
    is_known = await session.get(ClipWant, (key, run_id)) is not None
    if clip is None:
        clip = Clip(key=key, engine=engine, request=request, state=ClipState.QUEUED, attempt=0)
        session.add(clip)
        await session.flush()
    elif clip.state == ClipState.FAILED and not is_known:
        clip.state, clip.attempt, clip.error = ClipState.QUEUED, 0, None
    if not is_known:
        session.add(ClipWant(clip_key=key, run_id=run_id))
    return clip


async def want_again(session: AsyncSession, run_id: int, key: str) -> None:
    """Note that another run wants a clip that was queued before."""
    clip = await session.get_one(Clip, key)
    await want(session, run_id, key, clip.engine, clip.request)


async def has_claimable(
    session: AsyncSession, engines: Sequence[str], story_id: str | None = None
) -> bool:
    """Tell whether a claim would find a clip; costs no write lock."""
    return bool(await session.scalar(select(exists().where(_is_claimable(engines, story_id)))))


async def claim(
    session: AsyncSession,
    owner: str,
    ttl_s: float,
    engines: Sequence[str],
    most: int,
    story_id: str | None = None,
) -> list[Clip]:
    """Claim up to `most` clips of one engine that are queued or whose lease has run out.

    A clip that was attempted before comes alone.

    Args:
        session: a writing session.
        owner: who claims.
        ttl_s: seconds until the lease runs out unless renewed.
        engines: names of the engines the worker can run.
        most: how many clips at most; they all belong to the engine of the oldest.
        story_id: claim only clips that a run of this story wants.
    """
    claimable = (
        select(Clip)
        .where(_is_claimable(engines, story_id))
        .order_by(Clip.queued_at, Clip.key)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = list(await session.scalars(claimable))
    now = (await session.execute(select(now_s()))).scalar_one()
    claimed = []
    for clip in _batch(found):
        if clip.attempt >= MOST_ATTEMPTS:
            await _settle_failed(session, clip, clip.error or "Its worker died each time.")
        else:
            clip.state = ClipState.CLAIMED
            clip.owner = owner
            clip.attempt += 1
            clip.expires_at = now + ttl_s
            claimed.append(clip)
    return claimed


async def renew(session: AsyncSession, keys: Sequence[str], owner: str, ttl_s: float) -> None:
    """Extend the leases of clips that are still this owner's."""
    await session.execute(
        update(Clip)
        .where(Clip.key.in_(keys), Clip.owner == owner, Clip.state == ClipState.CLAIMED)
        .values(expires_at=now_s() + ttl_s)
        .execution_options(synchronize_session=False)
    )


async def complete(
    session: AsyncSession, claimed: Clip, *, file: str, figures: Json, report: Json
) -> bool:
    """Finish a clip whose file is in place; False if another worker has taken it over."""
    completed = await session.execute(
        update(Clip)
        .where(
            Clip.key == claimed.key,
            Clip.owner == claimed.owner,
            Clip.attempt == claimed.attempt,
            Clip.state == ClipState.CLAIMED,
        )
        .values(
            state=ClipState.FINISHED,
            owner=None,
            expires_at=None,
            finished_at=now_s(),
            file=file,
            figures=figures,
            report=report,
            error=None,
        )
        .returning(Clip.key)
        .execution_options(synchronize_session=False)
    )
    if completed.scalar_one_or_none() is None:
        return False
    await _announce(session, claimed.key, "clip.finished")
    await runs.wake_waiting(session, claimed.key)
    return True


async def fail(session: AsyncSession, claimed: Clip, error: str) -> None:
    """Give a clip back after a failed attempt; the last attempt fails it for good."""
    clip = await session.scalar(
        select(Clip).where(
            Clip.key == claimed.key,
            Clip.owner == claimed.owner,
            Clip.attempt == claimed.attempt,
            Clip.state == ClipState.CLAIMED,
        )
    )
    if clip is None:
        return
    clip.error = error
    clip.owner = clip.expires_at = None
    clip.state = ClipState.QUEUED
    if clip.attempt >= MOST_ATTEMPTS:
        await _settle_failed(session, clip, error)


async def make_again(session: AsyncSession, files: Sequence[str]) -> None:
    """Queue the finished clips whose files were lost; their attempts so far still count."""
    for clip in await list_by(session, Clip, Clip.file, files):
        if clip.state == ClipState.FINISHED:
            clip.state = ClipState.QUEUED
            clip.error = "Its file was lost or damaged each time."
            await _announce(session, clip.key, "clip.lost")


async def list_by_key(session: AsyncSession, keys: Sequence[str]) -> dict[str, Clip]:
    """List clips by their keys."""
    return {clip.key: clip for clip in await list_by(session, Clip, Clip.key, keys)}


async def count_by_state(session: AsyncSession, run_id: int) -> dict[str, int]:
    """Count the clips a run wants by their state."""
    rows = await session.execute(
        select(Clip.state, func.count())
        .join(ClipWant, ClipWant.clip_key == Clip.key)
        .where(ClipWant.run_id == run_id)
        .group_by(Clip.state)
    )
    return {row[0]: row[1] for row in rows}


async def first_error(session: AsyncSession, run_id: int) -> str:
    """Return why the first failed clip of a run could not be made."""
    error = await session.scalar(
        select(Clip.error)
        .join(ClipWant, ClipWant.clip_key == Clip.key)
        .where(ClipWant.run_id == run_id, Clip.state == ClipState.FAILED)
        .order_by(Clip.queued_at, Clip.key)
        .limit(1)
    )
    return error or "no reason was given"


def _is_claimable(engines: Sequence[str], story_id: str | None) -> ColumnElement[bool]:
    stale = and_(Clip.state == ClipState.CLAIMED, Clip.expires_at < now_s())
    is_free = or_(Clip.state == ClipState.QUEUED, stale)
    claimable = and_(IS_OPEN_CLIP, is_free, Clip.engine.in_(engines))
    if story_id is None:
        return claimable
    is_wanted = exists().where(
        ClipWant.clip_key == Clip.key, ClipWant.run_id == Run.id, Run.story_id == story_id
    )
    return and_(claimable, is_wanted)


def _batch(found: list[Clip]) -> list[Clip]:
    """Return the first clip and those that may be made beside it.

    One that was attempted before is made alone, lest it fail its neighbours time and again.
    """
    return found[:1] + [
        clip
        for clip in found[1:]
        if clip.engine == found[0].engine and clip.attempt == found[0].attempt == 0
    ]


async def _settle_failed(session: AsyncSession, clip: Clip, error: str) -> None:
    clip.state = ClipState.FAILED
    clip.error = error
    clip.owner = clip.expires_at = None
    await session.flush()
    await _announce(session, clip.key, "clip.failed", error=error)
    await runs.wake_waiting(session, clip.key)


async def _announce(session: AsyncSession, key: str, kind: str, **data: str) -> None:
    heard = await session.execute(
        select(SceneVersion.story_id, SceneVersion.id)
        .where(SceneVersion.clip_key == key)
        .order_by(SceneVersion.story_id, SceneVersion.id)
    )
    for story_id, scene_id in heard.all():
        await events.append(session, story_id, kind, scene=scene_id, clip=key, **data)
