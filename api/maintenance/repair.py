"""Making damaged files of mixes again: clips by their engine, seams from the clips beside them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.store import OpenStore
from audiostory_core.audio.pcm import au_bytes
from audiostory_core.audio.rendering import render_end, render_seam
from audiostory_core.errors import UnreadableAudio
from storage import mixes, revisions, runs, stories
from storage.audio_files import AudioFiles
from storage.models import ACTIVE, SegmentRow, Wait

Result = TypeVar("Result")


async def find_damaged(store: OpenStore, story_id: str) -> dict[str, str]:
    """Read every file that the mix of a story's current revision needs.

    Returns:
        Those that are "missing" or "damaged", by name; none if there is no mix.
    """
    async with store.database.read() as session:
        story = await stories.get(session, story_id)
        mix = await revisions.find_mix(session, story.revision_id or 0)
        needed = await mixes.list_segment_files(session, mix) if mix else {}
    files = {file for _, file in needed.values() if file is not None}
    return await asyncio.to_thread(store.audio.find_damaged, files)


async def queue_mending(store: OpenStore, story_id: str) -> None:
    """Have a run of the same revision make damaged files of its mix again.

    A run that waits with that mix for its author gives way to the new one, which waits likewise.
    """
    async with store.database.write() as session:
        story = await stories.get(session, story_id)
        run = await stories.find_latest_run(session, story_id)
        mix = await revisions.find_mix(session, story.revision_id or 0)
        if run is not None and run.state in ACTIVE:
            await runs.cancel(session, run)
        is_accepted = mix is not None and mix.is_accepted
        await stories.queue_run(session, story, review=not is_accepted, approved=[Wait.PLAN_REVIEW])


async def mend_seam(store: OpenStore, file: str) -> bool:
    """Render a seam again; False if it is none, or the clips around it are damaged too.

    The same clips make the same bytes. If they do not, on another processor, the rows that name
    the seam get the new file.
    """
    async with store.database.read() as session:
        neighbors = await mixes.find_around(session, file)
    if neighbors is None:
        return False
    await asyncio.to_thread(store.audio.set_aside, file)
    rendered = await asyncio.to_thread(_render, *neighbors, store.audio)
    if rendered is None:
        return False
    if rendered != file:
        async with store.database.write() as session:
            await mixes.rename_file(session, file, rendered)
    return True


async def read_mended(store: OpenStore, read: Callable[[], Awaitable[Result]]) -> Result:
    """Do something that reads a mix; again after each damaged seam that is met and mended.

    Raises:
        UnreadableAudio: if a file cannot be mended here: a clip, or a seam time and again.
    """
    mended: set[str] = set()
    while True:
        try:
            return await read()
        except UnreadableAudio as error:
            file = error.path.name
            if file in mended or not await mend_seam(store, file):
                raise
            mended.add(file)


def _render(
    before: SegmentRow, seam: SegmentRow, after: SegmentRow, audio: AudioFiles
) -> str | None:
    """Fade from what follows the first body in its clip to what precedes the second in its own.

    The second may be silent, then the first ends.
    """
    files = {file for file in (before.file, after.file) if file is not None}
    if before.file is None or audio.find_damaged(files):
        return None
    left, left_end = audio.path(before.file), before.offset + before.samples
    if after.file is None:
        rendered = render_end(left, left_end, seam.samples)
    else:
        rendered = render_seam(left, left_end, audio.path(after.file), seam.samples)
    return audio.add(".au", au_bytes(rendered.waveform))
