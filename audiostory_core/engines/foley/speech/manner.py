"""How a line is spoken: what the words of its manner ask of the voice."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from audiostory_core.engines.foley.speech.cues import Cues, plain

Timbre = Literal["voiced", "whispered", "shouted", "robotic"]


@dataclass(frozen=True)
class Manner:
    """What a manner changes in a voice."""

    rate: float = 1.0  # factor
    pitch: int = 0  # steps of espeak-ng, of 99
    pitch_range: float = 1.0  # factor
    gain_db: float = 0.0  # against a normal voice
    timbre: Timbre = "voiced"

    def with_manner(self, other: "Manner") -> "Manner":
        """Return both at once; a special timbre outdoes the normal one."""
        return Manner(
            rate=self.rate * other.rate,
            pitch=self.pitch + other.pitch,
            pitch_range=self.pitch_range * other.pitch_range,
            gain_db=self.gain_db + other.gain_db,
            timbre=other.timbre if self.timbre == "voiced" else self.timbre,
        )


@dataclass(frozen=True)
class Manners:
    """The manners that words can name."""

    entries: tuple[tuple[Cues, Manner], ...]
    names: tuple[str, ...] = ()  # of the entries
    words: tuple[str, ...] = ()  # that name one, see cues.py

    @classmethod
    def load(cls) -> "Manners":
        """Read `speech/manners.toml`."""
        text = Path(__file__).with_name("manners.toml").read_text("utf-8")
        tables = tomllib.loads(text)
        words = tuple(word for table in tables.values() for word in _words(table))
        return cls(tuple(_entry(table) for table in tables.values()), tuple(tables), words)

    def knows(self, text: str) -> bool:
        """Tell whether the text names a manner at all."""
        return any(cues.spans(plain(text)) for cues, _ in self.entries)

    def named_in(self, text: str | None) -> Manner:
        """Return what the text asks for, several manners together; of overlapping the longest."""
        compared = plain(text or "")
        matches = [
            (start, end, manner)
            for cues, manner in self.entries
            for start, end in cues.spans(compared)
        ]
        matches.sort(key=lambda match: (match[0] - match[1], match[0]))
        taken: list[tuple[int, int, Manner]] = []
        for start, end, manner in matches:
            is_free = all(end <= left or right <= start for left, right, _ in taken)
            if is_free and all(manner is not other for _, _, other in taken):
                taken.append((start, end, manner))
        together = Manner()
        for _, _, manner in sorted(taken, key=lambda match: match[0]):
            together = together.with_manner(manner)
        return together


def _entry(table: dict[str, object]) -> tuple[Cues, Manner]:
    parameters = {key: value for key, value in table.items() if not isinstance(value, list)}
    manner = TypeAdapter(Manner).validate_python(parameters)
    return Cues.of(_words(table)), manner


def _words(table: dict[str, object]) -> list[str]:
    lists: Sequence[list[str]] = [value for value in table.values() if isinstance(value, list)]
    return [word for words in lists for word in words]
