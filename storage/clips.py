"""The queue of clips: made once per key, ever, by whichever worker claims it.

A clip is completed only where key, owner and attempt still match, so that a worker that was
stopped past its lease cannot complete what another has taken over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, runs
from storage.models import (
    IS_OPEN_CLIP,
    Clip,
    ClipState,
    ClipWant,
    Json,
    Run,
    RunState,
    SceneVersion,
    Take,
    now_s,
)
from storage.upsert import in_parts, insert_all_new, insert_new, list_by

MAX_ATTEMPTS = 3  # a clip that fails or kills its worker this often is failed
MAX_NEAR = 256  # clips looked at for the next one near to the last


@dataclass(frozen=True)
class Wanted:
    """A clip that a run wants: its key, and what it is made from."""

    key: str
    engine: str
    request: str


@dataclass(frozen=True)
class Near:
    """Where a process that makes clips of one story claims the next: clip after clip, if it can.

    Attributes:
        start_tag: of the clip it claimed before; None at the beginning.
        share: of the clips that wait that it leaves to others if it cannot go on there, 0 … 1.
    """

    start_tag: int | None
    share: float


async def want(session: AsyncSession, run: Run, key: str, engine: str, request: str) -> Clip:
    """Note that a run wants a clip, and queue the clip unless it exists; see `want_all`."""
    return (await want_all(session, run, [Wanted(key, engine, request)]))[key]


async def want_all(session: AsyncSession, run: Run, wanted: Sequence[Wanted]) -> dict[str, Clip]:
    """Note that a run wants clips, and queue those that do not exist; no want of one that is made.

    One that had failed for others, or was withdrawn, is queued again for a run that is new to it.

    Stories take turns: a clip's turn follows the last one of its run, which begins where the
    queue stood when the run came to it, see `runs.serving`. So a story that comes late neither
    waits for all of those before it nor overtakes them for longer than it takes to catch up
    (start-time fair queueing, Goyal, Vin and Cheng 1996, with clips as the unit of service).

    Args:
        session: a writing session.
        run: that wants them.
        wanted: in the order they are heard, few enough for one query.

    Returns:
        The clips by key.
    """
    keys = sorted({entry.key for entry in wanted})
    known = set(await session.scalars(select(Clip.key).where(Clip.key.in_(keys))))
    start_tag = run.start_tag
    rows: dict[str, Json] = {}
    for entry in wanted:
        if entry.key not in known and entry.key not in rows:
            start_tag += 1
            state = {
                "state": ClipState.QUEUED,
                "attempt": 0,
                "priority": run.priority,
                "start_tag": start_tag,
            }
            rows[entry.key] = asdict(entry) | state
    # By key, here and below: two that want the same clips then never wait for each other.
    await insert_all_new(session, Clip, [rows[key] for key in keys if key in rows])
    by_key = {
        clip.key: clip
        for clip in await session.scalars(
            select(Clip)
            .where(Clip.key.in_(keys))
            .order_by(Clip.key)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    open_keys = [key for key in keys if by_key[key].state != ClipState.FINISHED]
    wants = [{"clip_key": key, "run_id": run.id} for key in open_keys]
    new_wants = await insert_all_new(session, ClipWant, wants)
    for key in open_keys:
        clip = by_key[key]
        if clip.state == ClipState.WITHDRAWN or (
            clip.state == ClipState.FAILED and key in new_wants
        ):
            start_tag += 1
            clip.state, clip.attempt, clip.error = ClipState.QUEUED, 0, None
            clip.start_tag = start_tag
        clip.priority = max(clip.priority, run.priority)
    run.start_tag = start_tag
    return by_key


async def has_interest(session: AsyncSession, keys: Sequence[str]) -> bool:
    """Tell whether anybody still waits for one of the clips."""
    return bool(await session.scalar(select(exists().where(ClipWant.clip_key.in_(keys)))))


async def note_progress(session: AsyncSession, claimed: Clip, share: float) -> None:
    """Note how much of an attempt is done, 0 … 1."""
    await session.execute(
        update(Clip)
        .where(
            Clip.key == claimed.key, Clip.owner == claimed.owner, Clip.attempt == claimed.attempt
        )
        .values(progress=share)
        .execution_options(synchronize_session=False)
    )


async def give_back(session: AsyncSession, claimed: Sequence[Clip]) -> None:
    """Give claimed clips back unmade; the attempt does not count.

    Those that somebody waits for are queued, the others withdrawn.
    """
    for clip in claimed:
        is_wanted = exists().where(ClipWant.clip_key == Clip.key)
        await session.execute(
            update(Clip)
            .where(
                Clip.key == clip.key,
                Clip.owner == clip.owner,
                Clip.attempt == clip.attempt,
                Clip.state == ClipState.CLAIMED,
            )
            .values(
                state=case((is_wanted, ClipState.QUEUED), else_=ClipState.WITHDRAWN),
                owner=None,
                expires_at=None,
                progress=None,
                attempt=clip.attempt - 1,
            )
            .execution_options(synchronize_session=False)
        )


async def give_up(session: AsyncSession, owner: str) -> list[str]:
    """Queue again the clips that a living owner cannot go on with; the attempts do not count.

    Those that nobody waits for any more are withdrawn.

    Returns:
        The stories that are concerned.
    """
    is_claimed = and_(Clip.owner == owner, Clip.state == ClipState.CLAIMED)
    is_wanted = exists().where(ClipWant.clip_key == Clip.key)
    concerned = (
        select(Run.story_id)
        .join(ClipWant, ClipWant.run_id == Run.id)
        .join(Clip, Clip.key == ClipWant.clip_key)
        .where(is_claimed)
        .distinct()
        .order_by(Run.story_id)
    )
    story_ids = list(await session.scalars(concerned))
    await session.execute(
        update(Clip)
        .where(is_claimed)
        .values(
            state=case((is_wanted, ClipState.QUEUED), else_=ClipState.WITHDRAWN),
            owner=None,
            expires_at=None,
            attempt=case((Clip.attempt > 0, Clip.attempt - 1), else_=0),
        )
        .execution_options(synchronize_session=False)
    )
    return story_ids


async def has_claimable(
    session: AsyncSession, engines: Sequence[str], story_id: str | None = None
) -> bool:
    """Tell whether a claim would find a clip; costs no write lock."""
    return bool(await session.scalar(select(exists().where(_is_claimable(engines, story_id)))))


async def count_open(
    session: AsyncSession, engines: Sequence[str], most: int, story_id: str | None = None
) -> tuple[int, int]:
    """Count the clips that are queued or being made, `most` of them, and their samples.

    Args:
        session: a reading session.
        engines: names of the engines that make them.
        most: where counting ends, however many there are.
        story_id: count only clips that a run of this story wants.
    """
    wanted = select(Clip.key).where(IS_OPEN_CLIP, Clip.engine.in_(engines), _wanted_by(story_id))
    first = wanted.limit(most).subquery()
    lengths = (
        select(func.max(SceneVersion.samples).label("samples"))
        .select_from(first)
        .join(Take, Take.clip_key == first.c.key)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .group_by(first.c.key)
        .subquery()
    )
    counted = await session.execute(
        select(func.count(), func.coalesce(func.sum(lengths.c.samples), 0)).select_from(lengths)
    )
    clips, samples = counted.one()
    return int(clips), int(samples)


async def claim(
    session: AsyncSession,
    owner: str,
    ttl_s: float,
    engines: Sequence[str],
    most: int,
    story_id: str | None = None,
    near: Near | None = None,
) -> list[Clip]:
    """Claim up to `most` clips of one engine that are queued or whose lease has run out.

    The most urgent come first, among them those whose story has had the fewest turns.

    A clip that was attempted before comes alone.

    Args:
        session: a writing session.
        owner: the worker that claims.
        ttl_s: seconds until the lease runs out if it is not renewed.
        engines: names of the engines the worker can run.
        most: how many clips at most; they all belong to the engine of the first.
        story_id: claim only clips that a run of this story wants.
        near: where to begin among the clips of one story; None: with the first.
    """
    is_claimable = _is_claimable(engines, story_id)
    first = 0 if near is None else await _find_first(session, is_claimable, near)
    claimable = (
        select(Clip)
        .where(is_claimable, Clip.start_tag >= first)
        .order_by(Clip.priority.desc(), Clip.start_tag, Clip.queued_at, Clip.key)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    candidates = list(await session.scalars(claimable))
    now = (await session.execute(select(now_s()))).scalar_one()
    claimed = []
    for clip in _batch(candidates):
        if clip.attempt >= MAX_ATTEMPTS:
            await _settle_failed(session, clip, clip.error or "Its worker died each time.")
        else:
            clip.state = ClipState.CLAIMED
            clip.owner = owner
            clip.attempt += 1
            clip.progress = None
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


async def is_any_audible(session: AsyncSession, files: Sequence[str]) -> bool:
    """Tell whether any of these files has a sound that its request names; silence is none."""
    for some in in_parts(files):
        for report in await session.scalars(select(Clip.engine_report).where(Clip.file.in_(some))):
            if report and report["matched"] and not report.get("is_silence"):
                return True
    return False


async def complete(
    session: AsyncSession,
    claimed: Clip,
    *,
    file: str,
    measures: Json,
    engine_report: Json,
    render_s: float,
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
            progress=None,
            render_s=render_s,
            file=file,
            measures=measures,
            engine_report=engine_report,
            error=None,
        )
        .returning(Clip.key)
        .execution_options(synchronize_session=False)
    )
    if completed.scalar_one_or_none() is None:
        return False
    waiting = await session.scalars(
        delete(ClipWant).where(ClipWant.clip_key == claimed.key).returning(ClipWant.run_id)
    )
    await runs.wake_waiting(session, waiting.all())
    await _announce(session, claimed.key, "clip.finished")
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
    clip.owner = clip.expires_at = clip.progress = None
    clip.state = ClipState.QUEUED
    if clip.attempt >= MAX_ATTEMPTS:
        await _settle_failed(session, clip, error)


async def make_again(session: AsyncSession, run: Run, files: Mapping[str, str]) -> None:
    """Queue the finished clips whose files were lost; their attempts so far still count.

    Args:
        session: a writing session.
        run: that wants them.
        files: what is wrong with each, by name.
    """
    for clip in await list_by(session, Clip, Clip.file, list(files)):
        if clip.state == ClipState.FINISHED:
            clip.state = ClipState.QUEUED
            clip.error = "Its file was lost or damaged each time."
            await insert_new(session, ClipWant, clip_key=clip.key, run_id=run.id)
            problem = files[clip.file or ""]
            await _announce(
                session, clip.key, "clip.damaged", file=clip.file or "", problem=problem
            )


async def list_by_key(session: AsyncSession, keys: Sequence[str]) -> dict[str, Clip]:
    """List clips by their keys."""
    return {clip.key: clip for clip in await list_by(session, Clip, Clip.key, keys)}


async def is_waited_for(session: AsyncSession, run_id: int) -> bool:
    """Tell whether a run waits for a clip that is queued or being made."""
    is_open = exists().where(ClipWant.run_id == run_id, ClipWant.clip_key == Clip.key, IS_OPEN_CLIP)
    return bool(await session.scalar(select(is_open)))


async def is_attended(session: AsyncSession, story_id: str) -> bool:
    """Tell whether somebody holds a lease of a story's run or of a clip it waits for."""
    run_is_driven = exists().where(
        Run.story_id == story_id, Run.state == RunState.RUNNING, Run.expires_at > now_s()
    )
    clip_is_made = exists().where(
        ClipWant.clip_key == Clip.key,
        ClipWant.run_id == Run.id,
        Run.story_id == story_id,
        Clip.state == ClipState.CLAIMED,
        Clip.expires_at > now_s(),
    )
    return bool(await session.scalar(select(or_(run_is_driven, clip_is_made))))


