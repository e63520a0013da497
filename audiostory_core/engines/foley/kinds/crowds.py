"""Many people at once: murmur, applause, cheers, children, markets, quarrels.

A crowd is a few real voices laid over each other many times, on speech-shaped noise that fluctuates
like speech. Beds are made on a ring, what runs over the end of a block comes in at its start, so
that every moment of a block is alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from audiostory_core.engines.foley.kinds.body import hand_clap
from audiostory_core.engines.foley.kinds.voices import laughing, shouter, shouts
from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.texture import drawn_once
from audiostory_core.engines.foley.synthesis.voicing import Gesture, Voice, babble, speak, voice_of
from audiostory_core.story.plan import SAMPLE_RATE

CLAPS_A_SECOND = 260.0
VOICE_S = 1.9  # of each voice that is laid over and over
APART = 9000  # samples between the noises of the two ears
SETTLING = 2000  # samples that a filter gets before what it makes is heard


def _around(canvas: Array, waveform: Array, at: int, left: float, right: float) -> None:
    """Add a mono waveform to a stereo ring [2, N], in place."""
    samples = canvas.shape[1]
    position = at % samples
    while len(waveform):
        part = waveform[: samples - position]
        canvas[0, position : position + len(part)] += left * part
        canvas[1, position : position + len(part)] += right * part
        waveform, position = waveform[len(part) :], 0


def _scatter(
    rng: np.random.Generator, samples: int, voices: Sequence[Array], layers: float
) -> Array:
    """Lay voices over a stereo ring, [2, N], `layers` of them at any moment on average."""
    canvas = np.zeros((2, samples))
    length = float(np.mean([len(voice) for voice in voices]))
    for number in range(max(len(voices), round(layers * samples / length))):
        voice = voices[number % len(voices)]
        angle = rng.uniform(0.05, 0.45) * np.pi
        gain = rng.uniform(0.35, 1.0)
        at = int(rng.integers(samples))
        _around(canvas, voice, at, gain * float(np.cos(angle)), gain * float(np.sin(angle)))
    return canvas


def _speech_noise(
    rng: np.random.Generator,
    samples: int,
    bands: Sequence[tuple[float, float, float]],
    depth: float,
) -> Array:
    """Return noise whose bands (low, high in Hz, gain) each swell at syllable rate, [2, N]."""
    canvas = np.zeros((2, samples))
    noise = dsp.lowpass(dsp.white(rng, samples + APART + SETTLING), bands[-1][1])
    for low, high, gain in bands:
        band = dsp.bandpass(noise, low, high, 1)[SETTLING:]
        band *= gain / float(np.std(band))
        swell = 1 + depth * matter.roam(rng, samples, 4.0)
        # One noise, heard at two moments, is two noises.
        canvas[0] += band[:samples] * swell
        canvas[1] += band[APART:] * swell
    return canvas


@drawn_once
def _talkers(rng: np.random.Generator, count: int) -> list[Array]:
    """Return short stretches of talk by different people, of equal power."""
    stretches = []
    for number in range(count):
        voice = replace(voice_of(rng, 0.3 if number % 2 else -0.4), effort=0.6)
        gestures = babble(rng, VOICE_S, rng.uniform(4.2, 5.2), 1.3)
        stretches.append(_leveled(speak(rng, voice, gestures, dsp.seconds(VOICE_S))))
    return [*stretches, *(_transposed(stretch, rng.uniform(1.1, 1.22)) for stretch in stretches)]


def _transposed(waveform: Array, factor: float) -> Array:
    """Play a voice faster, and so by a smaller person, [N / factor]."""
    at = np.arange(int(len(waveform) / factor)) * factor
    return np.interp(at, np.arange(len(waveform)), waveform)


def _leveled(waveform: Array) -> Array:
    return dsp.fade(waveform, 0.02, 0.05) / (float(np.std(waveform)) + 1e-9)


MURMUR_BANDS = ((140.0, 700.0, 1.0), (600.0, 2400.0, 0.4))


def _crowd(sound: Sound) -> Array:
    talkers = _talkers(sound.constants, 3)
    many = 1.4**sound.shape.size * 1.5**sound.shape.intensity
    voices = _scatter(sound.texture, sound.samples, talkers, 9.0 * many)
    noise = _speech_noise(sound.texture, sound.samples, MURMUR_BANDS, 0.3)
    mixed = voices + 0.7 * many**0.5 * noise
    return dsp.lowpass(mixed, 3800.0 * 1.3**sound.shape.intensity, 1)


def _market(sound: Sound) -> Array:
    talkers = _talkers(sound.constants, 2)
    sellers = _sellers(sound.constants)
    rng = sound.texture
    voices = _scatter(rng, sound.samples, talkers, 6.0)
    calls = _scatter(rng, sound.samples, sellers, 0.8 * 1.4**sound.shape.intensity)
    noise = _speech_noise(rng, sound.samples, MURMUR_BANDS, 0.25)
    crates = np.zeros((2, sound.samples))
    for _ in range(int(rng.poisson(sound.samples / SAMPLE_RATE * 0.9))):
        knock = matter.impact(rng, CRATE, rng.uniform(0.7, 2.2))
        left, right = rng.uniform(0.2, 1.0, 2)
        _around(crates, knock, int(rng.integers(sound.samples)), float(left), float(right))
    return voices + 2.2 * calls + 0.4 * noise + 3.0 * crates


CRATE = matter.Material(210.0, (1.0, 1.7, 2.6, 4.1, 6.0), 0.12, contact_s=0.0009, spread=0.1)


@drawn_once
def _sellers(rng: np.random.Generator) -> list[Array]:
    return [_call(rng, size) for size in (0.4, -0.4, 0.8)]


def _call(rng: np.random.Generator, size: float) -> Array:
    gestures = shouts(rng, 1.2, 0.9, 0.0)
    end_s = min(gestures[-1].at_s, 1.8)
    return _leveled(speak(rng, shouter(rng, size), gestures, dsp.seconds(end_s)))


def _children(sound: Sound) -> Array:
    rng = sound.texture
    voices = _young_voices(sound.constants)
    lively = 1.5**sound.shape.intensity * sound.shape.pace**0.5
    canvas = _scatter(rng, sound.samples, voices, 4.0 * lively)
    yard = _speech_noise(rng, sound.samples, ((700.0, 1500.0, 0.3), (1500.0, 4000.0, 0.2)), 0.4)
    return canvas + 0.4 * yard


@drawn_once
def _young_voices(rng: np.random.Generator) -> list[Array]:
    voices = []
    for number in range(5):
        child = voice_of(rng, -1.0, lift=rng.uniform(1.1, 1.35))
        gestures = laughing(rng, 0.0, 7, 1.2) if number == 4 else shouts(rng, 1.6, 1.5, 0.3)
        end_s = min(gestures[-1].at_s + 0.05, 2.2)
        child = replace(child, effort=0.85)
        voices.append(_leveled(speak(rng, child, gestures, dsp.seconds(end_s))))
    return [*voices, _squeal(rng)]


def _squeal(rng: np.random.Generator) -> Array:
    child = Voice(rng.uniform(700, 900), 1.45, breath=0.2, effort=0.9, roughness=0.02)
    gestures = [
        Gesture(0.0, "i", 0.8),
        Gesture(0.06, "i", 1.1, 0.8),
        Gesture(0.3, "e", 1.35, 1.0, 0.05),
        Gesture(0.6, "e", 1.0, 0.3),
        Gesture(0.66, "e", 0.9),
    ]
    return 0.6 * _leveled(speak(rng, child, gestures, dsp.seconds(0.7)))


ROAR_BANDS = ((380.0, 1000.0, 1.0), (900.0, 3000.0, 0.6))


def _cheering(sound: Sound) -> Array:
    rng = sound.texture
    *cries, whistle = _cries(sound.constants)
    heat = 1.5**sound.shape.intensity
    canvas = _scatter(rng, sound.samples, cries, 10.0 * heat)
    canvas += 2.2 * heat**0.5 * _speech_noise(rng, sound.samples, ROAR_BANDS, 0.12)
    canvas += 0.9 * _scatter(rng, sound.samples, [whistle], 0.12 * heat)
    claps = _clapping(rng, sound.samples, 120.0 * heat, 2)
    return canvas + 0.7 * claps / (float(np.std(claps)) + 1e-9)


@drawn_once
def _cries(rng: np.random.Generator) -> list[Array]:
    """Return three people's cries and a whistle."""
    cries = []
    for number in range(3):
        voice = shouter(rng, -0.4 if number % 2 else 0.3)
        length_s = rng.uniform(1.2, 2.0)
        vowel = ("a", "e", "o")[number]
        gestures = [
            Gesture(0.0, vowel, 0.8),
            Gesture(0.1, vowel, 1.1, 0.9, 0.04),
            Gesture(0.6 * length_s, vowel, rng.uniform(1.1, 1.3), 1.0, 0.05),
            Gesture(length_s, vowel, 0.9, 0.0, 0.02),
        ]
        cries.append(_leveled(speak(rng, voice, gestures, dsp.seconds(length_s))))
    return [*cries, _finger_whistle(rng)]


