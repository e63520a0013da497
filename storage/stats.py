"""Measures of the whole store at one moment."""

from dataclasses import dataclass

from sqlalchemy import JSON, ColumnElement, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Clip, ClipState, Delivery, Run, RunState, now_s

TRIED = (ClipState.QUEUED, ClipState.FAILED, ClipState.WITHDRAWN)


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
    counted = await session.execute(
        select(Clip.engine, Clip.state, func.count()).group_by(Clip.engine, Clip.state)
    )
    is_made = Clip.state == ClipState.FINISHED
    lengths = await session.execute(
        select(Clip.engine, func.sum(_samples(session))).where(is_made).group_by(Clip.engine)
    )
    failed = case((Clip.state.in_(TRIED), Clip.attempt), (Clip.attempt > 0, Clip.attempt - 1))
    attempts = await session.execute(select(Clip.engine, func.sum(failed)).group_by(Clip.engine))
    due = select(func.count()).select_from(Delivery).where(Delivery.state == "due")
    return Stats(
        runs={row[0]: row[1] for row in runs},
        clips={(engine, state): count for engine, state, count in counted},
        samples={engine: int(samples or 0) for engine, samples in lengths},
        failed_attempts={engine: int(count or 0) for engine, count in attempts},
        oldest_clip_s=await _waited(session, Clip, ClipState.QUEUED),
        oldest_run_s=await _waited(session, Run, RunState.QUEUED),
        deliveries_due=await session.scalar(due) or 0,
    )


def _samples(session: AsyncSession) -> ColumnElement[int]:
    """Return the length in samples of a clip's request, as SQL."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(Clip.request, JSON)["samples"].as_integer()
    return func.json_extract(Clip.request, "$.samples")


async def _waited(session: AsyncSession, table: type[Clip] | type[Run], state: str) -> float:
    since = select(now_s() - func.min(table.queued_at)).where(table.state == state)
    return max(await session.scalar(since) or 0.0, 0.0)
