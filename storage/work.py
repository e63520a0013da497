"""The queue of work: what workers do, once per key, by whichever of them claims it.

Work is finished only where key, kind, owner and attempt still match, so that a worker that was
stopped past its lease cannot finish what another has taken over.

Rows are locked in the order work, runs, story (whose row counts the events), by everyone.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import (
    ColumnElement,
    Exists,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage.announcements import tell_of_clip
from storage.models import (
    FOR_WORK,
    IS_OPEN_WORK,
    Json,
    Run,
    RunState,
    Wait,
    Work,
    WorkKind,
    WorkState,
    WorkWant,
    now_s,
)
from storage.upsert import in_parts, insert_all_new

MAX_ATTEMPTS = 3  # work that fails or kills its worker this often is failed
MAX_NEAR = 256  # pieces of work looked at for the next one near to the last
WANTED = and_(WorkWant.work_key == Work.key, WorkWant.work_kind == Work.kind)


@dataclass(frozen=True)
class Wanted:
    """Work that a run wants: its key, what a worker must have for it, and what its job reads."""

    key: str
    needs: str
    request: str | None = None


@dataclass(frozen=True)
class Near:
    """Where a process that works for one story claims the next: one after the other, if it can.

    Attributes:
        start_tag: of the work it claimed before; None at the beginning.
        share: of the work that waits that it leaves to others if it cannot go on there, 0 … 1.
    """

    start_tag: int | None
    share: float


async def want_all(
    session: AsyncSession, run: Run, kind: WorkKind, wanted: Sequence[Wanted]
) -> dict[str, Work]:
    """Note that a run wants work, and queue what does not exist; no want of what is finished.

    What had failed for others, or was withdrawn, is queued again for a run that is new to it.

    Stories take turns: the turn of a piece of work follows the last one of its run, which begins
    where the queue stood when the run came to it, see `serving`. So a story that comes late
    neither waits for all of those before it nor overtakes them for longer than it takes to catch
    up (start-time fair queueing, Goyal, Vin and Cheng 1996, with pieces of work as the unit of
    service).

    Args:
        session: a writing session.
        run: that wants it.
        kind: of the work.
        wanted: in the order it is to be done, few enough for one query.

    Returns:
        The work by key.
    """
    keys = sorted({entry.key for entry in wanted})
    of_kind = select(Work).where(Work.kind == kind, Work.key.in_(keys))
    known = set(await session.scalars(of_kind.with_only_columns(Work.key)))
    start_tag = run.start_tag
    rows: dict[str, Json] = {}
    for entry in wanted:
        if entry.key not in known and entry.key not in rows:
            start_tag += 1
            state = {
                "kind": kind,
                "state": WorkState.QUEUED,
                "attempt": 0,
                "priority": run.priority,
                "start_tag": start_tag,
            }
            rows[entry.key] = asdict(entry) | state
    # By key, here and below: two that want the same work then never wait for each other.
    await insert_all_new(session, Work, [rows[key] for key in keys if key in rows])
    by_key = {
        work.key: work
        for work in await session.scalars(
            of_kind.order_by(Work.key).with_for_update().execution_options(populate_existing=True)
        )
    }
    open_keys = [key for key in keys if by_key[key].state != WorkState.FINISHED]
    wants = [{"work_key": key, "work_kind": kind, "run_id": run.id} for key in open_keys]
    new_wants = await insert_all_new(session, WorkWant, wants)
    for key in open_keys:
        work = by_key[key]
        if work.state == WorkState.WITHDRAWN or (
            work.state == WorkState.FAILED and key in new_wants
        ):
            start_tag += 1
            work.state, work.attempt, work.error = WorkState.QUEUED, 0, None
            work.is_bad_input = False
            work.start_tag = start_tag
        work.priority = max(work.priority, run.priority)
    run.start_tag = start_tag
    return by_key


async def serving(session: AsyncSession, priority: int) -> int:
    """Return the last start tag that all work of a priority has had."""
    least = await session.scalar(
        select(func.min(Work.start_tag)).where(IS_OPEN_WORK, Work.priority == priority)
    )
    return max((least or 0) - 1, 0)


async def has_interest(session: AsyncSession, claimed: Sequence[Work]) -> bool:
    """Tell whether anybody still waits for some of the work, which is of one kind."""
    keys = [work.key for work in claimed]
    is_wanted = exists().where(WorkWant.work_kind == claimed[0].kind, WorkWant.work_key.in_(keys))
    return bool(await session.scalar(select(is_wanted)))


async def has_claimable(
    session: AsyncSession, kind: WorkKind, needs: Collection[str], story_id: str | None = None
) -> bool:
    """Tell whether a claim would get work; costs no write lock."""
    return bool(await session.scalar(select(exists().where(_is_claimable(kind, needs, story_id)))))


async def claim(
    session: AsyncSession,
    owner: str,
    ttl_s: float,
    kind: WorkKind,
    needs: Collection[str],
    most: int = 1,
    story_id: str | None = None,
    near: Near | None = None,
) -> list[Work]:
    """Claim up to `most` pieces of work that are queued or whose lease has run out.

    The most urgent come first, among them those whose story has had the fewest turns.

    Work that was attempted before comes alone.

    Args:
        session: a writing session.
        owner: the worker that claims.
        ttl_s: seconds until the lease runs out if it is not renewed.
        kind: of the work.
        needs: what the worker has.
        most: how many pieces at most; all need the same as the first.
        story_id: claim only what a run of this story wants.
        near: where to begin in what one story wants; None: with the first.
    """
    is_claimable = _is_claimable(kind, needs, story_id)
    first = 0 if near is None else await _find_first(session, is_claimable, near)
    claimable = (
        select(Work)
        .where(is_claimable, Work.start_tag >= first)
        .order_by(Work.priority.desc(), Work.start_tag, Work.queued_at, Work.key)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    candidates = list(await session.scalars(claimable))
    now = (await session.execute(select(now_s()))).scalar_one()
    claimed = []
    for work in _batch(candidates):
        if work.attempt >= MAX_ATTEMPTS:
            await _settle_failed(session, work, work.error or "Its worker died each time.")
        else:
            work.state = WorkState.CLAIMED
            work.owner = owner
            work.attempt += 1
            work.progress = None
            work.expires_at = now + ttl_s
            claimed.append(work)
    return claimed


async def renew(session: AsyncSession, claimed: Sequence[Work], ttl_s: float) -> None:
    """Extend the leases of work that is still its owner's."""
    for work in claimed:
        await session.execute(
            update(Work)
            .where(_is_still(work))
            .values(expires_at=now_s() + ttl_s)
            .execution_options(synchronize_session=False)
        )


