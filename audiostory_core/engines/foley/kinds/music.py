"""Music: instruments that play the story's theme, its chords and its beat."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.dsp import Array, place, seconds, times
from audiostory_core.engines.foley.synthesis.instruments import (
    TABLE,
    Blown,
    Struck,
    Swept,
    Tone,
    bars,
    harmonics,
    hat,
    hertz_of,
    kick,
    snare,
    tom,
)
from audiostory_core.engines.foley.synthesis.score import Note, Score
from audiostory_core.story.plan import SAMPLE_RATE

LONGEST_RING_S = 6.0  # how far back a note may have started that still sounds
LONGEST_COUNTED_S = 6.0  # how long one counted note is held

Part = Callable[[Score, int], list[Note]]
"""Writes what an instrument plays in a bar."""


@dataclass(frozen=True)
class Player:
    """An instrument and what it plays.

    Attributes:
        octave: semitones against the octave of the theme.
        beats: of a bar.
        slowness: how much slower than the story's tempo it plays.
    """

    tone: Tone
    part: Part
    octave: int = 0
    beats: int = 4
    slowness: float = 1.0

    def __call__(self, sound: Sound) -> Samples:
        """Play: the counted notes, or the stretch of an endless piece."""
        seed = int(sound.constants.integers(2**32))
        if sound.shape.count is not None:
            return self._counted(sound, sound.shape.count, seed)
        score = self._score(sound)
        beat = 60.0 * SAMPLE_RATE * self.slowness / (sound.tempo_bpm * sound.shape.pace)
        bar = self.beats * beat
        first = max(0, math.floor((sound.start - seconds(LONGEST_RING_S)) / bar))
        last = math.floor((sound.start + sound.samples) / bar)
        canvas = np.zeros(sound.samples)
        played: dict[Note, Array] = {}
        for number in range(first, last + 1):
            for note in self.part(score, number):
                at = round(number * bar + note.beat * beat) - sound.start
                same = Note(0.0, note.beats, note.midi, note.velocity)
                if at < sound.samples and same not in played:
                    played[same] = self._note(sound, same, round(note.beats * beat), seed)
                if at < sound.samples:
                    place(canvas, played[same], at)
        return canvas

    def _counted(self, sound: Sound, count: int, seed: int) -> Array:
        score = self._score(sound)
        every = min(
            60.0 * SAMPLE_RATE / (sound.tempo_bpm * sound.shape.pace), sound.samples / count
        )
        hold = min(seconds(LONGEST_COUNTED_S), sound.samples) if count == 1 else round(0.9 * every)
        canvas = np.zeros(sound.samples)
        for number in range(count):
            note = Note(0.0, 1.0, score.pitch((0, 2, 4, 2)[number % 4]))
            place(canvas, self._note(sound, note, hold, seed), round(number * every))
        return canvas

    def _score(self, sound: Sound) -> Score:
        theme = 1000 * sound.tonic + round(sound.tempo_bpm)
        return Score(sound.tonic, sound.minor, theme, self.beats)

    def _note(self, sound: Sound, note: Note, hold: int, seed: int) -> Array:
        octave = self.octave - 12 * round(0.6 * sound.shape.size)
        velocity = min(max(note.velocity * (1 + 0.2 * sound.shape.intensity), 0.3), 1.0)
        rng = np.random.default_rng((seed, note.midi))
        return self.tone(hertz_of(note.midi + octave), hold, velocity, rng)


def _theme(score: Score, bar: int) -> list[Note]:
    return score.melody(bar)


def _legato(score: Score, bar: int) -> list[Note]:
    return [Note(n.beat, 1.02 * n.beats, n.midi, n.velocity) for n in score.melody(bar)]


def _chords(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    beats = float(score.beats)
    return [Note(0.0, beats, midi, 0.6) for midi in (root - 12, root, third, fifth)]


def _theme_over_chords(score: Score, bar: int) -> list[Note]:
    chord = [Note(0.0, float(score.beats), midi - 12, 0.35) for midi in score.chord(bar)]
    return chord + _legato(score, bar)


def _two_hands(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    low = [Note(0.0, 4.0, root - 24, 0.6)]
    low += [
        Note(beat, 1.0, midi - 12, 0.45)
        for beat, midi in ((1.0, fifth), (2.0, third + 12), (3.0, fifth))
        if beat < score.beats
    ]
    return low + score.melody(bar)


def _fingerpicked(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    order = (root - 12, fifth, root, third + 12, fifth, root, third, fifth)
    picked = [Note(0.5 * step, 0.5, midi, 0.6) for step, midi in enumerate(order)]
    return picked + [note for note in score.melody(bar) if note.beat % 1 == 0]


def _rolled(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    chord = (root - 12, fifth - 12, root, third, fifth, root + 12, third + 12, fifth + 12)
    up_and_down = (*chord, *chord[-2:0:-1])
    return [
        Note(0.25 * step, 2.0, midi, 0.5 + 0.02 * step)
        for step, midi in enumerate(up_and_down)
        if 0.25 * step < score.beats
    ]


def _tolling(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    return [Note(0.0, 2.0, third), Note(1.0, 2.0, root), Note(2.0, 2.0, fifth - 12)][
        : 3 if bar % 2 == 0 else 2
    ]


def _mallets(score: Score, bar: int) -> list[Note]:
    notes = []
    for note in score.melody(bar):
        strokes = max(1, round(2 * note.beats))
        notes += [
            Note(note.beat + 0.5 * stroke, 0.5, note.midi, note.velocity - 0.1 * (stroke % 2))
            for stroke in range(strokes)
        ]
    return notes


def _bass_line(score: Score, bar: int) -> list[Note]:
    root, _, fifth = score.chord(bar)
    steps = ((0.0, 1.5, root), (1.5, 0.5, root), (2.0, 1.0, fifth - 12), (3.0, 1.0, root))
    return [Note(beat, beats, midi, 0.8) for beat, beats, midi in steps]


def _fanfare(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    if bar % 2:
        return [Note(0.0, 3.5, midi, 0.8) for midi in (root, third, fifth)]
    calls = ((0.0, 0.75), (1.0, 0.4), (1.5, 0.4), (2.0, 1.7))
    return [Note(beat, beats, midi, 0.85) for beat, beats in calls for midi in (root, third, fifth)]


def _arpeggio(score: Score, bar: int) -> list[Note]:
    root, third, fifth = score.chord(bar)
    order = (root, third, fifth, root + 12, fifth, third, root + 12, fifth)
    return [
        Note(0.25 * step, 0.22, order[step % len(order)], 0.9 if step % 4 == 0 else 0.7)
        for step in range(4 * score.beats)
    ]


PATTERNS = (  # sixteenths: kick, snare, hat
    ("x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x.......x.x.....", "....x.......x..x", "x.x.x.x.x.x.x.x."),
    ("x..x....x..x....", "....x.......x...", "xxx.xxx.xxx.xxx."),
    ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
)


def _drums(sound: Sound) -> Samples:
    """Beat a pattern on the sixteenths of the tempo; a count is of single strokes."""
    beat = 60.0 * SAMPLE_RATE / (sound.tempo_bpm * sound.shape.pace)
    pattern = PATTERNS[int(sound.constants.integers(len(PATTERNS)))]
    low_hz = sound.constants.uniform(80.0, 120.0) * 2 ** (-0.5 * sound.shape.size)
    canvas = np.zeros(sound.samples)
    if sound.shape.count is not None:
        stroke = tom(sound.constants, low_hz)
        every = min(beat, sound.samples / sound.shape.count)
        for number in range(sound.shape.count):
            place(canvas, stroke, round(number * every))
        return canvas
    pieces = (kick(sound.constants), snare(sound.constants), hat(sound.constants))
    step = beat / 4
    first = max(0, math.floor((sound.start - seconds(0.5)) / step))
    for number in range(first, math.floor((sound.start + sound.samples) / step) + 1):
        accent = 1.0 if number % 4 == 0 else 0.75
        for line, piece in zip(pattern, pieces, strict=True):
            if line[number % 16] == "x":
                place(canvas, piece, round(number * step) - sound.start, accent)
    return canvas


def _oscillator(sound: Sound, hertz: float, slope_db: float, phase: float) -> Array:
    """Return a steady harmonic wave of unit power in absolute time."""
    checkpoint()
    count = min(40, int(12_000 / hertz))
    harmonic = np.arange(1, count + 1)
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : count + 1] = harmonic ** (slope_db / 6.0206) * np.exp(2j * harmonic**2)
    period = np.fft.irfft(spectrum, TABLE)
    cycles = hertz * times(sound.samples, sound.start) + phase
    points = ((cycles % 1.0) * TABLE).astype(np.int64) & (TABLE - 1)
    return period[points] / np.std(period)


def _swell(sound: Sound, period_s: float, phase: float) -> Array:
    checkpoint()
    return 0.5 + 0.5 * np.sin(2 * np.pi * (times(sound.samples, sound.start) / period_s + phase))


def _drone(sound: Sound) -> Samples:
    """Hold tonic and fifth with strings that beat slowly against each other."""
    low_hz = hertz_of(sound.tonic - 24)
    canvas = np.zeros(sound.samples)
    for ratio, gain in ((1.0, 1.0), (1.0035, 0.8), (1.4983, 0.5), (2.004, 0.35)):
        phase, swell_phase = sound.constants.random(2)
        wave = _oscillator(sound, low_hz * ratio, -7.0 + 2 * sound.shape.intensity, phase)
        swell = 0.6 + 0.4 * _swell(sound, sound.constants.uniform(7.0, 13.0), swell_phase)
        canvas += gain * swell * wave
    return canvas


def _tension(sound: Sound) -> Samples:
    """Hold a cluster of trembling high strings over a low pulse; nothing resolves."""
    canvas = np.zeros(sound.samples)
    t = times(sound.samples, sound.start)
    for semitones in (12.0, 13.0, 18.0, 19.0):
        phase, swell_phase = sound.constants.random(2)
        wave = _oscillator(sound, hertz_of(sound.tonic + semitones), -6.5, phase)
        rate_hz = sound.constants.uniform(11.0, 14.0) * sound.shape.pace
        bowing = 0.55 + 0.45 * np.sin(2 * np.pi * (rate_hz * t + swell_phase))
        canvas += 0.4 * wave * bowing * (0.3 + 0.7 * _swell(sound, 6.0, swell_phase))
    low = _oscillator(sound, hertz_of(sound.tonic - 24), -9.0, 0.0)
    canvas += 1.2 * low * _swell(sound, 2.0 / sound.shape.pace, 0.75) ** 3
    return canvas


_BODY_VIOLIN = ((460.0, 120.0, 1.5), (1000.0, 350.0, 1.2), (2700.0, 1200.0, 2.0))
_BODY_CELLO = ((180.0, 70.0, 1.5), (420.0, 180.0, 1.6), (1500.0, 900.0, 0.8))
_AH = ((760.0, 130.0, 6.0), (1180.0, 160.0, 4.0), (2900.0, 350.0, 2.0))
_OH = ((500.0, 110.0, 6.0), (880.0, 140.0, 3.5), (2850.0, 350.0, 0.8))
_NASAL = ((620.0, 300.0, 2.5), (1350.0, 450.0, 2.5), (2800.0, 800.0, 1.2))

_PIANO = Struck(*harmonics(16, -5.0, 0.12, 0.0004), 5.5, 0.22, 0.6, 0.12, 1500.0, is_damped=True)
_GUITAR = Struck(*harmonics(18, -3.5, 0.19), 2.6, 0.3, 0.35, 0.15, 700.0)
_HARP = Struck(*harmonics(8, -10.0, 0.4), 3.0, 0.25, 0.4, 0.05, 500.0)
_MUSIC_BOX = Struck(
    *bars(((1, 1), (2.0, 0.12), (6.27, 0.3), (17.5, 0.06))), 4.5, 0.35, 0.4, 0.1, 9e3
)
_MARIMBA = Struck(*bars(((1, 1), (3.93, 0.3), (9.8, 0.1))), 0.9, 0.9, 0.5, 0.3, 1200.0)
_CHIMES = Struck(
    *bars(((0.51, 0.3), (1, 0.8), (1.51, 0.9), (2.08, 1), (2.72, 0.7), (3.4, 0.5), (4.1, 0.3))),
    9.0, 0.5, 0.2, 0.1, 6000.0,
)  # fmt: skip
_BASS = Struck(*harmonics(10, -9.0, 0.28), 2.2, 0.5, 0.2, 0.06, 400.0, is_damped=True)
_VIOLIN = Blown(
    -5.0, _BODY_VIOLIN, 0.25, 0.07, 0.09, 5.8, 24.0, 0.1, breath=0.05, breath_hz=(2000.0, 9000.0)
)
_CELLO = Blown(
    -6.0, _BODY_CELLO, 0.3, 0.09, 0.12, 5.2, 18.0, 0.08, breath=0.04, breath_hz=(500.0, 4000.0)
)
_STRINGS = Blown(-6.0, _BODY_VIOLIN, 0.5, 0.35, 0.4, 5.5, 10.0, detune_cents=(-8.0, 0.0, 7.0))
_ACCORDION = Blown(
    -3.5, ((900.0, 700.0, 1.0), (2400.0, 1500.0, 1.5)), 0.6, 0.04, 0.06, detune_cents=(-9.0, 9.0)
)
_FLUTE = Blown(
    -14.0, (), 1.0, 0.06, 0.1, 5.0, 6.0, 0.18, breath=0.09, breath_hz=(1500.0, 7000.0), even=0.6
)
_ORGAN = Blown(
    0.0, (), 1.0, 0.02, 0.12, breath=0.015, detune_cents=(0.0, 1.5),
    drawbars=(1.0, 0.9, 0.5, 0.7, 0.0, 0.35, 0.0, 0.45, 0.0, 0.0, 0.0, 0.15, 0.0, 0.0, 0.0, 0.2),
)  # fmt: skip
_BRASS = Blown(
    -4.0, ((550.0, 500.0, 1.0), (1200.0, 900.0, 1.2)), 0.5, 0.05, 0.07, 4.8, 6.0, opening=0.9,
    scoop_cents=30.0,
)  # fmt: skip
_SAXOPHONE = Blown(
    -5.0, _NASAL, 0.3, 0.045, 0.07, 5.2, 28.0, 0.15, 0.12, (700.0, 5000.0), scoop_cents=90.0,
    opening=0.4,
)  # fmt: skip
_PAD = Blown(-11.0, (), 1.0, 0.9, 1.2, 0.3, 5.0, 0.1, detune_cents=(-11.0, 0.0, 10.0))
_CHOIR = Blown(
    -9.0, _AH, 0.15, 0.3, 0.35, 5.3, 16.0, 0.05, 0.06, (900.0, 4000.0), (-14.0, -4.0, 5.0, 13.0)
)
_SINGER = Blown(
    -9.0, _OH, 0.1, 0.08, 0.12, 5.6, 38.0, 0.1, 0.08, (1500.0, 6000.0), scoop_cents=120.0
)


def _kind(name: str, render: Callable[[Sound], Samples], level_db: float = -24.0) -> Kind:
    return Kind(name, "music", Role.MUSIC, render, level_db)


KINDS: tuple[Kind, ...] = (
    _kind("piano", Player(_PIANO, _two_hands)),
    _kind("plucked", Player(_GUITAR, _fingerpicked)),
    _kind("harp", Player(_HARP, _rolled)),
    _kind("music_box", Player(_MUSIC_BOX, _theme, 24, beats=3, slowness=1.15), -28.0),
    _kind("marimba", Player(_MARIMBA, _mallets)),
    _kind("bells_chimes", Player(_CHIMES, _tolling, 12, slowness=1.5), -26.0),
    _kind("bass", Player(_BASS, _bass_line, -24)),
    _kind("violin", Player(_VIOLIN, _legato, 12), -25.0),
    _kind("cello", Player(_CELLO, _legato, -12)),
    _kind("strings", Player(_STRINGS, _chords)),
    _kind("accordion", Player(_ACCORDION, _theme_over_chords, 12), -25.0),
    _kind("flute", Player(_FLUTE, _legato, 12), -25.0),
    _kind("organ", Player(_ORGAN, _theme_over_chords)),
    _kind("brass", Player(_BRASS, _fanfare), -22.0),
    _kind("saxophone", Player(_SAXOPHONE, _legato, -12), -24.0),
    _kind("pad", Player(_PAD, _chords), -28.0),
    _kind("choir", Player(_CHOIR, _chords), -25.0),
    _kind("song", Player(_SINGER, _legato), -23.0),
    _kind("synth", Player(Swept(), _arpeggio), -25.0),
    _kind("drums", _drums, -21.0),
    _kind("drone", _drone, -26.0),
    _kind("tension", _tension, -26.0),
)
