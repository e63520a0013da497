"""The spoken form of written words, for every engine with a voice and every estimate of length.

Plans, captions and subtitles keep the author's spelling; only what a voice is given changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from audiostory_core.text.spoken.marks import without_marks

NO_READINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class SpokenForm:
    """Words as they are spoken, and what of them is not."""

    text: str  # a word in IPA stands between slashes, "/ʃɪˈvɔːn/"; no other slashes are in it
    unspoken: tuple[str, ...] = ()  # footnote marks that were dropped, in order


def read_aloud(words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS) -> SpokenForm:
    """Return how written words are spoken.

    Words that are spoken as they are written come back as they are, character by character.

    Args:
        words: any text of any length.
        language: BCP 47 tag of the words; `und` leaves figures to the voice.
        lexicon: readings of the story, by the words they are of; see `lexicon.py`.
    """
    text, dropped = without_marks(words)
    return SpokenForm(text, dropped)


def spoken_form(words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS) -> str:
    """Return the text of `read_aloud`."""
    return read_aloud(words, language, lexicon).text
