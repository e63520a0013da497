"""Lengths that plain words request for a scene: "12 s", "5 seconds longer", "half as long"."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import CODES, any_phrase
from audiostory_core.story.plan import LONGEST_STORY_S, SHORTEST_SUB_EVENT_S, samples_of, seconds_of

LONGER, SHORTER = 1.25, 0.8  # where the words say longer or shorter, but not how much
_DIGITS = "零一二三四五六七八九"
_UNIT_S = {"hour": 3600.0, "minute": 60.0, "second": 1.0}
_MORE = re.compile(r"\b(?:add|more|extra|más|plus|mehr)\b|长(?=\d)", re.IGNORECASE)
_LESS = re.compile(r"\b(?:cut|off|less|fewer)\b|短(?=\d)")
_FACTORS = (
    (re.compile(r"\b(?:half as long|half the length|halb so lang|la mitad|moitié)\b|一半|半分", re.IGNORECASE), 0.5),
    (re.compile(r"\b(?:twice as long|double the length|doppelt so lang|el doble|deux fois plus long)\b|两倍|2倍|二倍", re.IGNORECASE), 2.0),
)  # fmt: skip


class LengthReader:
    """Reads lengths of time that plain words request for a scene or a story.

    Args:
        entries: the language files, for their numbers, units, and words for longer and shorter.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self._numbers = {
            word: float(value)
            for entry in entries
            for word, value in entry.get("numbers", {}).items()
            if len(word) > 1 or not entry.get("spaced", True)
        }
        self._numbers |= {_in_han(number): float(number) for number in range(1, 100)} | {"两": 2.0}
        han = {word: self._numbers[word] for word in map(_in_han, range(1, 100))} | {"两": 2.0}
        self._own_numbers = {
            code: {word: float(value) for word, value in entry.get("numbers", {}).items()}
            | ({} if entry.get("spaced", True) else han)
            for code, entry in zip(CODES, entries, strict=True)
        }
        self._units = {
            word: _UNIT_S[unit]
            for entry in entries
            for unit, words in entry.get("units", {}).items()
            for word in words.split("|")
        }
        numbers = "|".join(re.escape(w) for w in sorted(self._numbers, key=len, reverse=True))
        units = "|".join(re.escape(w) for w in sorted(self._units, key=len, reverse=True))
        self._length = re.compile(
            rf"(?<![^\W_\u3040-\u9fff])(?<![.])(?P<number>\d+(?:[.,]\d+)?|{numbers})\s*-?(?P<unit>{units})(?![a-z])",
            re.IGNORECASE,
        )
        self._number = re.compile(
            rf"(?<![a-z\u00c0-\u024f])(?:\d+|{numbers})(?![a-z\u00c0-\u024f])", re.IGNORECASE
        )
        self._more, self._less = (
            re.compile(
                "|".join(
                    any_phrase(
                        entry["change"]["asked"][name].split("|"),
                        spaced=bool(entry.get("spaced", True)),
                    ).pattern
                    for entry in entries
                ),
                re.IGNORECASE,
            )
            for name in ("longer", "shorter")
        )

    def spans(self, words: str) -> list[tuple[int, int, float]]:
        """Return where lengths of time stand in words, and their seconds."""
        return [
            (match.start(), match.end(), self._seconds(match))
            for match in self._length.finditer(words)
        ]

    def numbers(self, words: str, code: str) -> list[tuple[int, int, float]]:
        """Return where numbers of one language stand in words, and their values."""
        own = self._own_numbers[code]
        return [
            (match.start(), match.end(), own.get(match[0].lower()) or float(match[0]))
            for match in self._number.finditer(words)
            if match[0].isdecimal() or match[0].lower() in own
        ]

    def factors(self, words: str) -> list[tuple[int, int, float]]:
        """Return where words stand such as "twice as long", and the factors they name."""
        return [
            (match.start(), match.end(), by)
            for pattern, by in _FACTORS
            for match in pattern.finditer(words)
        ]

    def _seconds(self, match: re.Match[str]) -> float:
        number = match["number"].lower()
        value = self._numbers.get(number)
        count = value if value is not None else float(number.replace(",", "."))
        return count * self._units[match["unit"].lower()]

    def read(self, words: str, now_s: float) -> float | None:
        """Return the seconds asked for, given how long it is now; None if the words give none."""
        factor = next((by for pattern, by in _FACTORS if pattern.search(words)), None)
        if factor is not None:
            return now_s * factor
        match = self._length.search(words)
        if match is None:
            return None
        seconds = self._seconds(match)
        if self._less.search(words) or _LESS.search(words):
            return now_s - seconds
        if self._more.search(words) or _MORE.search(words):
            return now_s + seconds
        return seconds

    def scaled(self, words: str, now_s: float) -> float | None:
        """Return the seconds of "longer" or "shorter" without a number; None if neither is said."""
        if self._less.search(words):
            return now_s * SHORTER
        return now_s * LONGER if self._more.search(words) else None

    def checked(self, duration_s: float, words: str) -> float:
        """Return the duration in whole samples.

        Raises:
            BadInput: if it is shorter than a sub-event or longer than a story may be.
        """
        if not SHORTEST_SUB_EVENT_S <= duration_s <= LONGEST_STORY_S:
            raise BadInput(
                "change",
                words,
                f"would make the scene {duration_s:g} s long",
                f"Ask for {SHORTEST_SUB_EVENT_S:g} s or more.",
            )
        return seconds_of(samples_of(duration_s))


def _in_han(number: int) -> str:
    """Return a number under a hundred in Chinese and Japanese numerals."""
    tens, ones = divmod(number, 10)
    ten = ("" if tens == 1 else _DIGITS[tens]) + "十" if tens else ""
    return ten + (_DIGITS[ones] if ones else "")
