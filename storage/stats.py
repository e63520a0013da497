"""Measures of the whole store at one moment."""

from dataclasses import dataclass

from sqlalchemy import JSON, ColumnElement, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from storage.models import Clip, Delivery, Run, RunState, Work, WorkKind, WorkState, now_s

TRIED = (WorkState.QUEUED, WorkState.FAILED, WorkState.WITHDRAWN)
IS_QUEUED = Work.state == WorkState.QUEUED


@dataclass(frozen=True)
class Stats:
    """What stands where.

    Args:
        runs: by state.
        clips: by engine and state.
        samples: of finished clips, by engine.
        failed_attempts: at clips that are kept, by engine; also those whose worker died.
        oldest_clip_s: how long the clip that was queued first has waited; 0 if none waits.
        oldest_run_s: likewise of runs.
        deliveries_due: events that are not yet delivered to webhooks.
    """

    runs: dict[str, int]
    clips: dict[tuple[str, str], int]
    samples: dict[str, int]
    failed_attempts: dict[str, int]
    oldest_clip_s: float
    oldest_run_s: float
    deliveries_due: int


async def tally(session: AsyncSession) -> Stats:
    """Count everything."""
    runs = await session.execute(select(Run.state, func.count()).group_by(Run.state))
    is_clip = Work.kind == WorkKind.CLIP
    counted = await session.execute(
        select(Work.needs, Work.state, func.count()).where(is_clip).group_by(Work.needs, Work.state)
    )
    is_made = Clip.file.is_not(None)
    lengths = await session.execute(
        select(Clip.engine, func.sum(_samples(session))).where(is_made).group_by(Clip.engine)
    )
    failed = case((Work.state.in_(TRIED), Work.attempt), (Work.attempt > 0, Work.attempt - 1))
    attempts = await session.execute(
        select(Work.needs, func.sum(failed)).where(is_clip).group_by(Work.needs)
    )
    due = select(func.count()).select_from(Delivery).where(Delivery.state == "due")
    return Stats(
        runs={row[0]: row[1] for row in runs},
        clips={(engine, state): count for engine, state, count in counted},
        samples={engine: int(samples or 0) for engine, samples in lengths},
        failed_attempts={engine: int(count or 0) for engine, count in attempts},
        oldest_clip_s=await _waited(session, Work.queued_at, is_clip, IS_QUEUED),
        oldest_run_s=await _waited(session, Run.queued_at, Run.state == RunState.QUEUED),
        deliveries_due=await session.scalar(due) or 0,
    )


def _samples(session: AsyncSession) -> ColumnElement[int]:
    """Return the length in samples of a clip's request, as SQL."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(Clip.request, JSON)["samples"].as_integer()
    return func.json_extract(Clip.request, "$.samples")


async def _waited(
    session: AsyncSession,
    queued_at: InstrumentedAttribute[float],
    *is_waiting: ColumnElement[bool],
) -> float:
    since = select(now_s() - func.min(queued_at)).where(*is_waiting)
    return max(await session.scalar(since) or 0.0, 0.0)