def _finger_whistle(rng: np.random.Generator) -> Array:
    samples = dsp.seconds(0.8)
    x = np.arange(samples) / samples
    hertz = rng.uniform(2200, 2700) * np.interp(
        x, [0, 0.2, 0.45, 0.6, 1], [0.7, 1, 0.95, 1.15, 0.75]
    )
    return _leveled(np.sin(dsp.glide(hertz)) * matter.arch(samples, 0.4, 0.5))


def _clapping(rng: np.random.Generator, samples: int, rate_hz: float, hands: int) -> Array:
    """Return many people clapping, [2, N]: noise under Poisson envelopes, a palm each."""
    canvas = np.zeros((2, samples))
    chance = rate_hz / hands / SAMPLE_RATE
    for number in range(hands):
        impulses = np.zeros(samples)
        total = int(rng.poisson(chance * samples))
        np.add.at(impulses, rng.integers(samples, size=total), rng.uniform(0.2, 1.0, total) ** 2)
        bursts = dsp.white(rng, samples) * matter.smear(impulses, rng.uniform(0.018, 0.03))
        palm_hz = 850.0 * (2600.0 / 850.0) ** ((number + rng.uniform(0.2, 0.8)) / hands)
        palms = dsp.bandpass(bursts, 0.6 * palm_hz, 1.7 * palm_hz, 1) + 0.25 * bursts
        angle = (number + 0.5) / hands * np.pi / 2
        canvas[0] += np.cos(angle) * palms
        canvas[1] += np.sin(angle) * palms
    return canvas


