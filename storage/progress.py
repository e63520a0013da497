"""How far a story's newest run is, from what is stored: shares and speeds that were measured."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    SQLColumnExpression,
    and_,
    case,
    cast,
    desc,
    distinct,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import NotFound
from storage.models import Clip, ClipState, Revision, Run, SceneVersion, Story, Take, now_s
from storage.upsert import expand

SAMPLE_RATE = 44_100  # Hz, of every count of samples that is stored
CLIPS_MEASURED = 50  # at most, for the speed


@dataclass(frozen=True)
class Progress:
    """How far the clips are that the newest run of a story makes; none before it is planned."""

    clips_total: int
    clips_finished: int
    clips_failed: int
    share: float  # 0 … 1 of their sound, what is done of clips in the making included
    working: int  # clips in the making now
    working_share: float | None  # 0 … 1, what is done of them in the mean; None: there are none
    speed_x: float | None  # seconds of sound a worker makes in a second; None: never measured
    eta_s: float | None  # until the last clip is made at this pace; None: nobody knows


@dataclass(frozen=True)
class _Clips:
    """Counts of clips, and their lengths in samples."""

    total: int
    finished: int
    failed: int
    working: int
    workers: int
    progress: float  # sum of the shares that are done of those in the making
    samples: float
    samples_done: float  # of the failed ones, none
    samples_failed: float


async def measure(session: AsyncSession, story_id: str) -> Progress:
    """Measure how far the newest run of a story is, in two queries that return a row each.

    Raises:
        NotFound: if there is no such story.
    """
    story = await session.get(Story, story_id)
    if story is None:
        raise NotFound("story", story_id)
    clips = await _count(session, story)
    speed_x = await _speed(session, story.engine)
    share = 1.0 if story.revision_id is not None else 0.0
    if clips.samples:
        share = min(1.0, clips.samples_done / clips.samples)
    return Progress(
        clips_total=clips.total,
        clips_finished=clips.finished,
        clips_failed=clips.failed,
        share=share,
        working=clips.working,
        working_share=clips.progress / clips.working if clips.working else None,
        speed_x=speed_x,
        eta_s=_eta(clips, speed_x) if story.revision_id is not None else None,
    )


async def _count(session: AsyncSession, story: Story) -> _Clips:
    is_finished = Clip.state == ClipState.FINISHED
    is_failed = Clip.state == ClipState.FAILED
    is_working = and_(Clip.state == ClipState.CLAIMED, Clip.expires_at > now_s())
    done = case((is_finished, 1.0), (is_working, func.coalesce(Clip.progress, 0.0)), else_=0.0)
    started_at = select(func.max(Run.created_at)).where(Run.story_id == story.id).scalar_subquery()
    is_of_the_run = or_(Clip.key.is_(None), ~is_finished, Take.created_at >= started_at)
    counted = await session.execute(
        _heard(session, story)
        .with_only_columns(
            func.count().label("total"),
            _count_of(is_finished).label("finished"),
            _count_of(is_failed).label("failed"),
            _count_of(is_working).label("working"),
            func.count(distinct(case((is_working, Clip.owner)))).label("workers"),
            _sum(case((is_working, Clip.progress))).label("progress"),
            _sum(SceneVersion.samples).label("samples"),
            _sum(SceneVersion.samples * done).label("samples_done"),
            _sum(case((is_failed, SceneVersion.samples), else_=0)).label("samples_failed"),
        )
        .where(is_of_the_run)
    )
    return _Clips(**counted.mappings().one())


def _heard(session: AsyncSession, story: Story) -> Select[int]:
    """Select from the scenes of the current revision, each with its clip and take if it has one."""
    listed = expand(session, Revision.scenes)
    return (
        select(SceneVersion.id)
        .select_from(Revision)
        .join(listed, true())
        .join(SceneVersion, SceneVersion.id == cast(listed.c.value, BigInteger))
        .outerjoin(Clip, Clip.key == SceneVersion.clip_key)
        .outerjoin(
            Take,
            and_(
                Take.sub_event_id == SceneVersion.sub_event_id,
                Take.clip_key == SceneVersion.clip_key,
            ),
        )
        .where(Revision.id == story.revision_id)
    )


async def _speed(session: AsyncSession, engine: str) -> float | None:
    """Return seconds of sound per second of a worker, of the newest clips of an engine."""
    newest = (
        select(SceneVersion.samples, Clip.took_s)
        .select_from(Take)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .join(Clip, Clip.key == Take.clip_key)
        .where(Clip.engine == engine, Clip.took_s > 0.0)
        .order_by(desc(Take.id))
        .limit(CLIPS_MEASURED)
        .subquery()
    )
    measured = await session.execute(select(func.sum(newest.c.samples), func.sum(newest.c.took_s)))
    samples, took_s = measured.one()
    return None if not took_s else float(samples) / SAMPLE_RATE / took_s


def _eta(clips: _Clips, speed_x: float | None) -> float | None:
    left = clips.samples - clips.samples_done - clips.samples_failed
    if left <= 0:
        return 0.0
    if not clips.workers or not speed_x:
        return None
    return left / SAMPLE_RATE / (speed_x * clips.workers)


def _count_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _sum(value: SQLColumnExpression[Any]) -> ColumnElement[float]:
    return func.coalesce(cast(func.sum(value), Double), 0.0)  # a sum of integers may be Decimal