async def note_progress(session: AsyncSession, claimed: Work, share: float) -> None:
    """Note how much of an attempt is done, 0 … 1."""
    await session.execute(
        update(Work)
        .where(_is_still(claimed))
        .values(progress=share)
        .execution_options(synchronize_session=False)
    )


async def give_back(session: AsyncSession, claimed: Sequence[Work]) -> None:
    """Give claimed work back undone; the attempt does not count.

    What somebody waits for is queued, the rest withdrawn.
    """
    for work in claimed:
        await _release(session, _is_still(work))


async def give_up(session: AsyncSession, owner: str, kind: WorkKind | None = None) -> list[str]:
    """Queue again the work that a living owner cannot go on with; the attempts do not count.

    What nobody waits for any more is withdrawn.

    Args:
        session: a writing session.
        owner: whose work.
        kind: of the work; None: every kind.

    Returns:
        The stories that are concerned.
    """
    is_claimed = and_(
        Work.owner == owner,
        Work.state == WorkState.CLAIMED,
        true() if kind is None else Work.kind == kind,
    )
    concerned = (
        select(Run.story_id)
        .join(WorkWant, WorkWant.run_id == Run.id)
        .join(Work, WANTED)
        .where(is_claimed)
        .distinct()
        .order_by(Run.story_id)
    )
    story_ids = list(await session.scalars(concerned))
    await _release(session, is_claimed)
    return story_ids


async def release_owner(session: AsyncSession, owners: Collection[str]) -> None:
    """End the leases of owners that are known to be dead, or that gave up what they held."""
    await session.execute(
        update(Work)
        .where(Work.owner.in_(owners), Work.state == WorkState.CLAIMED)
        .values(expires_at=0.0)
        .execution_options(synchronize_session=False)
    )


async def finish(session: AsyncSession, claimed: Work) -> bool:
    """Finish work whose result is stored in the same transaction, and wake who waited for it.

    Returns:
        False if another worker has taken it over; then nothing of the result may be stored.
    """
    finished = await session.execute(
        update(Work)
        .where(_is_still(claimed))
        .values(
            state=WorkState.FINISHED,
            owner=None,
            expires_at=None,
            progress=None,
            error=None,
        )
        .returning(Work.key)
        .execution_options(synchronize_session=False)
    )
    if finished.scalar_one_or_none() is None:
        return False
    await settle(session, WorkKind(claimed.kind), [claimed.key])
    return True


