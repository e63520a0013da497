"""The spoken form of written words, for every engine with a voice and every estimate of length.

Plans, captions and subtitles keep the author's spelling; only what a voice is given changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from audiostory_core.text.scripts import UNKNOWN, language_of_words, tag_of
from audiostory_core.text.spoken import numbers
from audiostory_core.text.spoken.abbreviations import Abbreviations
from audiostory_core.text.spoken.chinese import Chinese
from audiostory_core.text.spoken.counting import Counting
from audiostory_core.text.spoken.figures import Figures
from audiostory_core.text.spoken.japanese import Japanese
from audiostory_core.text.spoken.korean import Korean
from audiostory_core.text.spoken.lexicon import hide, show
from audiostory_core.text.spoken.marks import without_marks
from audiostory_core.text.spoken.roman import Roman
from audiostory_core.text.spoken.tongue import Tongue, tongue_of

NO_READINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class SpokenForm:
    """Words as they are spoken, and what of them is not."""

    text: str  # a word in IPA stands between slashes, "/ʃɪˈvɔːn/"; no other slashes are in it
    unspoken: tuple[str, ...] = ()  # footnote marks that were dropped, in order


class _Reader(Protocol):
    def read(self, text: str) -> str: ...


class _Spaced:
    """Reads a language whose words are apart."""

    def __init__(self, tongue: Tongue) -> None:
        counting = Counting(tongue)
        self._abbreviations = Abbreviations(tongue)
        self._roman = Roman(tongue, counting)
        self._figures = Figures(tongue)

    def read(self, text: str) -> str:
        """Return the text in words."""
        text = self._abbreviations.signs(self._abbreviations.spoken(self._roman.spoken(text)))
        return self._figures.spoken(text)


_OTHERS: Mapping[str, Callable[[], _Reader]] = {
    "ja": Japanese,
    "zh": Chinese,
    "cmn": Chinese,
    "ko": Korean,
}


@lru_cache(maxsize=64)
def _reader(language: str) -> _Reader | None:
    if language in _OTHERS:
        return _OTHERS[language]()
    tongue = tongue_of(language)
    if tongue is None and numbers.can_spell(language):
        tongue = Tongue(language)
    return None if tongue is None else _Spaced(tongue)


def read_aloud(words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS) -> SpokenForm:
    """Return how written words are spoken.

    Words that are spoken as they are written come back as they are, character by character.

    Args:
        words: any text of any length.
        language: BCP 47 tag of the words; `und` is told by their script.
        lexicon: readings of the story, by the words they are of; see `lexicon.py`.
    """
    text, dropped = without_marks(words)
    of_words = language_of_words(text, tag_of(language)).split("-")[0]
    text, readings = hide(text, lexicon) if lexicon else (text, [])
    reader = None if of_words == UNKNOWN else _reader(of_words)
    if reader is not None:
        text = reader.read(text)
    text = text.replace("/", " ")
    return SpokenForm(show(text, readings) if readings else text, dropped)


def spoken_form(words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS) -> str:
    """Return the text of `read_aloud`."""
    return read_aloud(words, language, lexicon).text
