"""The queue of work: what workers do, once per key, by whichever of them claims it.

Work is finished only where key, kind, owner and attempt still match, so that a worker that was
stopped past its lease cannot finish what another has taken over. Who waits for it: wants.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage import wants
from storage.announcements import tell_of_clip, tell_of_export
from storage.models import (
    IS_OPEN_WORK,
    Export,
    Run,
    Work,
    WorkKind,
    WorkState,
    WorkWant,
    now_s,
)
from storage.upsert import in_parts, insert_all_new

MAX_ATTEMPTS = 3  # work that fails or kills its worker this often is failed
MAX_NEAR = 256  # pieces of work looked at for the next one near to the last


@dataclass(frozen=True)
class Near:
    """Where a process that works for one story claims the next: one after the other, if it can.

    Attributes:
        start_tag: of the work it claimed before; None at the beginning.
        share: of the work that waits that it leaves to others if it cannot go on there, 0 … 1.
    """

    start_tag: int | None
    share: float


async def list_claimable(
    session: AsyncSession, needs: Mapping[WorkKind, Collection[str]], story_id: str | None = None
) -> set[WorkKind]:
    """Tell of which kinds a claim would get work; one look for all costs no write lock."""
    values = {kind: list(names) for kind, names in needs.items()} | {"story_id": story_id}
    statement = _claimable_of(tuple(needs), story_id is not None)
    row = (await session.execute(statement, values)).one()
    return {kind for kind, is_there in zip(needs, row, strict=True) if is_there}


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
        story_id: claim only what this story, or a run of it, wants.
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
    of_runs = (
        select(Run.story_id)
        .join(WorkWant, WorkWant.run_id == Run.id)
        .join(Work, wants.WANTED)
        .where(is_claimed)
    )
    of_exports = select(Export.story_id).join(Work, wants.EXPORTED).where(is_claimed)
    story_ids = set(await session.scalars(of_runs.union(of_exports)))
    await _release(session, is_claimed)
    return sorted(story_ids)


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
    await wants.settle(session, WorkKind(claimed.kind), [claimed.key])
    return True


async def remove(session: AsyncSession, finished: Work) -> None:
    """Forget work that leaves nothing to be looked up by its key."""
    await session.execute(
        delete(Work)
        .where(Work.key == finished.key, Work.kind == finished.kind)
        .execution_options(synchronize_session=False)
    )


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
    rows = [{"work_key": key, "work_kind": kind, "run_id": run_id} for run_id in run_ids]
    await insert_all_new(session, WorkWant, rows)
    return work


async def retry(session: AsyncSession, run_id: int) -> None:
    """Give the unfinished work that a run waits for all its attempts again.

    What a living worker holds is left alone.
    """
    is_wanted = exists().where(wants.WANTED, WorkWant.run_id == run_id)
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


async def list_by_key(
    session: AsyncSession, kind: WorkKind, keys: Sequence[str]
) -> dict[str, Work]:
    """List work by its keys."""
    listed: dict[str, Work] = {}
    for some in in_parts(keys):
        rows = await session.scalars(select(Work).where(Work.kind == kind, Work.key.in_(some)))
        listed |= {work.key: work for work in rows}
    return listed


@cache
def _claimable_of(kinds: tuple[WorkKind, ...], is_of_story: bool) -> Select[tuple[bool, ...]]:
    """Build the look for work, which every commit causes, but once."""
    story_id: Any = bindparam("story_id") if is_of_story else None
    looks = [
        select(exists().where(_is_claimable(kind, bindparam(kind, expanding=True), story_id)))
        for kind in kinds
    ]
    return select(*(look.scalar_subquery() for look in looks))


async def _release(session: AsyncSession, is_meant: ColumnElement[bool]) -> None:
    await session.execute(
        update(Work)
        .where(is_meant)
        .values(
            state=case((wants.IS_WANTED, WorkState.QUEUED), else_=WorkState.WITHDRAWN),
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
    kind: WorkKind, needs: Collection[str] | BindParameter[Any], story_id: str | None
) -> ColumnElement[bool]:
    stale = and_(Work.state == WorkState.CLAIMED, Work.expires_at < now_s())
    is_free = or_(Work.state == WorkState.QUEUED, stale)
    return and_(
        IS_OPEN_WORK,
        is_free,
        Work.kind == kind,
        Work.needs.in_(needs),
        wants.wanted_by(story_id, kind),
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
    await wants.wake_waiting(session, list(await session.scalars(waiting)))
    if work.kind == WorkKind.CLIP:  # of conditions, run.failed tells
        await tell_of_clip(session, work.key, "clip.failed", error=error)
    elif work.kind == WorkKind.EXPORT:
        await tell_of_export(session, work.key, "export.failed", error=error)
