"""Patterns of what authors of one language say to change a scene, from its language file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiostory_core.planners.clauses.language import any_phrase

LOOSE = ' ,;:.!?，。、；：！？"“”'


@dataclass(frozen=True)
class ChangeWords:
    """What the authors of one language say to change a scene."""

    remove: tuple[re.Pattern[str], ...]
    replace: tuple[re.Pattern[str], ...]
    add: tuple[re.Pattern[str], ...]
    at_start: re.Pattern[str]
    at_end: re.Pattern[str]
    politeness: re.Pattern[str]
    splits: re.Pattern[str]  # between two changes
    opening: re.Pattern[str]  # "make it"
    add_with: str
    says: str
    hedges: frozenset[str]
    spaced: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "ChangeWords":
        """Compile the `[change]` table of a language file."""
        table = entry["change"]
        spaced = bool(entry.get("spaced", True))
        openings = any_phrase(table["splits"].split("|"), spaced=spaced).pattern
        joiners = "|".join(sorted(entry.get("joiners", "").split())) or "(?!)"
        return cls(
            remove=_whole(table["remove"]),
            replace=_whole(table["replace"]),
            add=_whole(table["add"]),
            at_start=re.compile(rf"\s*(?:{table['at_start']})\s*", re.IGNORECASE),
            at_end=re.compile(rf"\s*(?:{table['at_end']})\s*", re.IGNORECASE),
            politeness=_phrases(table["politeness"], spaced=spaced),
            splits=re.compile(
                rf"\s*(?:[,;，、；]\s*(?:(?:{joiners})\s+)?|[.。]\s*|\s(?:{joiners})\s+)(?={openings})",
                re.IGNORECASE,
            ),
            opening=re.compile(
                rf"(?:{openings})\s*(?:(?:it|this|them|everything|the scene)\s+)?", re.IGNORECASE
            ),
            add_with=table["add_with"],
            says=table["says"],
            hedges=frozenset(table["hedges"].split()),
            spaced=spaced,
        )

    def bare(self, words: str) -> str:
        """Return the words without those that only address the planner."""
        return " ".join(self.politeness.sub(" ", words).split()).strip(LOOSE)


def _phrases(words: str, *, spaced: bool) -> re.Pattern[str]:
    pattern = any_phrase(words.split("|"), spaced=spaced).pattern
    return re.compile(rf"(?<!\w){pattern}" if spaced else pattern, re.IGNORECASE)


def _whole(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:{pattern})[.!。！]*", re.IGNORECASE) for pattern in patterns)


def first_of(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    """Return the match of the first pattern that the whole text matches."""
    matches = (pattern.fullmatch(text.strip(LOOSE)) for pattern in patterns)
    return next((match for match in matches if match), None)
