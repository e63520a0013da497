"""Opening the mix of a story; light enough for commands that open none."""

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.errors import UnreadableAudio
from storage import mixes, revisions, stories
from storage.audio_files import AudioFiles
from storage.errors import NotFound

if TYPE_CHECKING:
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
    from audiostory_core.audio.stems import StemSum, open_source  # noqa: PLC0415
    from audiostory_core.stem import Stem  # noqa: PLC0415

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
