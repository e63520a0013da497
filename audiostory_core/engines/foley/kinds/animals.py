"""Beasts that call; with birds and insects, all animals."""

import numpy as np

from audiostory_core.engines.foley.kinds.birds import BIRDS
from audiostory_core.engines.foley.kinds.insects import INSECTS
from audiostory_core.engines.foley.sound import Kind, Role, Samples, Shape, Sound
from audiostory_core.engines.foley.synthesis.calls import (
    Formant,
    breath,
    calls,
    pitch_scale,
    rough,
    series,
    voiced,
)
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    decay,
    fade,
    highpass,
    lowpass,
    place,
    seconds,
    times,
    white,
)
from audiostory_core.engines.foley.synthesis.texture import (
    curve,
    drift,
    ring,
    seed_of,
    settled,
    sine,
    slots,
    slow_noise,
    unit_impulse,
)


def _bark(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.16, 0.22) / scale**0.5)
    strain = 1 + 0.15 * shape.intensity
    top = 620 * scale * strain * rng.uniform(0.94, 1.06)
    hertz = curve([0.55 * top, 0.95 * top, top, 0.85 * top, 0.6 * top, 0.42 * top], samples)
    formants = [
        Formant(620 * scale**0.6, 260, 1.0),
        Formant(1350 * scale**0.6, 380, 1.1),
        Formant(2700 * scale**0.6, 700, 0.5),
    ]
    tone = voiced(rough(rng, hertz, 0.035, 140.0), formants, -4.0 + 2 * shape.intensity)
    noise = breath(rng, samples, formants)
    envelope = curve([0.0, 0.9, 1.0, 0.8, 0.55, 0.28, 0.1, 0.0], samples)
    envelope[: seconds(0.008)] *= np.linspace(0, 1, seconds(0.008))
    growl = 1 + 0.3 * slow_noise(rng, samples, 90.0)
    return envelope * (tone * growl + (0.7 + 0.2 * shape.intensity) * noise)


def _growl(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.4, 2.2))
    hertz = curve([75.0, 90.0, 95.0, 88.0, 72.0], samples) * scale
    formants = [Formant(420 * scale, 240), Formant(1050 * scale, 400, 0.6), Formant(2400, 800, 0.2)]
    tone = voiced(rough(rng, hertz, 0.06, 60.0), formants, -3.0, 60)
    flutter = 1 + 0.6 * slow_noise(rng, samples, 26.0)
    envelope = curve([0.0, 0.7, 1.0, 0.9, 0.8, 0.4, 0.0], samples)
    return (
        envelope * flutter * (tone + (0.4 + 0.2 * shape.intensity) * breath(rng, samples, formants))
    )


def _meow(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.65, 1.0) / shape.pace**0.3)
    base = 520 * scale * rng.uniform(0.95, 1.08) * (1 + 0.12 * shape.intensity)
    points = [base * x for x in (0.86, 1.12, 1.38, 1.34, 1.15, 0.92, 0.8)]
    vibrato = 1 + 0.012 * np.sin(2 * np.pi * 6.5 * times(samples))
    # "m-i-a-u": closed and nasal, then bright, open, and rounded again.
    formants = [
        Formant([420 * scale, 650 * scale, 1150 * scale, 1100 * scale, 750 * scale], 220, 1.0),
        Formant([1500 * scale, 2700 * scale, 2300 * scale, 1800 * scale, 1200 * scale], 380, 0.8),
        Formant(3900 * scale, 700, 0.35),
    ]
    tone = voiced(rough(rng, curve(points, samples) * vibrato, 0.006, 60.0), formants, -3.0)
    envelope = curve([0.0, 0.25, 0.7, 1.0, 1.0, 0.75, 0.35, 0.0], samples)
    return envelope * (tone + 0.05 * breath(rng, samples, formants))


def _hiss(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.6, 1.0))
    spit = bandpass(white(rng, samples), 2200 * scale, 9500, 1)
    throat = bandpass(white(rng, samples), 900 * scale, 2000, 1)
    envelope = curve([0.0, 1.0, 0.9, 0.75, 0.6, 0.4, 0.15, 0.0], samples)
    return envelope * (spit + 0.35 * 2**shape.intensity * throat)


