"""Runs of words of a remark that may describe a sound."""

import re
from collections.abc import Iterator

from audiostory_core.planners.clauses.language import Language

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LOOSE = " ,:;，：的はをがの中里"
_LED_TO = re.compile(
    r"(?:\s+(?:in|of|for|during|the|to|en|de|la|dans|bei|von|der|pour))+$", re.IGNORECASE
)
_LED_FROM = re.compile(r"^(?:in|in the|en|dans)\s+(?=\w)", re.IGNORECASE)
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


def without_dangling(words: str) -> str:
    """Drop what led to the name of a scene: "louder in", "of the", ": more rain"."""
    return _LED_FROM.sub("", _LED_TO.sub("", words.strip(_LOOSE))).strip(_LOOSE)
