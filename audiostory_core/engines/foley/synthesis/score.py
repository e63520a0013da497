"""Notes to play: a story's theme and harmony, written bar by bar without an end.

Harmony and theme follow from key and tempo alone, so that instruments of one story fit together
whichever of them plays, and any bar can be written without the bars before it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
LOWEST, HIGHEST = -3, 9  # degrees between which the theme comes to rest
BARS = 4  # of a phrase, one chord each
PHRASES = 4  # of a verse; the third leaves the theme

# Degrees of the scale on which the four chords of a phrase stand; 0 is the tonic.
MAJOR_PROGRESSIONS = ((0, 5, 3, 4), (0, 4, 5, 3), (0, 3, 1, 4), (0, 2, 3, 4), (0, 3, 0, 4))
MINOR_PROGRESSIONS = ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (0, 5, 3, 6), (0, 3, 0, 4))

# Lengths of notes in shares of a bar of four and of three beats.
RHYTHMS = {
    4: ((1, 1, 2), (2, 1, 1), (1, 0.5, 0.5, 2), (1.5, 0.5, 1, 1), (1, 1, 1, 1), (0.5, 0.5, 1, 2)),
    3: ((2, 1), (1, 1, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1)),
}


@dataclass(frozen=True)
class Note:
    """A note at a place in its bar."""

    beat: float  # from the start of the bar
    beats: float  # how long it is held
    midi: int
    velocity: float = 0.8  # 0 … 1


@dataclass(frozen=True)
class Score:
    """The music of a story.

    Args:
        tonic: MIDI note of the key, in the octave of the theme.
        minor: natural minor instead of major.
        theme: equal numbers give equal themes and harmonies.
        beats: of a bar, 3 or 4.
    """

    tonic: int
    minor: bool
    theme: int
    beats: int = 4

    @cached_property
    def _progression(self) -> tuple[int, ...]:
        progressions = MINOR_PROGRESSIONS if self.minor else MAJOR_PROGRESSIONS
        return progressions[self.theme % len(progressions)]

    def pitch(self, degree: int) -> int:
        """Return the MIDI note of a degree of the scale; 7 is an octave above the tonic."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + (MINOR if self.minor else MAJOR)[step]

    def root(self, bar: int) -> int:
        """Return the degree, -3 … 3, on which the chord of a bar stands."""
        return (self._progression[bar % BARS] + 3) % 7 - 3

    def chord(self, bar: int) -> tuple[int, int, int]:
        """Return the MIDI notes of a bar's triad, close to the tonic."""
        root = self.root(bar)
        return self.pitch(root), self.pitch(root + 2), self.pitch(root + 4)

    def melody(self, bar: int) -> list[Note]:
        """Return the theme's notes in a bar."""
        phrase, place = divmod(bar, BARS)
        is_bridge = phrase % PHRASES == 2
        if place == BARS - 1:
            return self._cadence(bar, is_open=phrase % 2 == 0)
        figure = 2 if is_bridge or (place == 2 and phrase % 2) else place % 2
        rng = np.random.default_rng((self.theme, phrase // PHRASES, figure))
        rhythms = RHYTHMS[self.beats]
        rhythm = rhythms[rng.integers(len(rhythms))]
        steps = rng.choice((-2, -1, -1, 0, 1, 1, 2), size=len(rhythm))
        start = self.root(bar) + int(rng.choice((0, 2, 4))) + (2 if is_bridge else 0)
        degree = self._settled(start, bar)
        notes, beat = [], 0.0
        for beats, step in zip(rhythm, steps, strict=True):
            accent = 0.9 if beat == 0 else 0.75
            notes.append(Note(beat, beats, self.pitch(degree), accent))
            beat += beats
            degree += int(step)
            degree = self._settled(degree, bar) if beat % 2 == 0 else degree
        return notes

    def _cadence(self, bar: int, *, is_open: bool) -> list[Note]:
        """Come to rest, on the dominant's chord for a question, near the tonic for an answer."""
        root = self.root(bar)
        leading = Note(0.0, 1.0, self.pitch(self._settled(root + 2, bar)), 0.8)
        rest = self.pitch(root + (4 if root < 1 else 0)) if is_open else self.pitch(root)
        return [leading, Note(1.0, self.beats - 1.0, rest, 0.75)]

    def _settled(self, degree: int, bar: int) -> int:
        """Return the degree of the bar's chord that lies nearest."""
        root = self.root(bar)
        return min(
            (
                tone
                for octave in (-7, 0, 7)
                for third in (0, 2, 4)
                if LOWEST <= (tone := root + octave + third) <= HIGHEST
            ),
            key=lambda tone: (abs(tone - degree), tone),
        )