def _purr(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    beat_hz = fixed.uniform(23.0, 28.0) * pitch_scale(shape)
    breath_hz = 0.42 * shape.pace
    t = times(sound.samples, sound.start)
    breathing = sine(breath_hz * t)
    # Breathing in is a little faster and weaker than breathing out.
    beat = beat_hz * t + 0.04 * sine(breath_hz * t + 0.25)
    pulse = np.exp(5.0 * (sine(beat + 0.25) - 1))
    body = bandpass(white(rng, sound.samples), 90, 700, 1)
    tone = sine(4 * beat) + 0.6 * sine(7 * beat + 0.16)
    return pulse * (0.75 + 0.25 * breathing) * (body + 0.4 * tone)


def _squeaks(sound: Sound) -> Samples:
    rng, shape = sound.texture, sound.shape
    base = 4600 * pitch_scale(shape) * sound.constants.uniform(0.85, 1.2)
    events = []
    for _ in range(shape.count or 4):
        samples = seconds(rng.uniform(0.045, 0.09))
        top = base * rng.uniform(0.9, 1.2)
        hertz = curve([0.8 * top, 1.12 * top, top, 0.85 * top], samples)
        squeak = voiced(hertz, [Formant(base, 3000), Formant(2.1 * base, 3000, 0.3)], -9.0, 3)
        events.append(fade(squeak, 0.012, 0.02))
    return series(sound, events, (rng.uniform(0.07, 0.22, len(events)) / shape.pace).tolist())


def _neigh(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.3, 1.8))
    top = 1150 * scale * rng.uniform(0.92, 1.1) * (1 + 0.1 * shape.intensity)
    shakes = curve([7.0, 9.0, 11.0, 12.0], samples)
    depth = curve([0.02, 0.10, 0.15, 0.17, 0.12], samples)
    vibrato = 1 + depth * np.sin(2 * np.pi * np.cumsum(shakes) / 44_100)
    points = [0.62 * top, 0.98 * top, top, 0.9 * top, 0.75 * top, 0.58 * top, 0.42 * top]
    hertz = rough(rng, curve(points, samples) * vibrato, 0.02, 90.0)
    formants = [Formant(950 * scale, 420), Formant(1900, 600, 0.9), Formant(3300, 900, 0.5)]
    tone = voiced(hertz, formants, -3.0)
    envelope = curve([0.0, 0.7, 1.0, 0.95, 0.8, 0.6, 0.35, 0.0], samples) * vibrato**2
    whinny = envelope * (tone + 0.22 * breath(rng, samples, formants))
    snort = _snort(rng, scale)
    neigh = np.zeros(samples + snort.size - seconds(0.15))
    place(neigh, whinny, 0)
    place(neigh, snort, neigh.size - snort.size, 0.3)
    return neigh


def _snort(rng: np.random.Generator, scale: float) -> Array:
    samples = seconds(0.45)
    lips = (0.5 + 0.5 * np.sin(2 * np.pi * 24 * times(samples))) ** 2
    air = bandpass(white(rng, samples), 350 * scale, 2600, 1)
    return air * (0.4 + lips) * curve([0.0, 1.0, 0.7, 0.3, 0.0], samples)


Gait = tuple[tuple[float, float], ...]

# Beats within one stride, as shares of it, with their weights: the footfalls of each gait.
WALK: Gait = ((0.0, 1.0), (0.25, 0.8), (0.5, 0.95), (0.75, 0.8))
TROT: Gait = ((0.0, 1.0), (0.5, 0.9))
GALLOP: Gait = ((0.0, 0.7), (0.17, 0.85), (0.34, 1.0))


