"""Making damaged files of mixes again: clips by their engine, seams from the clips beside them."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import select, update

from api.revisions.service import PLAN_REVIEW
from api.store import OpenStore
from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.mixdown import Segment as Slice
from audiostory_core.audio.pcm import Waveform, au_bytes
from storage import mixes, runs, stories
from storage.audio_files import AudioFiles
from storage.models import ACTIVE, Mix, Segment
from storage.verification import Damage

Neighbours = tuple[Segment, Segment, Segment]  # the body before a seam, the seam, the body after


async def find_damaged(store: OpenStore, story_id: str) -> dict[str, str]:
    """Read every file that the mix of a story's current revision needs.

    Returns:
        Those that are "missing" or "damaged", by name; none if there is no mix.
    """
    async with store.database.read() as session:
        story = await stories.get(session, story_id)
        mix = await session.get(Mix, story.revision_id or 0)
        needed = await mixes.list_segment_files(session, mix) if mix else {}
    return await asyncio.to_thread(store.audio.find_damaged, {file for _, file in needed.values()})


async def queue_mending(store: OpenStore, story_id: str) -> None:
    """Have a run of the same revision make damaged files of its mix again.

    A run that waits with that mix for its author gives way to the new one, which waits likewise.
    """
    async with store.database.write() as session:
        story = await stories.get(session, story_id)
        run = await stories.find_latest_run(session, story_id)
        mix = await session.get(Mix, story.revision_id or 0)
        if run is not None and run.state in ACTIVE:
            await runs.cancel(session, run)
        is_accepted = mix is not None and mix.is_accepted
        await stories.queue_run(session, story, review=not is_accepted, approved=[PLAN_REVIEW])


async def mend_seam(store: OpenStore, damage: Damage) -> bool:
    """Render a seam again; False if it is none, or the clips around it are damaged too.

    The same clips make the same bytes. If they do not, on another processor, the rows that name
    the seam get the new file.
    """
    found = await _find_neighbours(store, damage.file)
    if found is None:
        return False
    await asyncio.to_thread(store.audio.set_aside, damage.file)
    file = await asyncio.to_thread(_render, found, store.audio)
    if file is None:
        return False
    if file != damage.file:
        async with store.database.write() as session:
            await session.execute(
                update(Segment)
                .where(Segment.file == damage.file)
                .values(file=file)
                .execution_options(synchronize_session=False)
            )
    return True


async def _find_neighbours(store: OpenStore, file: str) -> Neighbours | None:
    async with store.database.read() as session:
        named = set(await session.scalars(select(Segment.id).where(Segment.file == file)))
        async for mix in await session.stream_scalars(select(Mix)):
            if named & set(mix.segments):
                return _around(await mixes.list_segments(session, mix), named)
    return None


def _around(ordered: Sequence[Segment], named: set[int]) -> Neighbours | None:
    for (before, seam), (_, after) in pairwise(pairwise(ordered)):
        if seam.id in named and seam.seam is not None:
            return before, seam, after
    return None


def _render(found: Neighbours, audio: AudioFiles) -> str | None:
    """Fade from what follows the first body in its clip to what precedes the second in its own."""
    before, seam, after = found
    if not (audio.is_whole(before.file) and audio.is_whole(after.file)):
        return None
    end = before.offset + before.samples
    left = _read(audio, before.file, end, seam.samples)
    right = _read(audio, after.file, after.offset - seam.samples, seam.samples)
    return audio.add(".au", au_bytes(crossfade(left, right)))


def _read(audio: AudioFiles, file: str, start: int, samples: int) -> Waveform:
    with Mixdown([Slice(audio.path(file), start, samples)]) as clip:
        return clip.read(0, samples)
