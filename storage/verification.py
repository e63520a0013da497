"""Reading every clip again that a story needs, and having damaged ones made anew."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events, exports, ownership, stories, work
from storage.audio_files import AudioFiles
from storage.database import Database
from storage.models import (
    Clip,
    Condition,
    Mix,
    Revision,
    SceneStem,
    SceneVersion,
    SegmentRow,
    WorkKind,
    now_s,
)
from storage.upsert import in_parts

Found = Literal["missing", "damaged"]
Progress = Callable[[int, int], None]  # files read, files in all


@dataclass(frozen=True)
class Damage:
    """A file that is not what its name says.

    Args:
        file: its content name.
        found: what is there instead.
        clips: keys of the finished clips it is the sound of; none for a seam or tensors.
        exports: keys of the exports it was made for.
    """

    file: str
    found: Found
    clips: tuple[str, ...]
    exports: tuple[str, ...] = ()


async def verify(
    database: Database,
    audio: AudioFiles,
    story_id: str | None = None,
    on_progress: Progress | None = None,
) -> list[Damage]:
    """Read the files of finished clips, seams, tensors and exports; list those damaged or missing.

    Args:
        database: the open store.
        audio: its audio folder.
        story_id: look only at what this story needs, its takes and old revisions included.
        on_progress: called after every file.
    """
    async with database.read() as session:
        needed = await _needed_files(session, story_id)
        exported = await exports.list_files(session, story_id)
    needed |= {file: [] for file in exported if file not in needed}
    damages = []
    for at, (file, keys) in enumerate(sorted(needed.items()), start=1):
        if not await asyncio.to_thread(audio.is_whole, file):
            is_there = await asyncio.to_thread(audio.path(file).exists)
            damage: Found = "damaged" if is_there else "missing"
            damages.append(Damage(file, damage, tuple(keys), tuple(exported.get(file, ()))))
        if on_progress is not None:
            on_progress(at, len(needed))
    return damages


async def repair(database: Database, audio: AudioFiles, damage: Damage) -> int:
    """Move a damaged file aside; queue its clips and exports again, and return how many.

    The file goes first: a process that dies in between leaves a missing file to be found.
    """
    await asyncio.to_thread(audio.set_aside, damage.file)
    queued = 0
    for key in damage.clips:
        async with database.write() as session:
            queued += await _queue_again(session, key, damage)
    for key in damage.exports:
        async with database.write() as session:
            queued += await exports.make_again(session, key, damage.file)
    return queued


async def _needed_files(session: AsyncSession, story_id: str | None) -> dict[str, list[str]]:
    """Return the files of finished clips with these clips' keys, of seams and of tensors."""
    needed: dict[str, list[str]] = {}
    made = select(Clip.file, Clip.key).where(Clip.file.is_not(None))
    queries = [made]
    if story_id is not None:
        keys = await ownership.list_clips(session, story_id)
        queries = [made.where(Clip.key.in_(some)) for some in in_parts(keys)]
    for query in queries:
        for file, key in await session.execute(query):
            if file is not None:
                needed.setdefault(file, []).append(key)
    for file in await _segment_files(session, story_id):
        needed.setdefault(file, [])
    for file in await _tensor_files(session, story_id):
        needed.setdefault(file, [])
    return needed


async def _tensor_files(session: AsyncSession, story_id: str | None) -> set[str]:
    """Return the files of what scenes are conditioned on, where that is too large for a row."""
    large = select(Condition.file).where(Condition.file.is_not(None))
    if story_id is None:
        return {file for file in await session.scalars(large) if file is not None}
    files: set[str | None] = set()
    for some in in_parts(await ownership.list_sub_events(session, story_id)):
        worded = large.join(SceneStem, SceneStem.condition_id == Condition.id).join(
            SceneVersion, SceneVersion.id == SceneStem.scene_id
        )
        files.update(await session.scalars(worded.where(SceneVersion.sub_event_id.in_(some))))
    return {file for file in files if file is not None}


async def _segment_files(session: AsyncSession, story_id: str | None) -> set[str]:
    mixes = select(Mix.segments)
    if story_id is not None:
        mixes = mixes.join(Revision, Revision.id == Mix.revision_id)
        mixes = mixes.where(Revision.story_id == story_id)
    named: set[int] = set()
    for segments in await session.scalars(mixes):
        named.update(segments)
    files: set[str] = set()
    for some in in_parts(sorted(named)):
        of_some = select(SegmentRow.file).where(SegmentRow.id.in_(some))
        files.update(file for file in await session.scalars(of_some) if file is not None)
    return files


async def _queue_again(session: AsyncSession, key: str, damage: Damage) -> bool:
    """Queue a finished clip again, unless it was made again meanwhile, and say so."""
    clip = await session.get(Clip, key, with_for_update=True)
    if clip is None or clip.file != damage.file:
        return False
    clip.file = clip.finished_at = None
    hearing = await ownership.list_listening_stories(session, key)
    newest = [
        await stories.find_latest_run(session, story_id)
        for story_id in dict.fromkeys(story_id for story_id, _ in hearing)
    ]
    run_ids = [run.id for run in newest if run is not None]
    queued = await work.reopen(session, WorkKind.CLIP, key, run_ids, error=None)
    queued.attempt = 0
    queued.queued_at = (await session.execute(select(now_s()))).scalar_one()
    await session.flush()
    for story_id, sub_event_id in hearing:
        await events.append(
            session,
            story_id,
            "clip.damaged",
            scene=sub_event_id,
            clip=key,
            file=damage.file,
            found=damage.found,
        )
    return True
