"""How far a story's newest run is, from what is stored: shares and speeds that were measured.

A run makes clips, then mixes them. How much of its time the mixing takes is measured of earlier
stories; until there is one, `MIXING` stands for it. It stays the same for the whole run.
"""

import math
from dataclasses import dataclass, replace
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

from storage import stories
from storage.clips import WORK
from storage.errors import NotFound
from storage.models import (
    ACTIVE,
    Clip,
    Mix,
    Revision,
    Run,
    RunState,
    SceneStem,
    SceneVersion,
    Story,
    Take,
    Work,
    WorkState,
    now_s,
)
from storage.upsert import expand

SAMPLE_RATE = 44_100  # Hz, of every count of samples that is stored
CLIPS_MEASURED = 50  # at most, for the speed of a worker
CLIPS_PACED = 16  # the newest of a run, for the pace of all its workers
MIXES_MEASURED = 10
MIXING = 0.2  # of a run's time, where no mix was measured
MAX_MIXED = 0.98  # of mixing, until the mix is there
SHORTEST_S = 1e-3  # that clips take; clocks of databases are coarse
PATIENCE_S = 60.0  # without a worker, before nobody knows when it will be done


@dataclass(frozen=True)
class Progress:
    """How far the newest run of a story is; it has no clips before it is planned."""

    clips_total: int
    clips_finished: int
    clips_failed: int
    share: float  # 0 … 1 of the run's work, its mixing included; 1: all is done
    working: int  # clips in the making now
    working_share: float | None  # 0 … 1, what is done of them in the mean; None: there are none
    speed_x: float | None  # seconds of sound a worker makes in a second; None: never measured
    eta_s: float | None  # until the mix is made at this pace; None: unknown
    run: int  # its number


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

    @property
    def samples_left(self) -> float:
        return max(self.samples - self.samples_done - self.samples_failed, 0.0)


@dataclass(frozen=True)
class _Pace:
    """What the newest finished clips of a run tell, by the clock on the wall."""

    samples_a_s: float | None = None
    idle_s: float = math.inf  # since the last of them was finished
    render_s: float = 0.0  # from the beginning of the first one of the run to that


@dataclass(frozen=True)
class _Mixing:
    """The part of a run after its clips."""

    weight: float  # of the run's time
    done: float  # 0 … 1
    left_s: float


async def measure(session: AsyncSession, story_id: str, before: Progress | None = None) -> Progress:
    """Measure how far the newest run of a story is, in a few queries that return a row each.

    Args:
        session: a reading session.
        story_id: of the story.
        before: what was measured last; within a run, the share never falls below it.

    Raises:
        NotFound: if there is no such story.
    """
    story = await session.get(Story, story_id)
    run = await stories.find_latest_run(session, story_id)
    if story is None or run is None:
        raise NotFound("story", story_id)
    clips = await _count(session, story)
    speed_x = await _speed(session, story.engine)
    pace = await _pace(session, story)
    mixing = await _mixing(session, story, run, clips, pace)
    share = 1.0 if story.revision_id is not None and run.state not in ACTIVE else 0.0
    if clips.samples:
        made = min(1.0, clips.samples_done / clips.samples)
        share = (1 - mixing.weight) * made + mixing.weight * mixing.done
    measured = Progress(
        clips_total=clips.total,
        clips_finished=clips.finished,
        clips_failed=clips.failed,
        share=share,
        working=clips.working,
        working_share=clips.progress / clips.working if clips.working else None,
        speed_x=speed_x,
        eta_s=_eta(clips, speed_x, pace, mixing) if story.revision_id is not None else None,
        run=run.number,
    )
    if before is not None and before.run == run.number and before.share > share:
        return replace(measured, share=before.share)
    return measured


async def _count(session: AsyncSession, story: Story) -> _Clips:
    is_finished = Work.state == WorkState.FINISHED
    is_failed = Work.state == WorkState.FAILED
    is_working = and_(Work.state == WorkState.CLAIMED, Work.expires_at > now_s())
    done = case((is_finished, 1.0), (is_working, func.coalesce(Work.progress, 0.0)), else_=0.0)
    is_of_the_run = or_(Clip.key.is_(None), ~is_finished, _is_new(story))
    counted = await session.execute(
        _heard(session, story)
        .with_only_columns(
            func.count().label("total"),
            _count_of(is_finished).label("finished"),
            _count_of(is_failed).label("failed"),
            _count_of(is_working).label("working"),
            func.count(distinct(case((is_working, Work.owner)))).label("workers"),
            _sum(case((is_working, Work.progress))).label("progress"),
            _sum(SceneVersion.samples).label("samples"),
            _sum(SceneVersion.samples * done).label("samples_done"),
            _sum(case((is_failed, SceneVersion.samples), else_=0)).label("samples_failed"),
        )
        .where(is_of_the_run)
    )
    return _Clips(**counted.mappings().one())


def _heard(session: AsyncSession, story: Story) -> Select[int]:
    """Select from the stems of the current revision, each with its clip and take if it has one."""
    listed = expand(session, Revision.scenes)
    return (
        select(SceneVersion.id)
        .select_from(Revision)
        .join(listed, true())
        .join(SceneVersion, SceneVersion.id == cast(listed.c.value, BigInteger))
        .join(SceneStem, SceneStem.scene_id == SceneVersion.id)
        .outerjoin(Clip, Clip.key == SceneStem.clip_key)
        .outerjoin(Work, WORK)
        .outerjoin(
            Take,
            and_(
                Take.sub_event_id == SceneVersion.sub_event_id,
                Take.clip_key == SceneStem.clip_key,
            ),
        )
        .where(Revision.id == story.revision_id)
    )


