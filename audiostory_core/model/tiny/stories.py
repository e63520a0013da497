"""Synthetic stories that the tiny checkpoint's language model learns the grammar from.

Deliberately plain: every sub-event of the instruction becomes one segment, whose caption repeats
its words, so that a network of 100,000 parameters can learn it in a minute.
"""

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

_STOCK = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_SOUNDS = tuple(_STOCK["sounds"].items())

_COUNTS = ("Two", "Three", "Four", "Five", "Six")
_COUNT_WEIGHTS = (30, 36, 20, 9, 5)  # mostly short: each segment costs 80 positions
_LEAD_WEIGHTS = (6, 1, 1, 2)
_ALPHABETS = (  # first and last letter, letters of a word
    ("a", "z", (2, 9)),
    ("à", "ý", (2, 7)),
    ("а", "я", (2, 6)),
    ("ぁ", "ん", (2, 6)),
    ("一", "龥", (2, 12)),
)
_MARKS = (" ", " ", " ", " ", " ", ", ", ". ", ": ", ' "', "。", "，", "\n")

_SHORTEST_S, _LONGEST_S = 3.0, 20.0  # of a segment; jitter included they stay in 1.0 … 26.9


@dataclass(frozen=True)
class ScriptedScene:
    """One sub-event of an answer; `duration_s` has one decimal, 1.0 … 26.9."""

    caption: str
    duration_s: float


@dataclass(frozen=True)
class Story:
    """An instruction and the answer to it."""

    instruction: str
    reasoning: str
    segments: tuple[ScriptedScene, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its wording."""
        return (self.instruction, self.reasoning, *(segment.caption for segment in self.segments))


def draw_story(chance: random.Random, strange_share: float = 0.0) -> Story:
    """Draw a story of two to six segments.

    Args:
        chance: where it is drawn from.
        strange_share: of stories whose instruction is gibberish in any script and says nothing of
            the answer, 0 … 1; from them a model learns to keep to the grammar whatever it reads.
    """
    count = chance.choices(range(2, 7), _COUNT_WEIGHTS)[0]
    sounds = chance.sample(_SOUNDS, count)
    captions = [_caption(chance, sound, actions) for sound, actions in sounds]
    durations = _durations(chance, count)
    lead = chance.choices(_STOCK["leads"], _LEAD_WEIGHTS)[0]
    total = round(sum(durations), 1)
    events = ", ".join(captions[:-1]) + chance.choice((" and ", ", and ", ", then ")) + captions[-1]
    if count == 2:
        events = ", then ".join(captions)
    if chance.random() < strange_share:
        events = _gibberish(chance)
    closing = f" The total duration is {total} seconds." if chance.random() < 0.9 else ""
    names = [sound for sound, _ in sounds]
    return Story(
        instruction=f"{lead}{events}.{closing}",
        reasoning=f"{_COUNTS[count - 2]} events: {', '.join(names)}.",
        segments=tuple(ScriptedScene(*pair) for pair in zip(captions, durations, strict=True)),
    )


def _caption(chance: random.Random, sound: str, actions: list[str]) -> str:
    words = [sound, chance.choice(actions)]
    ornament = chance.choice((None, "places", "manners"))
    if ornament is not None:
        words.append(chance.choice(_STOCK[ornament]))
    return " ".join(words)


def _durations(chance: random.Random, count: int) -> list[float]:
    mean = chance.uniform(_SHORTEST_S, _LONGEST_S)
    return [round(mean * chance.uniform(0.8, 1.2), 1) for _ in range(count)]


def _gibberish(chance: random.Random) -> str:
    first, last, lengths = chance.choice(_ALPHABETS)
    parts = []
    for _ in range(chance.randint(1, 20 if last <= "ý" else 8)):
        letters = range(chance.randint(*lengths))
        parts += [chr(chance.randint(ord(first), ord(last))) for _ in letters]
        parts.append(chance.choice(_MARKS))
    return "".join(parts)
