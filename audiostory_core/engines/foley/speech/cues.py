"""Cue words: short lists of words, in many languages, that say one thing about a speaker or a line.

A cue is a whole word, "whisper*" is every word that starts so; Chinese and Japanese cues match
anywhere. Text and cues are compared casefolded and NFKC-normalized.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_WRITTEN_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def plain(text: str) -> str:
    """Return the text as it is compared."""
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


@dataclass(frozen=True)
class Cues:
    """A list of cue words, ready to be looked for."""

    pattern: re.Pattern[str]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Cues":
        """Compile cue words as they stand in the files."""
        longest_first = sorted({plain(word) for word in words}, key=lambda word: (-len(word), word))
        return cls(re.compile("|".join(_expression(word) for word in longest_first)))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where cues start and end in a `plain` text, in order."""
        return [match.span() for match in self.pattern.finditer(text)]


def _expression(word: str) -> str:
    if _WRITTEN_WITHOUT_SPACES.search(word):
        return re.escape(word)
    if word.endswith("*"):
        return rf"\b{re.escape(word[:-1])}\w*"
    return rf"\b{re.escape(word)}\b"
