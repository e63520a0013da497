"""How fast foley's speakers say their lines, without anything that makes sound."""

from functools import cache

from audiostory_core.engines.foley.speech.manner import Manners
from audiostory_core.engines.foley.speech.speakers import SpeakerWords

_ROBOT = 1.1  # the variants of a robot are faster than their words a minute say


@cache
def _words() -> tuple[SpeakerWords, Manners]:
    return SpeakerWords.load(), Manners.load()


def rate_wpm(speaker: str | None, description: str, index: int, manner: str | None) -> float:
    """Return the words a minute of a line, when nothing hurries.

    Args:
        speaker: name in the cast; None is the narrator or an unnamed voice.
        description: words about the speaker.
        index: place in the cast, from 1; 0 for the unnamed.
        manner: as written in the story.
    """
    speakers, manners = _words()
    voice = speakers.voice_for(speaker, description, index)
    timbre = _ROBOT if voice.variant.startswith("robosoft") else 1.0
    return voice.rate_wpm * timbre * manners.named_in(manner).rate
