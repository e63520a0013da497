"""The queue of runs: leases, parking and waking.

Rows are locked in the order work, runs, story (whose row counts the events), by everyone.

A lease keeps two workers from driving one run at once; it is never what correctness rests on,
for a stopped worker may wake after its lease was taken over. Work is guarded by owner and
attempt, everything else a step writes is idempotent.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, case, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, wants, work
from storage.models import (
    ACTIVE,
    FOR_WORK,
    EngineOffer,
    Json,
    Run,
    RunState,
    Wait,
    Work,
    WorkKind,
    WorkState,
    now_s,
)

MAX_ATTEMPTS = 3  # a run that kills its worker this often is failed


async def has_claimable(
    session: AsyncSession, story_id: str | None = None, but: Collection[int] = ()
) -> bool:
    """Tell whether a claim would find a run; costs no write lock."""
    return bool(await session.scalar(select(exists().where(_is_claimable(story_id, but)))))


async def claim(
    session: AsyncSession,
    owner: str,
    ttl_s: float,
    story_id: str | None = None,
    but: Collection[int] = (),
) -> Run | None:
    """Claim a run that is queued or whose lease has run out.

    The most urgent come first, among them those that have had the fewest turns of work, so that
    a short story that comes late does not wait until all long ones before it are mixed.

    One that goes on with new conditions has not been away: no event tells of it.

    Args:
        session: a writing session.
        owner: the worker that claims.
        ttl_s: seconds until the lease runs out if it is not renewed.
        story_id: claim only this story's run.
        but: runs that are left for later.
    """
    candidate = select(Run).where(_is_claimable(story_id, but))
    first = candidate.order_by(Run.priority.desc(), Run.start_tag, Run.queued_at, Run.id).limit(1)
    run = await session.scalar(first.with_for_update(skip_locked=True))
    if run is None:
        return None
    if run.attempt >= MAX_ATTEMPTS:
        await fail(session, run, f"{MAX_ATTEMPTS} workers died while driving this run.")
        return None
    was_interrupted = run.state == RunState.RUNNING
    goes_on = run.waits_for == Wait.CONDITIONS
    run.state = RunState.RUNNING
    run.owner = owner
    run.attempt += 1
    run.waits_for = None
    await _extend(session, run, ttl_s)
    if not goes_on:
        kind = "run.resumed" if was_interrupted else "run.started"
        await events.append(session, run.story_id, kind, run=run.number)
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
    """End the leases of owners that are known to be dead, or that gave up what they held."""
    await work.release_owner(session, owners)
    await session.execute(
        update(Run)
        .where(Run.owner.in_(owners), Run.state == RunState.RUNNING)
        .values(expires_at=0.0)
        .execution_options(synchronize_session=False)
    )


async def give_up(session: AsyncSession, owner: str) -> list[str]:
    """Queue again the runs that a living owner cannot go on with; the attempts do not count.

    Returns:
        The stories that are concerned.
    """
    is_driven = and_(Run.owner == owner, Run.state == RunState.RUNNING)
    concerned = select(Run.story_id).where(is_driven).distinct().order_by(Run.story_id)
    story_ids = list(await session.scalars(concerned))
    await session.execute(
        update(Run)
        .where(is_driven)
        .values(
            state=RunState.QUEUED,
            owner=None,
            expires_at=None,
            attempt=case((Run.attempt > 0, Run.attempt - 1), else_=0),
        )
        .execution_options(synchronize_session=False)
    )
    return story_ids


async def park(session: AsyncSession, run_id: int, owner: str, waits_for: Wait) -> None:
    """Release a run that waits; it is queued at once if what it waits for has happened."""
    run = await _get_held(session, run_id, owner)
    if run is None:
        return
    run.owner = run.expires_at = None
    run.attempt = 0
    is_ready = waits_for in run.approved or bool(run.pending_changes)
    if waits_for in FOR_WORK:
        is_ready |= not await wants.is_waited_for(session, run_id, FOR_WORK[waits_for])
    run.state = RunState.PARKED
    run.waits_for = waits_for
    if waits_for != Wait.CONDITIONS:
        data = {"run": run.number, "waits_for": waits_for}
        await events.append(session, run.story_id, "run.parked", **data)
    if is_ready:
        await wake(session, run)
        if waits_for == Wait.CONDITIONS and not run.pending_changes:
            run.waits_for = waits_for  # so `claim` tells of no start


async def park_for_engine(session: AsyncSession, run_id: int, owner: str, name: str) -> bool:
    """Release a run whose engine no worker has ever offered; False if one does by now."""
    run = await _get_held(session, run_id, owner)
    if run is None or await session.get(EngineOffer, name) is not None:
        return False
    run.owner = run.expires_at = None
    run.attempt = 0
    run.state, run.waits_for = RunState.PARKED, Wait.ENGINE
    return True


async def wake_for_engine(session: AsyncSession) -> None:
    """Queue the runs that wait for an engine: some worker offers one that none has before.

    Call it once the offer is committed. Runs that are driven are locked too: one that is being
    parked at this moment is seen either here or there.
    """
    is_waiting = and_(Run.state == RunState.PARKED, Run.waits_for == Wait.ENGINE)
    may_wait = or_(Run.state == RunState.RUNNING, is_waiting)
    for run in list(
        await session.scalars(select(Run).where(may_wait).order_by(Run.id).with_for_update())
    ):
        if run.state == RunState.PARKED:
            await wake(session, run)


async def approve(session: AsyncSession, run: Run, review: str) -> None:
    """Record that a review was passed, and wake the run if it waits for it."""
    if review not in run.approved:
        run.approved = [*run.approved, review]
        await events.append(session, run.story_id, "review.approved", run=run.number, review=review)
    if run.state == RunState.PARKED and run.waits_for == review:
        await wake(session, run)


async def ask(session: AsyncSession, run: Run, edits: Sequence[Json]) -> None:
    """Ask an active run for changes; one that is parked is woken to make them."""
    run.pending_changes = [*run.pending_changes, *edits]
    forget_refusal(run)
    await events.append(session, run.story_id, "change.asked", run=run.number, edits=list(edits))
    if run.state == RunState.PARKED:
        await wake(session, run)


def drop_edit(run: Run, edit: Json) -> bool:
    """Take a change off the list of a locked run; False if another worker has: it is settled."""
    if run.pending_changes[:1] != [edit]:
        return False
    run.pending_changes = run.pending_changes[1:]
    return True


async def refuse(session: AsyncSession, run: Run, edit: Json, error: str) -> None:
    """Take a change off the list of a locked run and keep why, until the author asks for another."""
    if not drop_edit(run, edit):
        return
    run.error = error
    await events.append(
        session, run.story_id, "change.refused", run=run.number, edit=edit, error=error
    )


def forget_refusal(run: Run) -> None:
    """Forget why a change was refused: the author has gone on."""
    if run.state != RunState.FAILED:
        run.error = None


async def cancel(session: AsyncSession, run: Run) -> None:
    """End a run because its author said so.

    Work that only this run waited for is withdrawn; what is finished is kept. Whoever drives the
    run, or does some of that work, finds out and stops.
    """
    for kind in WorkKind:
        await wants.drop_wants(session, run.id, kind)
    run = await lock(session, run.id)
    if run.state in ACTIVE:
        run.pending_changes = []
        await _end(session, run, RunState.CANCELLED)


async def list_owners(session: AsyncSession) -> set[str]:
    """List the workers, of whichever host, that hold a lease which has not run out."""
    driving = select(Run.owner).where(Run.state == RunState.RUNNING, Run.expires_at > now_s())
    working = select(Work.owner).where(Work.state == WorkState.CLAIMED, Work.expires_at > now_s())
    return {owner for owner in await session.scalars(driving.union(working)) if owner}


async def is_held(session: AsyncSession, run_id: int, owner: str) -> bool:
    """Tell whether a worker still drives a run: it was neither taken over nor cancelled."""
    return bool(
        await session.scalar(
            select(
                exists().where(Run.id == run_id, Run.owner == owner, Run.state == RunState.RUNNING)
            )
        )
    )


async def finish(session: AsyncSession, run_id: int, owner: str) -> None:
    """End a run that has done everything; one that got another change meanwhile is queued."""
    run = await _get_held(session, run_id, owner)
    if run is None:
        return
    if run.pending_changes:
        await wake(session, run)
    else:
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
    """Give an unfinished run all its attempts again, and likewise the work it waits for.

    Work that a living worker holds is left alone. Does nothing to a run that is finished or was
    cancelled.
    """
    if run.state in (RunState.FINISHED, RunState.CANCELLED):
        return
    await work.retry(session, run.id)
    run.attempt = 0
    if run.state == RunState.FAILED:
        await wake(session, run)
        run.error = run.finished_at = None
        await events.append(session, run.story_id, "run.queued", run=run.number)
    elif run.state == RunState.PARKED and run.waits_for == Wait.CLIP_REVIEW:
        await wake(session, run)


async def get(session: AsyncSession, run_id: int) -> Run:
    """Get a run that is known to exist."""
    return await session.get_one(Run, run_id)


async def find(session: AsyncSession, story_id: str, run_id: int) -> Run | None:
    """Find a run of a story; if that was deleted, the id may be another's by now."""
    run = await session.get(Run, run_id)
    return run if run is not None and run.story_id == story_id else None