async def _find_first(session: AsyncSession, is_claimable: ColumnElement[bool], near: Near) -> int:
    found = await session.scalars(
        select(Clip.start_tag).where(is_claimable).order_by(Clip.start_tag).limit(MAX_NEAR)
    )
    tags = list(found)
    following = 0 if near.start_tag is None else near.start_tag + 1
    if following in tags or not tags:
        return following
    return tags[min(int(len(tags) * near.share), len(tags) - 1)]


def _is_claimable(engines: Sequence[str], story_id: str | None) -> ColumnElement[bool]:
    stale = and_(Clip.state == ClipState.CLAIMED, Clip.expires_at < now_s())
    is_free = or_(Clip.state == ClipState.QUEUED, stale)
    return and_(IS_OPEN_CLIP, is_free, Clip.engine.in_(engines), _wanted_by(story_id))


def _wanted_by(story_id: str | None) -> ColumnElement[bool]:
    """Match the clips that a run of a story wants; None: that of any."""
    if story_id is None:
        return true()
    return exists().where(
        ClipWant.clip_key == Clip.key, ClipWant.run_id == Run.id, Run.story_id == story_id
    )


def _batch(candidates: list[Clip]) -> list[Clip]:
    """Return the first clip and those that may be made beside it.

    A clip that was attempted before is rendered alone, so that it cannot fail its neighbors again.
    """
    return candidates[:1] + [
        clip
        for clip in candidates[1:]
        if clip.engine == candidates[0].engine and clip.attempt == candidates[0].attempt == 0
    ]


async def _settle_failed(session: AsyncSession, clip: Clip, error: str) -> None:
    clip.state = ClipState.FAILED
    clip.error = error
    clip.owner = clip.expires_at = clip.progress = None
    await session.flush()
    waiting = await session.scalars(select(ClipWant.run_id).where(ClipWant.clip_key == clip.key))
    await runs.wake_waiting(session, waiting.all())
    await _announce(session, clip.key, "clip.failed", error=error)


async def _announce(session: AsyncSession, key: str, kind: str, **data: str) -> None:
    heard = await session.execute(
        select(SceneVersion.story_id, Take.sub_event_id, Take.number)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .where(Take.clip_key == key)
        .order_by(SceneVersion.story_id, Take.id)
    )
    for story_id, sub_event_id, number in heard.all():
        labels = {"scene": sub_event_id, "take": number, "clip": key}
        await events.append(session, story_id, kind, **labels, **data)
