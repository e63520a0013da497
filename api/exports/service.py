"""Opening the mix of a story, and having it exported; light enough for commands that do neither."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from api.store import OpenStore
from audiostory_core.errors import UnreadableAudio
from audiostory_core.stem import Stem
from storage import exports, mixes, revisions, stories
from storage.audio_files import AudioFiles
from storage.errors import NotFound
from storage.wants import Wanted

if TYPE_CHECKING:
    from api.exports.schemas import ExportCreate, ExportView
    from audiostory_core.audio.mixdown import Mixdown


async def open_mix(
    session: AsyncSession, audio: AudioFiles, story_id: str, stem: str | None = None
) -> "Mixdown":
    """Open the mix of a story's current revision with its mastering, or one stem before it.

    Args:
        session: a reading session.
        audio: where the files are.
        story_id: of the story.
        stem: what it adds to the mix, its gain and ducking included; None is the mix.

    Raises:
        NotFound: if there is no such story, its mix is not made yet, or has no such stem.
        UnreadableAudio: if a file is missing, or known to be damaged; that it is, is otherwise
            found out by reading.
    """
    from audiostory_core.audio.mixdown import (  # noqa: PLC0415 - numpy takes a moment
        MasterGain,
        Mixdown,
    )
    from audiostory_core.audio.stems import StemSum, open_source  # noqa: PLC0415 - numpy

    story = await stories.get(session, story_id)
    mix = None
    if story.revision_id is not None:
        mix = await revisions.find_mix(session, story.revision_id)
    if mix is None:
        raise NotFound("mix of story", story_id)
    if stem is not None and stem not in mix.stems:
        raise NotFound(f"stem of the mix of story {story_id}", stem)
    places = {
        name: [
            (None if file is None else audio.path(file), offset, samples)
            for file, offset, samples in chain
        ]
        for name, chain in (await mixes.list_places(session, mix)).items()
    }
    source = open_source(places, mix.balance, audio.is_intact)
    for segment in source.segments:
        problem = audio.find_problem(segment.path)
        if problem is not None:
            raise UnreadableAudio(segment.path, problem)
    if stem is not None:  # a mix of one chain is that stem
        return Mixdown(source.stem(Stem(stem)) if isinstance(source, StemSum) else source)
    return Mixdown(source, MasterGain(mix.mastering["gain_db"], mix.mastering["limiting"]))


async def request_export(store: OpenStore, story_id: str, wanted: "ExportCreate") -> "ExportView":
    """Have a worker make a file of a story's current mix, unless there is one.

    Raises:
        BadInput: if the stem is not to be had in that format.
        NotFound: see `open_mix`.
        UnreadableAudio: likewise.
    """
    from api.exports.schemas import ExportView  # noqa: PLC0415 - numpy takes a moment
    from audiostory_core.audio.export_request import ExportRequest  # noqa: PLC0415 - numpy

    async with store.database.read() as session:
        mix = await open_mix(session, store.audio, story_id, wanted.stem)
        story = await stories.get(session, story_id)
        revision = await revisions.get(session, story.revision_id or 0)
    request = await asyncio.to_thread(ExportRequest.of, mix, wanted.format, wanted.stem)
    await find_file(store, story_id, request.key)
    queued = Wanted(request.key, wanted.format, request.as_text())
    async with store.database.write() as session:
        return ExportView.of(
            *await exports.want(
                session, story_id, queued, revision=revision.number, stem=wanted.stem
            )
        )


async def find_file(store: OpenStore, story_id: str, key: str) -> Path | None:
    """Find the file of an export, whole, and note that it is used; one that is damaged is made again."""
    async with store.database.read() as session:
        made = await exports.find_made(session, story_id, key)
        is_noted = made is None or await exports.is_use_noted(session, made)
    if made is None or made.file is None:
        return None
    path = store.audio.path(made.file)
    if not await asyncio.to_thread(store.audio.is_intact, path):
        await asyncio.to_thread(store.audio.set_aside, made.file)
        async with store.database.write() as session:
            await exports.make_again(session, key, made.file)
        return None
    if not is_noted:
        async with store.database.write() as session:
            await exports.note_use(session, story_id, key)
    return path