def _hooves(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    gait, stride_s = TROT, 0.72
    if shape.pace >= 1.3:
        gait, stride_s = (GALLOP, 0.62)
    elif shape.pace <= 0.75:
        gait, stride_s = (WALK, 0.85)
    stride_s = stride_s / shape.pace * fixed.uniform(0.92, 1.08)
    feet_hz = fixed.uniform(620, 1150, 4) * pitch_scale(shape)
    seed = seed_of(fixed)
    canvas = np.zeros(sound.samples)
    for slot in slots(seed, sound.samples, sound.start, stride_s, reach_s=stride_s + 0.3):
        for foot, (share, weight) in enumerate(gait):
            at = slot.at + seconds(stride_s * share + 0.012 * slot.rng.standard_normal())
            clop = _clop(slot.rng, feet_hz[foot])
            place(canvas, clop, at, weight * slot.rng.uniform(0.8, 1.1))
    return canvas


def _clop(rng: np.random.Generator, hertz: float) -> Array:
    hit = np.zeros(seconds(0.16))
    hertz = hertz * rng.uniform(0.97, 1.03)
    for ratio, decay_s, gain in ((1.0, 0.055, 1.0), (1.83, 0.035, 0.5), (2.9, 0.02, 0.3)):
        hit += gain * ring(unit_impulse(0.16), ratio * hertz, decay_s)
    hit += 0.9 * ring(unit_impulse(0.16), 110.0, 0.09)
    grit = highpass(white(rng, hit.size), 1800, 1) * decay(hit.size, 0.07, 0.004)
    return hit + 0.12 * grit


def _moo(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.5, 2.2))
    base = 118 * scale * (1 + 0.1 * shape.intensity)
    points = [base * x for x in (0.85, 1.0, 1.25, 1.38, 1.34, 1.2, 0.95, 0.8)]
    hertz = rough(rng, curve(points, samples), 0.012, 30.0)
    formants = [
        Formant([240 * scale, 300 * scale, 520 * scale, 560 * scale, 420 * scale], 130, 1.0),
        Formant([650 * scale, 800 * scale, 1150 * scale, 1100 * scale, 800 * scale], 220, 0.55),
        Formant(2300 * scale, 500, 0.12),
    ]
    tone = voiced(hertz, formants, -4.0, 60)
    envelope = curve([0.0, 0.45, 0.8, 1.0, 1.0, 0.85, 0.5, 0.0], samples)
    return envelope * (tone + 0.05 * breath(rng, samples, formants))


def _baa(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.7, 1.1))
    base = 270 * scale * rng.uniform(0.95, 1.08)
    bleat = np.sin(2 * np.pi * rng.uniform(8.0, 10.5) * times(samples))
    hertz = curve([1.0, 1.08, 1.06, 1.0, 0.92], samples) * base * (1 + 0.035 * bleat)
    formants = [
        Formant([450 * scale, 820 * scale, 850 * scale, 780 * scale], 220, 1.0),
        Formant([1300 * scale, 1750 * scale, 1700 * scale, 1600 * scale], 320, 0.8),
        Formant(3100 * scale, 600, 0.3),
    ]
    tone = voiced(rough(rng, hertz, 0.015, 70.0), formants, -2.5, 50)
    envelope = curve([0.0, 0.9, 1.0, 0.9, 0.7, 0.0], samples) * (1 + 0.55 * bleat)
    return envelope * (tone + 0.15 * (1 + shape.intensity) * breath(rng, samples, formants))


def _howl(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(2.8, 4.2))
    top = 640 * scale * rng.uniform(0.94, 1.06)
    points = [top * x for x in (0.52, 0.82, 0.98, 1.0, 0.99, 0.97, 0.98, 0.93, 0.78, 0.58)]
    sway = 1 + 0.008 * drift(rng, samples, 0, 3.0)
    formants = [Formant([500 * scale, 700 * scale, 650 * scale], 320), Formant(1350, 500, 0.2)]
    tone = voiced(curve(points, samples) * sway, formants, -9.0, 12)
    envelope = curve([0.0, 0.6, 0.9, 1.0, 1.0, 0.95, 0.8, 0.5, 0.2, 0.0], samples)
    return envelope * (tone + 0.02 * (1 + shape.intensity) * breath(rng, samples, formants))


