"""Human voices without words: a glottal source through a vocal tract that moves.

A voice follows gestures, knots in time between which everything glides. Source and tract run at
half the sample rate; the tract is applied frame by frame as a quotient of spectra and the spectra
are padded on the way back, which doubles the rate at no cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import roam
from audiostory_core.story.plan import SAMPLE_RATE

RATE = SAMPLE_RATE // 2
HOP = 256  # samples at RATE: 12 ms
WINDOW = 2 * HOP
FRAME = 4 * HOP  # leaves the tract two hops to ring out
FRAMES_AT_ONCE = 512  # bounds memory; a voice may go on for minutes
EVENNESS = 0.35  # 0: phones are as loud as their tract makes them, 0.5: all alike
WIDTHS_HZ = (70.0, 90.0, 130.0, 220.0, 300.0)

# Formants in Hz of an adult male tract; a consonant's are those of its noise.
PHONES: dict[str, tuple[float, float, float, float, float]] = {
    "a": (740, 1150, 2500, 3400, 4500),
    "ae": (660, 1700, 2450, 3450, 4500),
    "e": (480, 1900, 2550, 3500, 4500),
    "i": (280, 2250, 3000, 3600, 4500),
    "o": (480, 850, 2450, 3350, 4400),
    "u": (310, 800, 2250, 3250, 4400),
    "schwa": (500, 1450, 2500, 3450, 4500),
    "m": (250, 1000, 2200, 3100, 4200),
    "n": (260, 1350, 2400, 3200, 4300),
    "l": (340, 1200, 2600, 3300, 4300),
    "r": (350, 1150, 1650, 3000, 4200),
    "w": (290, 650, 2250, 3200, 4300),
    "j": (270, 2150, 2950, 3600, 4500),
    "s": (900, 2300, 4900, 6200, 8200),
    "sh": (600, 1900, 2700, 3600, 5600),
    "f": (600, 1500, 3600, 6500, 9000),
    "t": (400, 1800, 3600, 4600, 6500),
    "k": (350, 1700, 2300, 3500, 4500),
    "p": (350, 900, 2200, 3300, 4500),
}
VOWELS = ("a", "ae", "e", "i", "o", "u", "schwa")
PLOSIVES = ("p", "t", "k")
FRICATIVES = ("s", "sh", "f")
SONORANTS = ("m", "n", "l", "r", "w", "j")


@dataclass(frozen=True)
class Voice:
    """Who speaks.

    Attributes:
        pitch_hz: habitual fundamental.
        tract: factor on all formants; 1 is an adult man.
        breath: noise beside the voice, 0 to 1.
        effort: 0 soft, 1 loud: how sharply the glottis closes.
        roughness: of the fundamental from pulse to pulse, relative.
    """

    pitch_hz: float
    tract: float = 1.0
    breath: float = 0.05
    effort: float = 0.5
    roughness: float = 0.012


@dataclass(frozen=True)
class Gesture:
    """Where a voice is at a moment; it glides on to the next gesture.

    Attributes:
        at_s: from the beginning.
        phone: of PHONES.
        pitch: factor on the voice's fundamental.
        voiced: amplitude of the glottal tone.
        noise: amplitude of breath or friction.
    """

    at_s: float
    phone: str
    pitch: float = 1.0
    voiced: float = 0.0
    noise: float = 0.0


def voice_of(rng: np.random.Generator, size: float, lift: float = 1.0) -> Voice:
    """Draw a voice: a child or woman for sizes below 0, a man above, either at 0.

    Args:
        rng: source of chance.
        size: -1 to 1, as in `Shape`.
        lift: factor on the fundamental, for voices that are raised.
    """
    female = size < 0 or (size == 0 and rng.random() < 0.5)
    chance = rng.uniform(-1, 1)
    if female:
        youth = max(0.0, -size - 0.6) / 0.4  # a size of -1 is a small child
        pitch_hz = 205 * 1.16**chance * 1.5**youth
        tract = 1.16 * 1.03**chance * 1.2**youth
    else:
        pitch_hz = 112 * 1.2**chance * 0.8 ** max(0.0, size)
        tract = 1.0 * 1.04**chance * 0.94 ** max(0.0, size)
    return Voice(pitch_hz * lift, tract, breath=rng.uniform(0.03, 0.1))


def speak(
    rng: np.random.Generator, voice: Voice, gestures: Sequence[Gesture], samples: int
) -> Array:
    """Return a voice that goes through its gestures, [N] at the full rate.

    Args:
        rng: source of chance for breath and roughness.
        voice: who speaks.
        gestures: at least one, in order of time; before the first and after the last it holds.
        samples: length at the full rate.
    """
    frames = -(-samples // (2 * HOP)) + 1
    at_s = np.array([gesture.at_s for gesture in gestures])
    source = _source(rng, voice, gestures, at_s, (frames + 1) * HOP)
    windows = np.lib.stride_tricks.sliding_window_view(source, WINDOW)[::HOP][:frames]
    canvas = np.zeros((frames + 3, 2 * HOP))
    for first in range(0, frames, FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, frames)
        tract = _tract(voice, gestures, at_s, np.arange(first, last) * HOP / RATE)
        pieces = _through(windows[first:last], tract)
        for part in range(4):
            canvas[first + part : last + part] += pieces[:, part]
    return canvas.ravel()[HOP * 2 : HOP * 2 + samples]


def _through(windows: Array, tract: Array) -> Array:
    """Return [frames, 4, 2 * HOP]: each window of the source as the tract answers it."""
    checkpoint()
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    answer = 1 / fft.rfft(tract, FRAME, axis=1)
    # Open vowels stay louder than closed ones, but narrow peaks must not tower.
    answer *= np.mean(np.abs(answer) ** 2, axis=1, keepdims=True) ** -EVENNESS
    spectra = fft.rfft(windows * hann, FRAME, axis=1) * answer * _radiation(FRAME)
    return fft.irfft(spectra, 2 * FRAME, axis=1).reshape(-1, 4, 2 * HOP)


def babble(
    rng: np.random.Generator, duration_s: float, rate_hz: float = 4.6, liveliness: float = 1.0
) -> list[Gesture]:
    """Make up unintelligible speech: phrases of syllables with stress, declination and pauses.

    Args:
        rng: source of chance.
        duration_s: to be filled.
        rate_hz: syllables a second within a phrase.
        liveliness: of the melody; 1 is plain talk.
    """
    gestures = [Gesture(0.0, "schwa")]
    now_s = float(rng.uniform(0.02, 0.12))
    while now_s < duration_s:
        syllables = int(rng.integers(4, 11))
        first, asks = rng.uniform(1.08, 1.25), rng.random() < 0.2
        for index in range(syllables):
            place = index / syllables
            stress = rng.random() < 0.38
            melody = first * (1 - 0.22 * place) * (1.14 if stress else rng.uniform(0.95, 1.03))
            if asks and index == syllables - 1:
                melody *= 1.25
            melody = 1 + liveliness * (melody - 1)
            length_s = rng.uniform(0.75, 1.25) / rate_hz * (1.25 if stress else 0.92)
            if index == syllables - 1:
                length_s *= 1.35
            loud = (1.0 if stress else 0.7) * (1 - 0.35 * place)
            gestures += syllable(rng, now_s, length_s, melody, loud)
            now_s += length_s
        gestures.append(Gesture(now_s + 0.03, "schwa", 0.85))
        now_s += 0.05 + rng.gamma(4.0, 0.11)
        gestures.append(Gesture(now_s - 0.02, "schwa", 1.0))
    return gestures


def syllable(
    rng: np.random.Generator, at_s: float, length_s: float, pitch: float, loud: float
) -> list[Gesture]:
    """Return the gestures of one made-up syllable: perhaps a consonant, a vowel, perhaps a coda."""
    vowel = str(rng.choice(VOWELS))
    onset_s = min(0.09, 0.4 * length_s)
    gestures = _consonant(rng, at_s, onset_s, pitch, loud)
    end_s = at_s + length_s
    open_s = at_s + onset_s + 0.02
    gestures.append(Gesture(open_s, vowel, pitch, loud))
    if rng.random() < 0.3:
        coda = str(rng.choice(("n", "m", "l", "r")))
        gestures.append(Gesture(open_s + 0.55 * (end_s - open_s), vowel, pitch * 0.97, 0.9 * loud))
        gestures.append(Gesture(end_s - 0.02, coda, pitch * 0.95, 0.4 * loud))
    else:
        gestures.append(Gesture(end_s - 0.03, vowel, pitch * 0.95, 0.7 * loud))
    return gestures


def _consonant(
    rng: np.random.Generator, at_s: float, length_s: float, pitch: float, loud: float
) -> list[Gesture]:
    manner = rng.random()
    if manner < 0.36:
        phone = str(rng.choice(PLOSIVES))
        burst_s = at_s + 0.6 * length_s
        return [
            Gesture(at_s + 0.012, phone, pitch),
            Gesture(burst_s, phone, pitch),
            Gesture(burst_s + 0.004, phone, pitch, 0.0, 0.5 * loud),
            Gesture(burst_s + 0.016, phone, pitch, 0.0, 0.12 * loud),
        ]
    if manner < 0.58:
        phone = str(rng.choice(FRICATIVES))
        return [
            Gesture(at_s + 0.015, phone, pitch, 0.0, 0.1 * loud),
            Gesture(at_s + 0.5 * length_s, phone, pitch, 0.0, 0.3 * loud),
            Gesture(at_s + length_s, phone, pitch, 0.1 * loud, 0.1 * loud),
        ]
    phone = str(rng.choice(SONORANTS))
    return [
        Gesture(at_s + 0.02, phone, pitch, 0.4 * loud),
        Gesture(at_s + length_s, phone, pitch, 0.45 * loud),
    ]


def _source(
    rng: np.random.Generator,
    voice: Voice,
    gestures: Sequence[Gesture],
    at_s: Array,
    samples: int,
) -> Array:
    checkpoint()
    # The first frame is centered on time 0, so the source begins one hop earlier.
    t = (np.arange(samples) - HOP) / RATE
    voiced = np.interp(t, at_s, [gesture.voiced for gesture in gestures])
    noise = np.interp(t, at_s, [gesture.noise for gesture in gestures])
    pitch = np.interp(t, at_s, [gesture.pitch for gesture in gestures])
    # `roam` counts in samples at the full rate.
    flutter = roam(rng, samples, 2 * 25.0) + 0.6 * roam(rng, samples, 2 * 3.0)
    cycles = np.cumsum(voice.pitch_hz / RATE * pitch * (1 + voice.roughness * flutter))
    tone = _glottis(cycles, voice)
    hiss = np.diff(dsp.white(rng, samples + 1))
    # Breath comes in puffs while the glottis vibrates.
    puffs = voice.breath * (0.5 + np.maximum(-tone, 0.0))
    return voiced * (tone + 0.5 * puffs * hiss) + noise * hiss


def _glottis(cycles: Array, voice: Voice) -> Array:
    opening = 0.72 - 0.25 * voice.effort
    table = np.zeros(1024)
    x = np.arange(1024) / 1024 / opening
    inside = x < 1
    table[inside] = 2 * x[inside] - 3 * x[inside] ** 2
    # The closure, rounded as much as the voice is soft, so that it does not alias either.
    width = 2 + 16 * (1 - voice.effort)
    kernel = np.exp(-0.5 * (np.arange(-256, 256) / width) ** 2)
    spectrum = np.fft.rfft(table) * np.abs(np.fft.rfft(kernel / kernel.sum(), 1024))
    table = np.fft.irfft(spectrum, 1024)
    table = 2.2 * (table - table.mean())
    position = ((cycles - np.floor(cycles)) * 1024).astype(np.int64)
    return table[np.minimum(position, 1023)]


def _tract(
    voice: Voice, gestures: Sequence[Gesture], at_s: Array, frames_s: Array
) -> NDArray[np.float64]:
    """Return the tract of each frame as the coefficients of its all-pole filter, [F, 11]."""
    coefficients = np.zeros((len(frames_s), 11))
    coefficients[:, 0] = 1.0
    unity = np.ones(len(frames_s))
    for index, width in enumerate(WIDTHS_HZ):
        targets = [PHONES[gesture.phone][index] for gesture in gestures]
        hertz = np.minimum(voice.tract * np.interp(frames_s, at_s, targets), 0.46 * RATE)
        width_hz = width * voice.tract * (1 + hertz / 6000)
        radius = np.exp(-np.pi * width_hz / RATE)
        first, second = -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2
        unity *= 1 + first + second
        widened = coefficients.copy()
        widened[:, 1:] += first[:, None] * coefficients[:, :-1]
        widened[:, 2:] += second[:, None] * coefficients[:, :-2]
        coefficients = widened
    return coefficients / unity[:, None]


def _radiation(frame: int) -> NDArray[np.float64]:
    """Return a gentle lift of the highs and no direct current, [frame // 2 + 1]."""
    hertz = np.arange(frame // 2 + 1) * RATE / frame
    return np.sqrt(1 + (hertz / 2500) ** 2) * (hertz / (hertz + 60))
