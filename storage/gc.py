"""Finding rows and files that no story needs any more, and removing them.

A row is loose when no other row names it, a file when no row does and it is old enough. Rows go
first, in transactions that look again; files follow after the commit, each looked up once more.
What a step has made, but named in no revision or mix yet, is kept by two rules: no file that is
younger than the minimum age goes, and no segment or condition while a worker drives a run.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage import exports as exported
from storage.audio_files import AudioFiles
from storage.clips import WORK
from storage.database import Database
from storage.models import (
    AT_REST,
    Clip,
    Condition,
    Export,
    Mix,
    Run,
    RunState,
    SceneStem,
    SegmentRow,
    Take,
    Work,
    WorkKind,
    now_s,
)
from storage.ownership import condition_of
from storage.upsert import in_parts
from storage.wants import IS_WANTED


@dataclass(frozen=True)
class Sweep:
    """What is loose, or was removed.

    Args:
        clips: keys of clips that no scene, take or run names.
        segments: ids of segments that no mix names.
        conditions: ids of conditions that neither a scene nor a clip names.
        exports: keys of exports that a story has not used for the minimum age.
        files: content names without a row, leftovers and downloads, by their paths.
        file_bytes: of these files.
        busy_runs: runs that workers drive; while there are any, segments and conditions stay.
    """

    clips: list[str] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    file_bytes: int = 0
    busy_runs: int = 0


async def survey(database: Database, audio: AudioFiles, exports: Path, min_age_s: float) -> Sweep:
    """Find what `sweep` would remove now; changes nothing.

    Args:
        database: the open store.
        audio: its audio folder.
        exports: folder of files made for download.
        min_age_s: seconds for which everything is kept.
    """
    async with database.read() as session:
        clips = await _loose_clips(session, min_age_s)
        segments = await _loose_segments(session, audio, min_age_s)
        conditions = await _loose_conditions(session, leaving=clips)
        unused = await exported.list_unused(session, min_age_s)
        busy = await _count_busy(session)
        if busy:
            segments, conditions = [], []
        named = await _named_files(
            session,
            frozenset(clips),
            frozenset(segments),
            frozenset(conditions),
            min_age_s,
        )
    files = await asyncio.to_thread(_loose_files, audio, exports, named, min_age_s)
    return Sweep(clips, segments, conditions, unused, list(files), sum(files.values()), busy)


async def sweep(database: Database, audio: AudioFiles, exports: Path, min_age_s: float) -> Sweep:
    """Remove what is loose and return it; see `survey` for the arguments."""
    segments, busy = await _sweep_segments(database, audio, min_age_s)
    clips = await _sweep_clips(database, min_age_s)
    conditions = await _sweep_conditions(database)
    unused = await _sweep_exports(database, min_age_s)
    async with database.read() as session:
        named = await _named_files(session)
    files = await asyncio.to_thread(_loose_files, audio, exports, named, min_age_s)
    removed = await _remove_files(database, audio, list(files), min_age_s)
    size = sum(files[path] for path in removed)
    return Sweep(clips, segments, conditions, unused, removed, size, busy)


async def _sweep_clips(database: Database, min_age_s: float) -> list[str]:
    """Delete loose clips, and other work that nobody waits for.

    They are locked first and looked at again in a statement of its own: on Postgres that one sees
    whoever named a clip until it was locked, and nobody can name it after.
    """
    async with database.read() as session:
        loose = await _loose_clips(session, min_age_s)
    gone: list[str] = []
    for some in in_parts(loose):
        async with database.write() as session:
            locked = select(Clip.key).join(Work, WORK).order_by(Clip.key).with_for_update()
            is_loose = _is_loose_clip(min_age_s)
            keys = list(await session.scalars(locked.where(Clip.key.in_(some), is_loose)))
            again = select(Clip.key).join(Work, WORK).where(Clip.key.in_(keys), is_loose)
            loose_now = sorted(await session.scalars(again))
            is_of_them = and_(Work.kind == WorkKind.CLIP, Work.key.in_(loose_now))
            await session.execute(delete(Work).where(is_of_them))
            await session.execute(delete(Clip).where(Clip.key.in_(loose_now)))
            gone += loose_now
    async with database.write() as session:
        await session.execute(
            delete(Work).where(Work.kind != WorkKind.CLIP, *_is_at_rest(min_age_s))
        )
    return gone


async def _sweep_segments(
    database: Database, audio: AudioFiles, min_age_s: float
) -> tuple[list[int], int]:
    async with database.write() as session:
        busy = await _hold_runs(session)
        if busy:
            return [], busy
        loose = await _loose_segments(session, audio, min_age_s)
        for some in in_parts(loose):
            await session.execute(delete(SegmentRow).where(SegmentRow.id.in_(some)))
    return loose, 0


async def _sweep_conditions(database: Database) -> list[str]:
    async with database.write() as session:
        if await _hold_runs(session):
            return []
        loose = await _loose_conditions(session)
        for some in in_parts(loose):
            await session.execute(delete(Condition).where(Condition.id.in_(some)))
    return loose


async def _sweep_exports(database: Database, min_age_s: float) -> list[str]:
    async with database.read() as session:
        unused = await exported.list_unused(session, min_age_s)
    swept: list[str] = []
    for some in in_parts(unused):
        async with database.write() as session:
            swept += await exported.sweep(session, some, min_age_s)
    return swept


async def _hold_runs(session: AsyncSession) -> int:
    """Count the runs that workers drive, and let no worker claim one until the commit."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time
        await session.execute(text("LOCK TABLE run IN SHARE MODE"))
    return await _count_busy(session)