async def remove(session: AsyncSession, finished: Work) -> None:
    """Forget work that leaves nothing to be looked up by its key."""
    await session.execute(
        delete(Work)
        .where(Work.key == finished.key, Work.kind == finished.kind)
        .execution_options(synchronize_session=False)
    )


async def settle(session: AsyncSession, kind: WorkKind, keys: Sequence[str]) -> None:
    """End the wants of work that is finished, and wake the runs that had them."""
    waiting: set[int] = set()
    for some in in_parts(sorted(keys)):
        wants = delete(WorkWant).where(WorkWant.work_kind == kind, WorkWant.work_key.in_(some))
        waiting.update(await session.scalars(wants.returning(WorkWant.run_id)))
    await wake_waiting(session, sorted(waiting))


async def fail(
    session: AsyncSession, claimed: Work, error: str, *, is_bad_input: bool = False
) -> None:
    """Give work back after a failed attempt; the last one fails it for good, as bad input does."""
    work = await session.scalar(select(Work).where(_is_still(claimed)))
    if work is None:
        return
    work.error, work.is_bad_input = error, is_bad_input
    work.owner = work.expires_at = work.progress = None
    work.state = WorkState.QUEUED
    if is_bad_input or work.attempt >= MAX_ATTEMPTS:
        await _settle_failed(session, work, error)


async def reopen(
    session: AsyncSession, kind: WorkKind, key: str, run_ids: Sequence[int], error: str | None
) -> Work:
    """Queue finished work again for runs that lack its result; its attempts so far still count."""
    work = await session.get_one(Work, (key, kind), with_for_update=True)
    work.state, work.error = WorkState.QUEUED, error
    wants = [{"work_key": key, "work_kind": kind, "run_id": run_id} for run_id in run_ids]
    await insert_all_new(session, WorkWant, wants)
    return work


async def retry(session: AsyncSession, run_id: int) -> None:
    """Give the unfinished work that a run waits for all its attempts again.

    What a living worker holds is left alone.
    """
    is_wanted = exists().where(WANTED, WorkWant.run_id == run_id)
    stale = and_(Work.state == WorkState.CLAIMED, Work.expires_at < now_s())
    open_or_failed = Work.state.in_([WorkState.QUEUED, WorkState.FAILED])
    await session.execute(
        update(Work)
        .where(is_wanted, or_(open_or_failed, stale))
        .values(
            state=WorkState.QUEUED,
            owner=None,
            expires_at=None,
            attempt=0,
            error=None,
            is_bad_input=False,
        )
        .execution_options(synchronize_session=False)
    )


async def drop_wants(
    session: AsyncSession, run_id: int, kind: WorkKind, keys: Sequence[str] | None = None
) -> None:
    """End a run's interest in work, and withdraw what nobody else waits for.

    Args:
        session: a writing session.
        run_id: whose interest.
        kind: of the work.
        keys: of the work; None: all that the run wants.
    """
    wants = delete(WorkWant).where(WorkWant.run_id == run_id, WorkWant.work_kind == kind)
    parts = (
        [wants]
        if keys is None
        else [wants.where(WorkWant.work_key.in_(some)) for some in in_parts(sorted(keys))]
    )
    dropped: list[str] = []
    for part in parts:
        dropped += await session.scalars(part.returning(WorkWant.work_key))
    await withdraw_unwanted(session, kind, dropped)


async def withdraw_unwanted(session: AsyncSession, kind: WorkKind, keys: Sequence[str]) -> None:
    """Take work off the queue that no run waits for any more."""
    for some in in_parts(sorted(keys)):
        await session.execute(
            update(Work)
            .where(
                Work.kind == kind,
                Work.key.in_(some),
                Work.state == WorkState.QUEUED,
                ~exists().where(WANTED),
            )
            .values(state=WorkState.WITHDRAWN)
            .execution_options(synchronize_session=False)
        )


async def wake_waiting(session: AsyncSession, run_ids: Collection[int]) -> None:
    """Queue those of the runs that wait for work and now have all of it.

    Call it where work is settled. The rows are locked before they are looked at: a run that is
    being parked at this moment is seen either here or there.
    """
    waiting = select(Run).where(Run.id.in_(run_ids)).order_by(Run.id).with_for_update()
    for run in list(await session.scalars(waiting)):
        kind = FOR_WORK.get(run.waits_for) if run.state == RunState.PARKED else None
        if kind is not None and not await is_waited_for(session, run.id, kind):
            waited_for = run.waits_for
            await queue_run(session, run)
            if waited_for == Wait.CONDITIONS:  # so `runs.claim` tells of no start
                run.waits_for = waited_for