def _roar(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.8, 2.8))
    points = [scale * x for x in (80.0, 130.0, 165.0, 155.0, 120.0, 85.0, 65.0)]
    hertz = rough(rng, curve(points, samples), 0.09, 80.0)
    formants = [
        Formant([300 * scale, 560 * scale, 620 * scale, 450 * scale, 320 * scale], 240, 1.0),
        Formant([800 * scale, 1100 * scale, 1150 * scale, 900 * scale], 380, 0.6),
        Formant(2300, 900, 0.25),
    ]
    tone = voiced(hertz, formants, -3.0, 60)
    chaos = 1 + 0.55 * slow_noise(rng, samples, 45.0)
    envelope = curve([0.0, 0.55, 1.0, 1.0, 0.8, 0.5, 0.25, 0.0], samples)
    air = breath(rng, samples, formants)
    return envelope * chaos * (tone + (0.8 + 0.3 * shape.intensity) * air)


def _chatter(sound: Sound) -> Samples:
    rng, shape = sound.texture, sound.shape
    scale = pitch_scale(shape) * sound.constants.uniform(0.88, 1.14)
    count = shape.count or 6
    events = []
    for k in range(count):
        rise = 1 + 0.5 * k / max(count - 1, 1)
        events.append(_whoop(rng, scale * rise, excited=k >= count // 2, shape=shape))
    return series(sound, events, (rng.uniform(0.09, 0.16, count) / shape.pace).tolist())


def _whoop(rng: np.random.Generator, scale: float, excited: bool, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.17, 0.24))
    base = 430 * scale
    if excited:
        points = [base * x for x in (1.0, 1.7, 1.9, 1.5)]
        formants = [Formant(1000, 350), Formant(1700, 400, 0.9), Formant(3300, 700, 0.5)]
    else:
        points = [base * x for x in (0.75, 1.0, 1.25, 1.3)]
        formants = [Formant(480 * scale, 260), Formant(950 * scale, 300, 0.4)]
    tone = voiced(rough(rng, curve(points, samples), 0.015, 60.0), formants, -4.0)
    air = 0.12 * (1.5 + shape.intensity) * breath(rng, samples, formants)
    return fade(tone + air, 0.03, 0.07)


def _oink(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.22, 0.34))
    hertz = curve([95.0, 150.0, 175.0, 120.0], samples) * scale
    formants = [Formant([450.0, 900.0, 700.0], 250), Formant([1500.0, 2100.0, 1700.0], 420, 0.8)]
    tone = voiced(rough(rng, hertz, 0.12, 60.0), formants, -2.0, 60)
    rattle = (0.5 + 0.5 * np.sin(2 * np.pi * 42 * times(samples))) ** 2
    air = breath(rng, samples, formants) * (0.5 + rattle)
    return curve([0.0, 0.8, 1.0, 0.7, 0.0], samples) * (tone + (1.2 + shape.intensity * 0.4) * air)


def _bray(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    formants = [Formant(700 * scale, 260), Formant(1500, 420, 0.9), Formant(2900, 800, 0.5)]
    inhale = seconds(rng.uniform(0.45, 0.6))
    hee = voiced(rough(rng, curve([640.0, 900.0, 860.0], inhale) * scale, 0.04, 90.0), formants, -2)
    hee += 1.2 * breath(rng, inhale, formants)
    exhale = seconds(rng.uniform(0.6, 0.8))
    haw = voiced(rough(rng, curve([260.0, 230.0, 190.0], exhale) * scale, 0.05, 70.0), formants, -2)
    gain = 1.4 + 0.3 * shape.intensity
    return np.concatenate([fade(0.7 * hee, 0.06, 0.05), fade(gain * haw, 0.03, 0.15)])


def _trumpet(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.0, 1.6))
    points = [scale * x for x in (300.0, 430.0, 520.0, 545.0, 530.0, 470.0, 340.0)]
    hertz = rough(rng, curve(points, samples), 0.022, 110.0)
    formants = [Formant(800, 500), Formant(1600, 700, 1.2), Formant(3000, 1400, 1.0)]
    tone = voiced(hertz, formants, -0.5 + shape.intensity, 40)
    buzz = 1 + 0.3 * slow_noise(rng, samples, 70.0)
    rumble = 10 * lowpass(lowpass(white(rng, samples), 60, 1), 140, 1)
    envelope = curve([0.0, 0.8, 1.0, 1.0, 0.9, 0.6, 0.0], samples)
    return envelope * (tone * buzz + 0.2 * breath(rng, samples, formants) + 0.3 * rumble)