def _applause(sound: Sound) -> Array:
    rng = sound.texture
    hall = 1.5**sound.shape.size * sound.constants.uniform(0.8, 1.25)
    rate_hz = CLAPS_A_SECOND * hall * 2.6**sound.shape.intensity
    canvas = _clapping(rng, sound.samples, rate_hz, 4)
    canvas /= float(np.std(canvas)) + 1e-9
    # A few near pairs of hands keep their own beat above the rain of the others.
    for _ in range(5):
        clap = hand_clap(rng, rng.uniform(0.8, 1.2))
        angle = rng.uniform(0.1, 0.4) * np.pi
        period_s = rng.uniform(0.2, 0.3) / sound.shape.pace**0.5
        count = int(sound.samples / SAMPLE_RATE / period_s) + 1
        at = np.cumsum(period_s * (1 + 0.05 * rng.normal(size=count))) - period_s * rng.random()
        for second in at:
            gain = rng.uniform(0.5, 1.0)
            dsp.place(canvas[0], clap, dsp.seconds(float(second)), gain * float(np.cos(angle)))
            dsp.place(canvas[1], clap, dsp.seconds(float(second)), gain * float(np.sin(angle)))
    return dsp.fade(canvas, 0.15, 0.03)


def _quarrel(sound: Sound) -> Array:
    rng = sound.texture
    heat = 0.4 + 0.6 * sound.shape.intensity
    man = shouter(sound.constants, 0.4)
    woman = shouter(sound.constants, -0.4)
    duration_s = sound.samples / SAMPLE_RATE
    canvas = np.zeros((2, sound.samples))
    now_s, first = 0.0, bool(sound.constants.random() < 0.5)
    while now_s < duration_s:
        turn_s = rng.uniform(1.0, 2.4) / sound.shape.pace**0.5
        gestures = _tirade(rng, turn_s, heat)
        turn = _leveled(speak(rng, man if first else woman, gestures, dsp.seconds(turn_s + 0.2)))
        left, right = (0.9, 0.5) if first else (0.5, 0.9)
        dsp.place(canvas[0], turn, dsp.seconds(now_s), left)
        dsp.place(canvas[1], turn, dsp.seconds(now_s), right)
        # They interrupt each other.
        now_s += turn_s * rng.uniform(0.6, 0.95)
        first = not first
    return dsp.fade(np.tanh(0.6 * canvas), 0.0, 0.03)


def _tirade(rng: np.random.Generator, duration_s: float, heat: float) -> list[Gesture]:
    excited = babble(rng, duration_s, 5.8, 1.6)
    lift = 1 + 0.12 * heat
    return [
        replace(gesture, pitch=gesture.pitch * lift, voiced=gesture.voiced**0.7)
        for gesture in excited
        if gesture.at_s < duration_s
    ] + [Gesture(duration_s + 0.05, "schwa", 0.9)]


def _laughter_crowd(sound: Sound) -> Array:
    constants, rng = sound.constants, sound.texture
    laughs = []
    for number in range(4):
        voice = replace(voice_of(constants, (-0.4, 0.3)[number % 2]), breath=0.12, effort=0.65)
        gestures = laughing(constants, 0.0, int(constants.integers(6, 10)), 1.0)
        end_s = gestures[-1].at_s + 0.1
        gestures.append(Gesture(end_s, "schwa"))
        laughs.append(_leveled(speak(constants, voice, gestures, dsp.seconds(end_s + 0.05))))
    heat = 1.5**sound.shape.intensity
    canvas = _scatter(rng, sound.samples, laughs, 5.0 * heat)
    return canvas + 0.25 * _speech_noise(rng, sound.samples, MURMUR_BANDS, 0.5)


def _crowd_kind(name: str, role: Role, render: Callable[[Sound], Array], level_db: float) -> Kind:
    return Kind(name, "crowd", role, render, level_db)


KINDS: tuple[Kind, ...] = (
    _crowd_kind("applause", Role.SUSTAINED, _applause, -22.0),
    _crowd_kind("crowd", Role.BED, _crowd, -28.0),
    _crowd_kind("cheering", Role.BED, _cheering, -20.0),
    _crowd_kind("children", Role.BED, _children, -25.0),
    _crowd_kind("market", Role.BED, _market, -26.0),
    _crowd_kind("quarrel", Role.SUSTAINED, _quarrel, -22.0),
    _crowd_kind("laughter_crowd", Role.SUSTAINED, _laughter_crowd, -23.0),
)