async def queue_run(session: AsyncSession, run: Run) -> None:
    """Queue a parked run: what it waits for has happened, or is wanted no more."""
    run.state = RunState.QUEUED
    run.waits_for = None
    run.queued_at = (await session.execute(select(now_s()))).scalar_one()


async def is_waited_for(session: AsyncSession, run_id: int, kind: WorkKind) -> bool:
    """Tell whether a run waits for work that is queued or being done."""
    is_open = exists().where(
        WorkWant.run_id == run_id, WorkWant.work_kind == kind, WANTED, IS_OPEN_WORK
    )
    return bool(await session.scalar(select(is_open)))


async def is_attended(session: AsyncSession, story_id: str) -> bool:
    """Tell whether somebody holds a lease of a story's run or of work it waits for."""
    run_is_driven = exists().where(
        Run.story_id == story_id, Run.state == RunState.RUNNING, Run.expires_at > now_s()
    )
    work_is_done = exists().where(
        WANTED,
        WorkWant.run_id == Run.id,
        Run.story_id == story_id,
        Work.state == WorkState.CLAIMED,
        Work.expires_at > now_s(),
    )
    return bool(await session.scalar(select(or_(run_is_driven, work_is_done))))


async def list_by_key(
    session: AsyncSession, kind: WorkKind, keys: Sequence[str]
) -> dict[str, Work]:
    """List work by its keys."""
    listed: dict[str, Work] = {}
    for some in in_parts(keys):
        rows = await session.scalars(select(Work).where(Work.kind == kind, Work.key.in_(some)))
        listed |= {work.key: work for work in rows}
    return listed


def wanted_by(story_id: str | None) -> ColumnElement[bool]:
    """Match the work that a run of a story wants; None: that of any."""
    if story_id is None:
        return true()
    return exists().where(WANTED, WorkWant.run_id == Run.id, Run.story_id == story_id)


async def _release(session: AsyncSession, is_meant: ColumnElement[bool]) -> None:
    is_wanted: Exists = exists().where(WANTED)
    await session.execute(
        update(Work)
        .where(is_meant)
        .values(
            state=case((is_wanted, WorkState.QUEUED), else_=WorkState.WITHDRAWN),
            owner=None,
            expires_at=None,
            progress=None,
            attempt=case((Work.attempt > 0, Work.attempt - 1), else_=0),
        )
        .execution_options(synchronize_session=False)
    )


def _is_still(claimed: Work) -> ColumnElement[bool]:
    """Match the row of claimed work while no other has taken it over."""
    return and_(
        Work.key == claimed.key,
        Work.kind == claimed.kind,
        Work.owner == claimed.owner,
        Work.attempt == claimed.attempt,
        Work.state == WorkState.CLAIMED,
    )


def _is_claimable(
    kind: WorkKind, needs: Collection[str], story_id: str | None
) -> ColumnElement[bool]:
    stale = and_(Work.state == WorkState.CLAIMED, Work.expires_at < now_s())
    is_free = or_(Work.state == WorkState.QUEUED, stale)
    return and_(
        IS_OPEN_WORK, is_free, Work.kind == kind, Work.needs.in_(needs), wanted_by(story_id)
    )


async def _find_first(session: AsyncSession, is_claimable: ColumnElement[bool], near: Near) -> int:
    listed = await session.scalars(
        select(Work.start_tag).where(is_claimable).order_by(Work.start_tag).limit(MAX_NEAR)
    )
    tags = list(listed)
    following = 0 if near.start_tag is None else near.start_tag + 1
    if following in tags or not tags:
        return following
    return tags[min(int(len(tags) * near.share), len(tags) - 1)]


def _batch(candidates: list[Work]) -> list[Work]:
    """Return the first piece of work and those that may be done beside it.

    What was attempted before is done alone, so that it cannot fail its neighbors again.
    """
    return candidates[:1] + [
        work
        for work in candidates[1:]
        if work.needs == candidates[0].needs and work.attempt == candidates[0].attempt == 0
    ]


async def _settle_failed(session: AsyncSession, work: Work, error: str) -> None:
    work.state = WorkState.FAILED
    work.error = error
    work.owner = work.expires_at = work.progress = None
    await session.flush()
    waiting = select(WorkWant.run_id).where(
        WorkWant.work_kind == work.kind, WorkWant.work_key == work.key
    )
    await wake_waiting(session, list(await session.scalars(waiting)))
    if work.kind == WorkKind.CLIP:  # of the others, run.failed tells
        await tell_of_clip(session, work.key, "clip.failed", error=error)