def _frogs(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    singers = shape.count or round(6 * 2 ** (0.5 * shape.intensity))
    canvas = np.zeros((2, sound.samples))
    for _ in range(singers):
        period_s = fixed.uniform(0.9, 2.0) / shape.pace
        hertz = fixed.choice([520.0, 900.0, 1500.0]) * fixed.uniform(0.85, 1.15)
        hertz *= pitch_scale(shape)
        pulse_hz = fixed.uniform(38.0, 75.0)
        pan, gain, seed = fixed.uniform(0.15, 0.85), fixed.uniform(0.4, 1.0), seed_of(fixed)
        for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=0.6):
            if slot.rng.random() < 0.75:
                croak = gain * _croak(slot.rng, hertz, pulse_hz)
                at = slot.at + seconds(0.25 * period_s * slot.rng.random())
                place(canvas[0], croak, at, np.sqrt(1 - pan))
                place(canvas[1], croak, at, np.sqrt(pan))
    return canvas


def _croak(rng: np.random.Generator, hertz: float, pulse_hz: float) -> Array:
    samples = seconds(rng.uniform(0.2, 0.42))
    rate_hz = curve([0.85, 1.0, 1.1], samples) * pulse_hz
    phase = np.cumsum(rate_hz) / 44_100
    pulses = np.zeros(samples)
    pulses[np.flatnonzero(np.diff(np.floor(phase)) > 0)] = 1.0
    croak = ring(pulses, hertz, 0.035) + 0.6 * ring(pulses, 2.05 * hertz, 0.02)
    return fade(croak, 0.05, 0.06) * curve([0.4, 1.0, 0.9], samples)


KINDS: tuple[Kind, ...] = (
    Kind("dog", "animal", Role.ONESHOT, calls(_bark, 2, (0.18, 0.34), 0.2), -19.0),
    Kind("dog_growl", "animal", Role.ONESHOT, calls(_growl, 1, (0.4, 0.8)), -24.0),
    Kind("cat", "animal", Role.ONESHOT, calls(_meow, 1, (0.5, 1.1)), -23.0),
    Kind("cat_hiss", "animal", Role.ONESHOT, calls(_hiss, 1, (0.3, 0.6)), -25.0),
    Kind("cat_purr", "animal", Role.BED, settled(_purr), -32.0),
    Kind("mouse", "animal", Role.ONESHOT, _squeaks, -34.0),
    Kind("horse", "animal", Role.ONESHOT, calls(_neigh, 1, (0.5, 1.0)), -20.0),
    Kind("hooves", "animal", Role.SUSTAINED, settled(_hooves), -23.0),
    Kind("cow", "animal", Role.ONESHOT, calls(_moo, 1, (0.6, 1.2)), -21.0),
    Kind("sheep", "animal", Role.ONESHOT, calls(_baa, 2, (0.4, 0.9)), -22.0),
    Kind("pig", "animal", Role.ONESHOT, calls(_oink, 3, (0.12, 0.3)), -23.0),
    Kind("donkey", "animal", Role.ONESHOT, calls(_bray, 2, (0.12, 0.2)), -21.0),
    Kind("elephant", "animal", Role.ONESHOT, calls(_trumpet, 1, (0.5, 0.9)), -18.0),
    Kind("wolf", "animal", Role.ONESHOT, calls(_howl, 1, (0.5, 1.0)), -23.0),
    Kind("lion", "animal", Role.ONESHOT, calls(_roar, 1, (0.4, 0.9)), -17.0),
    Kind("monkey", "animal", Role.ONESHOT, _chatter, -22.0),
    Kind("frogs", "animal", Role.BED, settled(_frogs), -30.0),
    *BIRDS,
    *INSECTS,
)
