"""Opening the mix of a story; light enough for commands that open none."""

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.errors import UnreadableAudio
from storage import mixes, revisions, stories
from storage.audio_files import AudioFiles
from storage.errors import NotFound

if TYPE_CHECKING:
    from audiostory_core.audio.mixdown import Mixdown


async def open_mix(session: AsyncSession, audio: AudioFiles, story_id: str) -> "Mixdown":
    """Open the mix of a story's current revision with its mastering.

    Raises:
        NotFound: if there is no such story, or its mix is not made yet.
        UnreadableAudio: if a file is missing, or known to be damaged; that it is, is otherwise
            found out by reading.
    """
    from audiostory_core.audio.mixdown import (  # noqa: PLC0415 - numpy takes a moment
        MasterGain,
        Mixdown,
        MixSegment,
    )

    story = await stories.get(session, story_id)
    mix = None
    if story.revision_id is not None:
        mix = await revisions.find_mix(session, story.revision_id)
    if mix is None:
        raise NotFound("mix of story", story_id)
    segments = [
        MixSegment(audio.path(file), offset, samples)
        for file, offset, samples in await mixes.list_places(session, mix)
    ]
    for segment in segments:
        problem = audio.find_problem(segment.path)
        if problem is not None:
            raise UnreadableAudio(segment.path, problem)
    mastering = MasterGain(mix.mastering["gain_db"], mix.mastering["limiting"])
    return Mixdown(segments, mastering, audio.is_intact)