async def lock(session: AsyncSession, run_id: int) -> Run:
    """Get a run that is known to exist as it is now, and keep it so until the commit."""
    return await session.get_one(Run, run_id, with_for_update=True, populate_existing=True)


async def wake(session: AsyncSession, run: Run) -> None:
    """Queue a parked run: what it waits for may have happened, or is wanted no more.

    What its author took to decide is no time for which it may catch up.
    """
    if run.waits_for not in FOR_WORK:
        run.start_tag = max(run.start_tag, await wants.serving(session, run.priority))
    await wants.queue_run(session, run)


async def _now(session: AsyncSession) -> float:
    return (await session.execute(select(now_s()))).scalar_one()


def _is_claimable(story_id: str | None, but: Collection[int]) -> ColumnElement[bool]:
    stale = and_(Run.state == RunState.RUNNING, Run.expires_at < now_s())
    claimable = or_(Run.state == RunState.QUEUED, stale)
    if but:
        claimable = and_(claimable, Run.id.not_in(but))
    return claimable if story_id is None else and_(claimable, Run.story_id == story_id)


async def _get_held(session: AsyncSession, run_id: int, owner: str) -> Run | None:
    return await session.scalar(
        select(Run)
        .where(Run.id == run_id, Run.owner == owner, Run.state == RunState.RUNNING)
        .with_for_update()
    )


async def _extend(session: AsyncSession, run: Run, ttl_s: float) -> None:
    run.expires_at = await _now(session) + ttl_s


async def _end(session: AsyncSession, run: Run, state: RunState) -> None:
    run.state = state
    run.owner = run.expires_at = run.waits_for = None
    run.finished_at = await _now(session)
    detail = {"error": run.error} if state == RunState.FAILED else {}
    await events.append(session, run.story_id, f"run.{state}", run=run.number, **detail)
