"""The queue of runs: leases, parking and waking.

A lease keeps two workers from driving one run at once; it is never what correctness rests on,
for a stopped worker may wake after its lease was taken over. Clips are guarded by owner and
attempt, everything else a step writes is idempotent.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Exists, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.models import IS_OPEN_CLIP, Clip, ClipState, ClipWant, Run, RunState, now_s

MOST_ATTEMPTS = 3  # a run that kills its worker this often is failed


async def has_claimable(session: AsyncSession, story_id: str | None = None) -> bool:
    """Tell whether a claim would find a run; costs no write lock."""
    return bool(await session.scalar(select(exists().where(_is_claimable(story_id)))))


async def claim(
    session: AsyncSession, owner: str, ttl_s: float, story_id: str | None = None
) -> Run | None:
    """Claim the oldest run that is queued or whose lease has run out.

    Args:
        session: a writing session.
        owner: who claims.
        ttl_s: seconds until the lease runs out unless renewed.
        story_id: claim only this story's run.
    """
    candidate = select(Run).where(_is_claimable(story_id)).order_by(Run.id).limit(1)
    run = await session.scalar(candidate.with_for_update())
    if run is None:
        return None
    if run.attempt >= MOST_ATTEMPTS:
        await fail(session, run, f"{MOST_ATTEMPTS} workers died while driving this run.")
        return None
    was_interrupted = run.state == RunState.RUNNING
    run.state = RunState.RUNNING
    run.owner = owner
    run.attempt += 1
    run.waits_for = None
    await _extend(session, run, ttl_s)
    await events.append(
        session, run.story_id, "run.resumed" if was_interrupted else "run.started", run=run.number
    )
    return run


async def renew(session: AsyncSession, run_id: int, owner: str, ttl_s: float) -> bool:
    """Extend a lease; False if it was lost."""
    renewed = await session.execute(
        update(Run)
        .where(Run.id == run_id, Run.owner == owner, Run.state == RunState.RUNNING)
        .values(expires_at=now_s() + ttl_s)
        .returning(Run.id)
    )
    return renewed.scalar_one_or_none() is not None


async def release_owner(session: AsyncSession, owners: Collection[str]) -> None:
    """End the leases of owners that are known to be dead."""
    for table in (Run, Clip):
        held = RunState.RUNNING if table is Run else ClipState.CLAIMED
        await session.execute(
            update(table)
            .where(table.owner.in_(owners), table.state == held)
            .values(expires_at=0.0)
            .execution_options(synchronize_session=False)
        )


async def park(session: AsyncSession, run_id: int, owner: str, waits_for: str) -> None:
    """Release a run that waits; it is queued at once if what it waits for has happened."""
    run = await _get_held(session, run_id, owner)
    if run is None:
        return
    run.owner = run.expires_at = None
    run.attempt = 0
    is_ready = waits_for in run.approved
    if waits_for == "clips":
        is_ready = not await session.scalar(select(_has_open_clips(run_id)))
    run.state = RunState.QUEUED if is_ready else RunState.PARKED
    run.waits_for = None if is_ready else waits_for
    await events.append(session, run.story_id, "run.parked", run=run.number, waits_for=waits_for)


async def wake_waiting(session: AsyncSession, clip_key: str) -> None:
    """Queue every parked run whose last open clip this was; call it where the clip is settled."""
    waiting = (
        select(ClipWant.run_id)
        .join(Run, Run.id == ClipWant.run_id)
        .where(
            ClipWant.clip_key == clip_key, Run.state == RunState.PARKED, Run.waits_for == "clips"
        )
    )
    for run_id in list(await session.scalars(waiting)):
        if not await session.scalar(select(_has_open_clips(run_id))):
            await session.execute(
                update(Run)
                .where(Run.id == run_id, Run.state == RunState.PARKED)
                .values(state=RunState.QUEUED, waits_for=None)
            )


async def approve(session: AsyncSession, run: Run, review: str) -> None:
    """Record that a review was passed, and wake the run if it waits for it."""
    if review not in run.approved:
        run.approved = [*run.approved, review]
        await events.append(session, run.story_id, "review.approved", run=run.number, review=review)
    if run.state == RunState.PARKED and run.waits_for == review:
        run.state = RunState.QUEUED
        run.waits_for = None


async def finish(session: AsyncSession, run_id: int, owner: str) -> None:
    """End a run that has done everything."""
    run = await _get_held(session, run_id, owner)
    if run is not None:
        await _end(session, run, RunState.FINISHED)


async def fail(session: AsyncSession, run: Run, error: str, *, is_bad_input: bool = False) -> None:
    """End a run with an error that its author can read, and perhaps mend."""
    run.error = error
    run.is_bad_input = is_bad_input
    await _end(session, run, RunState.FAILED)


async def fail_held(
    session: AsyncSession, run_id: int, owner: str, error: str, *, is_bad_input: bool = False
) -> None:
    """End a run with an error if this owner still holds it."""
    run = await _get_held(session, run_id, owner)
    if run is not None:
        await fail(session, run, error, is_bad_input=is_bad_input)


async def retry(session: AsyncSession, run: Run) -> None:
    """Give an unfinished run all its attempts again, and likewise the clips it waits for.

    Clips that a living worker holds are left alone. Does nothing to a finished run.
    """
    if run.state == RunState.FINISHED:
        return
    wanted = select(ClipWant.clip_key).where(ClipWant.run_id == run.id)
    stale = and_(Clip.state == ClipState.CLAIMED, Clip.expires_at < now_s())
    open_or_failed = Clip.state.in_([ClipState.QUEUED, ClipState.FAILED])
    await session.execute(
        update(Clip)
        .where(Clip.key.in_(wanted), or_(open_or_failed, stale))
        .values(state=ClipState.QUEUED, owner=None, expires_at=None, attempt=0, error=None)
        .execution_options(synchronize_session=False)
    )
    run.attempt = 0
    if run.state == RunState.FAILED:
        run.state = RunState.QUEUED
        run.error = run.finished_at = None
        await events.append(session, run.story_id, "run.queued", run=run.number)


async def get(session: AsyncSession, run_id: int) -> Run:
    """Get a run that is known to exist."""
    return await session.get_one(Run, run_id)


def _is_claimable(story_id: str | None) -> ColumnElement[bool]:
    stale = and_(Run.state == RunState.RUNNING, Run.expires_at < now_s())
    claimable = or_(Run.state == RunState.QUEUED, stale)
    return claimable if story_id is None else and_(claimable, Run.story_id == story_id)


async def _get_held(session: AsyncSession, run_id: int, owner: str) -> Run | None:
    return await session.scalar(
        select(Run)
        .where(Run.id == run_id, Run.owner == owner, Run.state == RunState.RUNNING)
        .with_for_update()
    )


async def _extend(session: AsyncSession, run: Run, ttl_s: float) -> None:
    run.expires_at = (await session.execute(select(now_s()))).scalar_one() + ttl_s


async def _end(session: AsyncSession, run: Run, state: RunState) -> None:
    run.state = state
    run.owner = run.expires_at = run.waits_for = None
    run.finished_at = (await session.execute(select(now_s()))).scalar_one()
    detail = {"error": run.error} if run.error else {}
    await events.append(session, run.story_id, f"run.{state}", run=run.number, **detail)


def _has_open_clips(run_id: int) -> Exists:
    return (
        exists()
        .where(ClipWant.run_id == run_id)
        .where(ClipWant.clip_key == Clip.key)
        .where(IS_OPEN_CLIP)
    )