async def _count_busy(session: AsyncSession) -> int:
    driven = select(func.count()).select_from(Run).where(Run.state == RunState.RUNNING)
    return await session.scalar(driven) or 0


async def _remove_files(
    database: Database, audio: AudioFiles, paths: Sequence[Path], min_age_s: float
) -> list[Path]:
    """Remove files that no row has got meanwhile; a content name may have been made anew."""
    removed = []
    for some in in_parts(paths):
        async with database.read() as session:
            names = [path.name for path in some]
            kept = set(await session.scalars(select(Clip.file).where(Clip.file.in_(names))))
            for column in (SegmentRow.file, Condition.file, Export.file):
                kept |= set(await session.scalars(select(column).where(column.in_(names))))
        for path in some:
            if path.name not in kept and await asyncio.to_thread(
                audio.remove_older, path, min_age_s
            ):
                removed.append(path)
    return removed


def _is_loose_clip(min_age_s: float) -> ColumnElement[bool]:
    """Match a clip, joined to its work, that is loose."""
    return and_(
        *_is_at_rest(min_age_s),
        func.coalesce(Clip.finished_at, 0.0) < now_s() - min_age_s,
        ~exists().where(SceneStem.clip_key == Clip.key),
        ~exists().where(Take.clip_key == Clip.key),
    )


def _is_at_rest(min_age_s: float) -> tuple[ColumnElement[bool], ...]:
    """Match work that nobody does and nobody waits for, and has not for a while."""
    return (
        Work.state.in_(AT_REST),
        Work.queued_at < now_s() - min_age_s,
        ~IS_WANTED,
    )


async def _loose_clips(session: AsyncSession, min_age_s: float) -> list[str]:
    loose = select(Clip.key).join(Work, WORK).where(_is_loose_clip(min_age_s)).order_by(Clip.key)
    return list(await session.scalars(loose))


async def _loose_segments(session: AsyncSession, audio: AudioFiles, min_age_s: float) -> list[int]:
    named: set[int] = set()
    async for segments in await session.stream_scalars(select(Mix.segments)):
        named.update(segments)
    loose = [
        (segment_id, file)
        async for segment_id, file in await session.stream(
            select(SegmentRow.id, SegmentRow.file).order_by(SegmentRow.id)
        )
        if segment_id not in named
    ]
    return await asyncio.to_thread(_not_fresh, loose, audio, min_age_s)


def _not_fresh(
    segments: Sequence[tuple[int, str | None]], audio: AudioFiles, min_age_s: float
) -> list[int]:
    fresh_since = time.time() - min_age_s
    fresh = set()
    for segment_id, file in segments:
        if file is None:
            continue
        with suppress(FileNotFoundError):
            if audio.path(file).stat().st_mtime >= fresh_since:
                fresh.add(segment_id)
    return [segment_id for segment_id, _ in segments if segment_id not in fresh]


async def _loose_conditions(session: AsyncSession, leaving: Sequence[str] = ()) -> list[str]:
    """List the conditions that no scene names, nor any clip but those that leave with them."""
    unnamed = select(Condition.id).where(~exists().where(SceneStem.condition_id == Condition.id))
    loose = set(await session.scalars(unnamed))
    if loose:
        leaves = frozenset(leaving)
        async for key, request in await session.stream(select(Clip.key, Clip.request)):
            if key not in leaves:
                loose.discard(condition_of(request))
    return sorted(loose)


async def _named_files(
    session: AsyncSession,
    leaving_clips: frozenset[str] = frozenset(),
    leaving_segments: frozenset[int] = frozenset(),
    leaving_conditions: frozenset[str] = frozenset(),
    used_s: float | None = None,
) -> set[str]:
    named = {
        file
        async for key, file in await session.stream(select(Clip.key, Clip.file))
        if file is not None and key not in leaving_clips
    }
    async for segment_id, file in await session.stream(select(SegmentRow.id, SegmentRow.file)):
        if file is not None and segment_id not in leaving_segments:
            named.add(file)
    large = select(Condition.id, Condition.file).where(Condition.file.is_not(None))
    async for condition_id, tensors in await session.stream(large):
        if tensors is not None and condition_id not in leaving_conditions:
            named.add(tensors)
    return named.union(await exported.list_files(session, used_s=used_s))


def _loose_files(
    audio: AudioFiles, exports: Path, named: set[str], min_age_s: float
) -> dict[Path, int]:
    """Return the sizes of files that nothing needs, in bytes."""
    fresh_since = time.time() - min_age_s
    loose = {audio.path(name): stat for name, stat in audio.find_names() if name not in named}
    loose |= dict(audio.find_leftovers())
    for path in exports.glob("*"):
        with suppress(FileNotFoundError):
            loose[path] = path.stat()
    return {path: stat.st_size for path, stat in loose.items() if stat.st_mtime < fresh_since}
