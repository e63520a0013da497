"""Runs of words of a remark that may describe a sound."""

import re
from collections.abc import Iterator

from audiostory_core.planners.clauses.language import Language

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST_PHRASE = 5  # words of a direction such as "from the left side"


def phrases_of(part: str, language: Language) -> Iterator[str]:
    """Yield runs of words of a change that may describe a sound, the longest first."""
    spans = [m.span() for m in _WORD.finditer(part)]
    if not language.spaced:
        spans = [(at, at + 1) for at in range(len(part))]
    for length in range(_LONGEST_PHRASE, 0, -1):
        for i in range(len(spans) - length + 1):
            words = part[spans[i][0] : spans[i + length - 1][1]]
            first, _, rest = words.partition(" ")
            if language.code == "en" and language.is_verb(first) and not first.endswith("ing"):
                yield f"and {_third_person(first)} {rest}".strip()
            else:
                yield words


def _third_person(verb: str) -> str:
    if verb.endswith(("ss", "ch", "sh", "x", "o")):
        return verb + "es"
    return verb if verb.endswith("s") else verb + "s"
