"""How long the lines of a text take to say, and which clauses are nothing but lines."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from audiostory_core.engines.foley.speech.rates import rate_wpm
from audiostory_core.planners.clauses.layers import LayerReader
from audiostory_core.planners.clauses.reading import Clause, Reading
from audiostory_core.planners.clauses.speech import Voice
from audiostory_core.story.pace import RATE_WPM, seconds_to_say

BETWEEN_LINES_S = 0.7  # where nothing else asks for a rest
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Talk:
    """What the lines of a text need, each list in the order of its clauses."""

    said_s: Mapping[int, float]  # of each piece of a line, by where it starts
    seconds: tuple[float, ...]  # of all lines of a clause, with the rests between them
    is_all: tuple[bool, ...]  # nothing is heard in the clause but its lines


def read_talk(reading: Reading) -> Talk:
    """Estimate the length of every line of a text at the voice that will speak it."""
    cast = _Cast()
    said_s: dict[int, float] = {}
    seconds = []
    for clause in reading.clauses:
        for line in clause.spoken:
            words = reading.kept(line.start, line.end)
            rate = cast.rate_of(line.voice)
            said_s[line.start] = seconds_to_say(words, reading.language.code, rate) if words else 0
        seconds.append(
            math.fsum(said_s[line.start] + line.pause_s + BETWEEN_LINES_S for line in clause.spoken)
        )
    return Talk(said_s, tuple(seconds), tuple(_is_all_talk(reading, c) for c in reading.clauses))


class _Cast:
    """Knows at what rate each speaker of a text says a line."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._descriptions: dict[str, str] = {}
        self._rates: dict[tuple[str | None, str | None], float] = {}

    def rate_of(self, voice: Voice) -> float:
        """Return the words a minute of a line, as a factor."""
        bare = " ".join(_WORD.findall((voice.speaker or "").casefold()))
        index = self._places.setdefault(bare, len(self._places) + 1) if bare else 0
        description = self._descriptions.get(bare) or voice.description
        self._descriptions[bare] = description
        key = (bare, voice.manner)
        if key not in self._rates:
            wpm = rate_wpm(voice.speaker, description, index, voice.manner)
            self._rates[key] = wpm / RATE_WPM
        return self._rates[key]


def _is_all_talk(reading: Reading, clause: Clause) -> bool:
    if not clause.spoken:
        return False
    if reading.blocks[clause.piece.block].voice:
        return True
    reader = LayerReader(reading.language)
    at = clause.piece.start
    for line in (*clause.spoken, None):
        until = clause.piece.end if line is None else line.start
        if reader.read(reading.kept(at, until), None, attributed=True):
            return False
        at = until if line is None else line.end
    return True
