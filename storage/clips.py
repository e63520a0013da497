"""Clips: what they are made from and what was made; the queue they are made through is work.py."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import wants, work
from storage.announcements import tell_of_clip
from storage.models import (
    IS_OPEN_WORK,
    Clip,
    Json,
    Run,
    SceneVersion,
    Take,
    Work,
    WorkKind,
    now_s,
)
from storage.upsert import in_parts, insert_all_new, list_by
from storage.wants import Wanted

WORK = and_(Work.key == Clip.key, Work.kind == WorkKind.CLIP)  # joins a clip to its work


async def want(session: AsyncSession, run: Run, key: str, engine: str, request: str) -> Work:
    """Note that a run wants a clip, and queue the clip unless it exists; see `want_all`."""
    return (await want_all(session, run, [Wanted(key, engine, request)]))[key]


async def want_all(session: AsyncSession, run: Run, wanted: Sequence[Wanted]) -> dict[str, Work]:
    """Note that a run wants clips, and queue those that do not exist; see `wants.want_all`.

    Returns:
        The work on each clip by its key.
    """
    rows = {
        entry.key: {"key": entry.key, "engine": entry.needs, "request": entry.request}
        for entry in wanted
    }
    await insert_all_new(session, Clip, [rows[key] for key in sorted(rows)])
    queued = [Wanted(entry.key, entry.needs) for entry in wanted]
    return await wants.want_all(session, run, WorkKind.CLIP, queued)


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
    is_open = and_(IS_OPEN_WORK, Work.kind == WorkKind.CLIP, Work.needs.in_(engines))
    wanted = select(Work.key).where(is_open, wants.wanted_by(story_id))
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


async def is_any_audible(session: AsyncSession, files: Sequence[str]) -> bool:
    """Tell whether any of these files has a sound that its request names; silence is none."""
    for some in in_parts(files):
        for report in await session.scalars(select(Clip.engine_report).where(Clip.file.in_(some))):
            if report and report["matched"] and not report.get("is_silence"):
                return True
    return False


async def complete(
    session: AsyncSession,
    claimed: Work,
    *,
    file: str,
    measures: Json,
    engine_report: Json,
    render_s: float,
) -> bool:
    """Finish a clip whose file is in place; False if another worker has taken it over."""
    if not await work.finish(session, claimed):
        return False
    await session.execute(
        update(Clip)
        .where(Clip.key == claimed.key)
        .values(
            finished_at=now_s(),
            render_s=render_s,
            file=file,
            measures=measures,
            engine_report=engine_report,
        )
        .execution_options(synchronize_session=False)
    )
    await tell_of_clip(session, claimed.key, "clip.finished")
    return True


async def make_again(session: AsyncSession, run: Run, files: Mapping[str, str]) -> None:
    """Queue the finished clips whose files were lost; their attempts so far still count.

    Args:
        session: a writing session.
        run: that wants them.
        files: what is wrong with each, by name.
    """
    error = "Its file was lost or damaged each time."
    for clip in await list_by(session, Clip, Clip.file, list(files)):
        file, clip.file = clip.file or "", None
        await work.reopen(session, WorkKind.CLIP, clip.key, [run.id], error)
        await tell_of_clip(session, clip.key, "clip.damaged", file=file, problem=files[file])


async def get(session: AsyncSession, key: str) -> Clip:
    """Get a clip that is known to exist."""
    return await session.get_one(Clip, key)


async def list_by_key(session: AsyncSession, keys: Sequence[str]) -> dict[str, Clip]:
    """List clips by their keys."""
    return {clip.key: clip for clip in await list_by(session, Clip, Clip.key, keys)}