async def _speed(session: AsyncSession, engine: str) -> float | None:
    """Return seconds of sound per second of a worker, of the newest clips of an engine."""
    newest = (
        select(SceneVersion.samples, Clip.render_s)
        .select_from(Take)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .join(Clip, Clip.key == Take.clip_key)
        .where(Clip.engine == engine, Clip.render_s > 0.0)
        .order_by(desc(Take.id))
        .limit(CLIPS_MEASURED)
        .subquery()
    )
    measured = await session.execute(
        select(func.sum(newest.c.samples), func.sum(newest.c.render_s))
    )
    samples, render_s = measured.one()
    return None if not render_s else float(samples) / SAMPLE_RATE / render_s


async def _pace(session: AsyncSession, story: Story) -> _Pace:
    """Measure how fast the clips of the newest run were finished, however many made them."""
    ended, render_s = (
        cast(Clip.finished_at, Double),
        func.coalesce(cast(Clip.render_s, Double), 0.0),
    )
    began = case((Work.queued_at < ended - render_s, Work.queued_at), else_=ended - render_s)
    newest = await session.execute(
        _heard(session, story)
        .with_only_columns(SceneVersion.samples, cast(began, Double), ended, now_s())
        .where(Clip.file.is_not(None), _is_new(story))
        .order_by(desc(ended))
        .limit(CLIPS_PACED + 1)
    )
    rows = newest.all()
    if not rows:
        return _Pace()
    first_s, (_, _, last_s, at_s) = min(row[1] for row in rows), rows[0]
    since_s = rows[-1][2] if len(rows) > CLIPS_PACED else first_s
    samples = sum(row[0] for row in rows[:CLIPS_PACED])
    return _Pace(samples / max(last_s - since_s, SHORTEST_S), at_s - last_s, last_s - first_s)


async def _mixing(
    session: AsyncSession, story: Story, run: Run, clips: _Clips, pace: _Pace
) -> _Mixing:
    """Tell how far the mixing is: by the clock, for nothing is stored until the mix is."""
    if run.state not in ACTIVE:  # what is still to be made then is clips alone
        return _Mixing(0.0, 1.0, 0.0)
    weight, s_a_sample = await _mixing_measured(session, story, run)
    expected_s = s_a_sample * clips.samples or pace.render_s * weight / (1 - weight)
    mixed = select(Mix.created_at).where(Mix.revision_id == story.revision_id)
    if await session.scalar(mixed) is not None and not clips.samples_left:
        return _Mixing(weight, 1.0 if run.state == RunState.PARKED else MAX_MIXED, 0.0)
    if clips.samples_left or not expected_s:
        return _Mixing(weight, 0.0, expected_s)
    done = min(pace.idle_s / expected_s, MAX_MIXED)
    return _Mixing(weight, done, (1 - done) * expected_s)


async def _mixing_measured(session: AsyncSession, story: Story, run: Run) -> tuple[float, float]:
    """Return what part of their time the mixing of earlier stories took, and seconds a sample.

    Measured are first mixes, from the last clip to the mix, whose clips were made for them.
    """
    newest = (
        select(Mix.revision_id, Mix.samples, Mix.created_at, Revision.story_id)
        .join(Revision, Revision.id == Mix.revision_id)
        .join(Story, Story.id == Revision.story_id)
        .where(Revision.number == 1, Story.engine == story.engine, Mix.created_at < run.created_at)
        .order_by(desc(Mix.revision_id))
        .limit(MIXES_MEASURED)
        .subquery()
    )
    began, ended = func.min(Work.queued_at), func.max(Clip.finished_at)
    each = (
        select(
            newest.c.samples,
            (ended - began).label("making_s"),
            (newest.c.created_at - ended).label("mixing_s"),
        )
        .select_from(newest)
        .join(Story, Story.id == newest.c.story_id)
        .join(SceneVersion, SceneVersion.story_id == newest.c.story_id)
        .join(SceneStem, SceneStem.scene_id == SceneVersion.id)
        .join(Clip, Clip.key == SceneStem.clip_key)
        .join(Work, WORK)
        .where(Clip.finished_at <= newest.c.created_at, Work.queued_at >= Story.created_at)
        .group_by(newest.c.revision_id, newest.c.samples, newest.c.created_at)
        .subquery()
    )
    sums = (_sum(each.c.samples), _sum(each.c.making_s), _sum(each.c.mixing_s))
    samples, making_s, mixing_s = (await session.execute(select(*sums))).one()
    if not samples or not mixing_s:
        return MIXING, 0.0
    return mixing_s / (making_s + mixing_s), mixing_s / samples


def _eta(clips: _Clips, speed_x: float | None, pace: _Pace, mixing: _Mixing) -> float | None:
    if not clips.samples_left:
        return mixing.left_s
    at_work = (speed_x or 0.0) * SAMPLE_RATE * clips.workers
    is_paced = clips.workers or pace.idle_s < PATIENCE_S
    samples_a_s = max(at_work, pace.samples_a_s or 0.0) if is_paced else 0.0
    return clips.samples_left / samples_a_s + mixing.left_s if samples_a_s else None


def _is_new(story: Story) -> ColumnElement[bool]:
    """Whether a take was wanted since the newest run of a story began."""
    began = select(func.max(Run.created_at)).where(Run.story_id == story.id).scalar_subquery()
    return Take.created_at >= began


def _count_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _sum(value: SQLColumnExpression[Any]) -> ColumnElement[float]:
    return func.coalesce(cast(func.sum(value), Double), 0.0)  # a sum of integers may be Decimal
