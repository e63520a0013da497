"""Insects that sing, buzz and swarm."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    glide,
    place,
    seconds,
    times,
    white,
)
from audiostory_core.engines.foley.synthesis.texture import (
    curve,
    drift,
    impulses,
    ring,
    seed_of,
    settled,
    sine,
    slots,
    slow_noise,
)


def _crickets(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    singers = shape.count or round(6 * 1.7**shape.intensity)
    canvas = np.zeros((2, sound.samples))
    warmth = fixed.uniform(2.1, 3.0) * shape.pace  # chirps a second follow the night's warmth
    for _ in range(singers):
        hertz = fixed.uniform(4100, 5100) * 2 ** (-0.25 * shape.size)
        period_s = 1 / (warmth * fixed.uniform(0.93, 1.07))
        pan, gain = fixed.uniform(0.05, 0.95), fixed.uniform(0.25, 1.0)
        offset_s, seed = fixed.uniform(0, period_s), seed_of(fixed)
        chirp = gain * _chirp(hertz, fixed.uniform(0.034, 0.042))
        for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=1.0):
            if slot.rng.random() < 0.96:
                at = slot.at + seconds(offset_s)
                level = slot.rng.uniform(0.85, 1.0)
                place(canvas[0], chirp, at, level * np.sqrt(1 - pan))
                place(canvas[1], chirp, at, level * np.sqrt(pan))
    return canvas


def _chirp(hertz: float, pulse_s: float) -> Array:
    """Return three wing strokes, each a pure tone that swells; the first is the weakest."""
    chirp = np.zeros(seconds(3 * pulse_s))
    stroke = seconds(0.55 * pulse_s)
    tone = np.sin(glide(curve([1.02 * hertz, hertz, 0.98 * hertz], stroke)))
    tone *= np.sin(np.pi * np.arange(stroke) / stroke) ** 1.5
    for k, gain in enumerate((0.6, 0.9, 1.0)):
        place(chirp, tone, seconds(k * pulse_s), gain)
    return chirp


def _cicadas(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    center_hz = fixed.uniform(5400, 7200) * 2 ** (-0.25 * shape.size)
    t = times(sound.samples, sound.start)
    canvas = np.zeros((2, sound.samples))
    for k in range(2):
        click_hz = fixed.uniform(110, 170)
        swell = np.exp(0.4 * drift(fixed, sound.samples, sound.start, 0.25 * shape.pace))
        clicks = np.exp(3.0 * (sine(click_hz * t) - 1))
        low, high = center_hz * (0.82 + 0.15 * k), center_hz * (1.12 + 0.15 * k)
        buzz = bandpass(white(rng, sound.samples), low, high) * clicks * swell
        canvas[k] += buzz
        canvas[1 - k] += 0.3 * buzz
    haze = 0.12 * 1.8**shape.intensity
    for side in range(2):
        canvas[side] += haze * bandpass(white(rng, sound.samples), 4500, 9000, 1)
    return canvas


def _bees(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    bees = shape.count or round(6 * 1.5**shape.intensity)
    base_hz = fixed.uniform(190, 240) * 2 ** (-0.4 * shape.size)
    canvas = np.zeros((2, sound.samples))
    for _ in range(min(bees, 9)):
        own = base_hz * fixed.uniform(0.86, 1.16)
        wander = drift(fixed, sound.samples, sound.start, 1.1 * shape.pace)
        near = np.exp(0.5 * drift(fixed, sound.samples, sound.start, 0.5 * shape.pace))
        pan = fixed.uniform(0.1, 0.9)
        cycles = np.cumsum(own * (1 + 0.035 * wander)) / 44_100 + rng.random()
        saw = 2 * (cycles - np.floor(cycles)) - 1
        saw *= near
        canvas[0] += np.sqrt(1 - pan) * saw
        canvas[1] += np.sqrt(pan) * saw
    return bandpass(canvas, 1.1 * base_hz, 2600, 1)


def _fly(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    hertz = fixed.uniform(165, 210) * 2 ** (-1.3 * shape.size)
    turn = drift(fixed, sound.samples, sound.start, 1.6 * shape.pace)
    near = np.exp(0.5 * drift(fixed, sound.samples, sound.start, 0.7 * shape.pace))
    cycles = np.cumsum(hertz * (1 + 0.06 * turn)) / 44_100
    saw = 2 * (cycles - np.floor(cycles)) - 1
    beat = 1 + 0.25 * slow_noise(rng, sound.samples, 40.0)
    return near * beat * bandpass(saw, 2 * hertz, 5200, 1)


def _insects(sound: Sound) -> Samples:
    """A summer meadow: grasshoppers rasping, a high trill, small clicks."""
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    t = times(sound.samples, sound.start)
    canvas = np.zeros((2, sound.samples))
    for side in range(2):
        trill_hz, beat_hz = fixed.uniform(6800, 8600), fixed.uniform(38, 60)
        trill_hz *= 2 ** (-0.25 * shape.size)
        beat = np.maximum(0.0, sine(beat_hz * t)) ** 2
        canvas[side] += 0.6 * beat * bandpass(white(rng, sound.samples), 0.97 * trill_hz, trill_hz)
        clicks = impulses(rng, sound.samples, 9.0 * 2**shape.intensity)
        canvas[side] += 0.25 * ring(clicks, fixed.uniform(5000, 9000), 0.004)
    for _ in range(shape.count or round(4 * 1.6**shape.intensity)):
        rasp = _rasp(fixed.uniform(7000, 11_000), fixed.uniform(18, 30), fixed)
        period_s, pan = fixed.uniform(1.1, 2.4) / shape.pace, fixed.uniform(0.05, 0.95)
        for slot in slots(seed_of(fixed), sound.samples, sound.start, period_s, reach_s=2.0):
            at = slot.at + seconds(0.4 * period_s * slot.rng.random())
            place(canvas[0], rasp, at, slot.rng.uniform(0.6, 1.0) * np.sqrt(1 - pan))
            place(canvas[1], rasp, at, slot.rng.uniform(0.6, 1.0) * np.sqrt(pan))
    return canvas


def _rasp(hertz: float, stroke_hz: float, rng: np.random.Generator) -> Array:
    samples = seconds(0.75)
    strokes = np.maximum(0.0, np.sin(2 * np.pi * stroke_hz * times(samples))) ** 3
    hiss = bandpass(white(rng, samples), 0.7 * hertz, min(1.4 * hertz, 16_000), 1)
    return 0.8 * hiss * strokes * curve([0.0, 0.5, 0.8, 1.0, 0.9, 0.0], samples)


INSECTS: tuple[Kind, ...] = (
    Kind("crickets", "animal", Role.BED, settled(_crickets), -33.0),
    Kind("cicadas", "animal", Role.BED, settled(_cicadas), -28.0),
    Kind("bees", "animal", Role.BED, settled(_bees), -30.0),
    Kind("fly", "animal", Role.SUSTAINED, settled(_fly), -32.0),
    Kind("insects", "animal", Role.BED, settled(_insects), -33.0),
)
