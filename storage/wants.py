"""Who waits for which work: runs want it, take their turns, and are woken when it is settled.

What waits for an export is its row, see exports.py.

Rows are locked in the order work, runs, story (whose row counts the events), by everyone.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import (
    FOR_WORK,
    IS_OPEN_WORK,
    Export,
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

WANTED = and_(WorkWant.work_key == Work.key, WorkWant.work_kind == Work.kind)
EXPORTED = and_(Export.key == Work.key, Work.kind == WorkKind.EXPORT)
IS_WANTED = or_(exists().where(WANTED), exists().where(EXPORTED))
OF_RUNS = tuple(FOR_WORK.values())  # the kinds of work that runs wait for


@dataclass(frozen=True)
class Wanted:
    """Work that a run wants: its key, what a worker must have for it, and what its job reads."""

    key: str
    needs: str
    request: str | None = None


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
    start_tag = run.start_tag
    by_key: dict[str, Work] = {}
    while len(by_key) < len(keys):  # again where what was there is finished, and its row gone
        known = set(await session.scalars(of_kind.with_only_columns(Work.key)))
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
        locked = of_kind.order_by(Work.key).with_for_update()
        by_key = {
            work.key: work
            for work in await session.scalars(locked.execution_options(populate_existing=True))
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


async def serving(
    session: AsyncSession, priority: int, kinds: Collection[WorkKind] = OF_RUNS
) -> int:
    """Return the last start tag that all work of a priority, of some kinds, has had."""
    least = await session.scalar(
        select(func.min(Work.start_tag)).where(
            IS_OPEN_WORK, Work.priority == priority, Work.kind.in_(kinds)
        )
    )
    return max((least or 0) - 1, 0)


async def has_interest(session: AsyncSession, claimed: Sequence[Work]) -> bool:
    """Tell whether anybody still waits for some of the work, which is of one kind."""
    keys = [work.key for work in claimed]
    if claimed[0].kind == WorkKind.EXPORT:
        is_wanted = exists().where(Export.key.in_(keys))
    else:
        of_kind = WorkWant.work_kind == claimed[0].kind
        is_wanted = exists().where(of_kind, WorkWant.work_key.in_(keys))
    return bool(await session.scalar(select(is_wanted)))


async def settle(session: AsyncSession, kind: WorkKind, keys: Sequence[str]) -> None:
    """End the wants of work that is finished, and wake the runs that had them."""
    waiting: set[int] = set()
    for some in in_parts(sorted(keys)):
        wants = delete(WorkWant).where(WorkWant.work_kind == kind, WorkWant.work_key.in_(some))
        waiting.update(await session.scalars(wants.returning(WorkWant.run_id)))
    await wake_waiting(session, sorted(waiting))


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
                ~IS_WANTED,
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


def wanted_by(story_id: str | None, kind: WorkKind = WorkKind.CLIP) -> ColumnElement[bool]:
    """Match the work of a kind that a story, or a run of it, wants; None: that of any."""
    if story_id is None:
        return true()
    if kind == WorkKind.EXPORT:
        return exists().where(EXPORTED, Export.story_id == story_id)
    return exists().where(WANTED, WorkWant.run_id == Run.id, Run.story_id == story_id)
