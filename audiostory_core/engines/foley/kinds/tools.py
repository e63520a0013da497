"""Hand and power tools, dry and near; part of the machine kinds."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    fade,
    highpass,
    place,
    seconds,
    times,
)
from audiostory_core.engines.foley.synthesis.matter import counted, force_of, scale_of
from audiostory_core.engines.foley.synthesis.motors import INLINE_FOUR, SINGLE, Motor, running
from audiostory_core.engines.foley.synthesis.sources import (
    TABLE,
    click,
    crossings,
    hiss,
    jitter,
    play,
    scatter,
    struck,
    switched,
    turns,
    wavetable,
)


def _commutator(rng: np.random.Generator, bars: int) -> Array:
    """Return one revolution of a brushed motor: its bars stand out of a rough spectrum."""
    gains = rng.uniform(0.05, 0.35, 4 * bars) / np.arange(1, 4 * bars + 1) ** 0.2
    gains[0] = 0.6
    gains[bars - 1 :: bars] += (1.0, 0.6, 0.35, 0.2)
    return wavetable(gains, rng.uniform(0, 2 * np.pi, 4 * bars))


def _drill(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    spin = switched(sound.texture, samples, (1.6, 3.2), (0.4, 0.9), (0.09, 0.16))
    bite = np.clip(spin * 1.6 - 0.75, 0, 1) * (0.75 + 0.2 * jitter(sound.texture, samples, 5))
    top_hz = rng.uniform(190, 270) * scale_of(sound, 0.5) * sound.shape.pace**0.3
    hertz = top_hz * spin * (1 - 0.22 * bite)
    whine = play(_commutator(rng, 7), turns(hertz)) * spin**1.5
    grinding = hiss(sound.texture, samples, 900, 6500) * bite
    return whine * (0.6 + 0.5 * bite) + (0.55 + 0.3 * sound.shape.intensity) * grinding


def _hammer(sound: Sound) -> Samples:
    rng = sound.constants
    size, force = scale_of(sound), force_of(sound)
    nail = size * np.array((820, 2150, 3480, 4900, 6700)) * rng.uniform(0.85, 1.15)
    board = size * np.array((165, 290, 470, 760)) * rng.uniform(0.8, 1.2)

    def hit(index: int) -> Array:
        canvas = np.zeros(min(seconds(0.4), sound.samples))
        rising = 1 + 0.02 * index  # a nail rings higher the deeper it is
        metal = struck(sound.texture, rising * nail, (0.16, 0.2, 0.14, 0.1, 0.06), 0.004)
        place(canvas, metal, 0, 0.8 * force**0.4)
        place(canvas, struck(sound.texture, board, (0.14, 0.12, 0.09, 0.06), 0.01), 0, 0.9)
        place(canvas, click(sound.texture, 0.012, 1500, 9000), 0, 0.7)
        return fade(canvas, 0, 0.03) * sound.texture.uniform(0.85, 1.0)

    return counted(sound, int(rng.integers(4, 7)), rng.uniform(0.42, 0.55), hit, 0.06)


def _saw(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    strokes = turns(
        rng.uniform(0.85, 1.1) * sound.shape.pace * (1 + 0.06 * jitter(sound.texture, samples, 2))
    )
    swing = np.sin(2 * np.pi * strokes)
    speed = np.abs(swing)
    push = np.where(swing > 0, 1.0, 0.45) * speed**1.3
    teeth = play(_tooth(), turns(20 + rng.uniform(110, 150) * speed))
    noise = sound.texture.standard_normal(samples)
    blade_hz = rng.uniform(1100, 1700) * scale_of(sound)
    rasp = bandpass(noise, blade_hz, 2.2 * blade_hz, 1) + 0.7 * bandpass(noise, 3000, 8000, 1)
    return push * rasp * (0.25 + teeth) + 0.15 * push * bandpass(noise, 180, 420, 1)


def _tooth() -> Array:
    return np.exp(-np.arange(TABLE) / TABLE / 0.25)


def _chainsaw(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    motor = Motor((0.0, 0.5), 0.06, 0.25, rng.uniform(230, 320) * scale_of(sound, 0.4), 0.3)
    revving = switched(sound.texture, samples, (1.2, 3.0), (0.5, 1.2), (0.12, 0.3))
    bite = np.clip(1.5 * revving - 0.6, 0, 1) * (0.5 + 0.4 * jitter(sound.texture, samples, 2))
    rpm = 2600 + rng.uniform(5200, 6600) * revving * (1 - 0.18 * np.clip(bite, 0, 1))
    rasp = np.tanh(0.8 * running(motor, rpm, rng, sound.texture))
    return rasp * (0.35 + 0.65 * revving) + 0.2 * revving * hiss(sound.texture, samples, 2500, 9000)


def _jackhammer(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    working = switched(sound.texture, samples, (1.8, 4.0), (0.4, 1.0), (0.05, 0.08))
    blows_hz = rng.uniform(17, 23) * sound.shape.pace**0.4 * (0.7 + 0.3 * working)
    at = crossings(turns(blows_hz))
    chisel = np.array((310, 690, 1480, 2390, 3900)) * scale_of(sound) * rng.uniform(0.85, 1.15)
    blow = struck(rng, chisel, (0.06, 0.06, 0.05, 0.05, 0.04))
    place(blow, click(rng, 0.03, 300, 5000), 0, 0.9)
    gains = working[at.astype(np.int64)] * sound.texture.uniform(0.75, 1.0, len(at))
    exhaust = hiss(sound.texture, samples, 700, 5000) * working * 0.07
    earth = scatter(samples, at, gains, struck(rng, (62, 97), (0.12, 0.1)))
    return highpass(scatter(samples, at, gains, blow) + 0.6 * earth, 40, 1) + exhaust


def _sweeper(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    motor = Motor(INLINE_FOUR, 0.07, 0.2, rng.uniform(70, 95) * scale_of(sound), 0.1)
    rpm = 1350 + 30 * jitter(sound.texture, samples, 0.8)
    turns_hz = rng.uniform(1.6, 2.3) * sound.shape.pace
    suction_hz = rng.uniform(380, 470) * (1 + 0.003 * jitter(sound.texture, samples, 3))
    # One part after the other: together they would be the most that any clip holds in memory.
    mixed = 0.16 * play(wavetable((1, 0.5, 0.3, 0.15)), turns(suction_hz))
    mixed += 0.4 * running(motor, rpm, rng, sound.texture)
    mixed += _brushes(sound.texture.standard_normal(samples), turns_hz)
    return mixed


def _brushes(noise: Array, turns_hz: float) -> Array:
    swept = np.sin(np.pi * turns_hz * times(noise.size)) ** 2
    swept *= 1.2
    swept += 0.15
    swept *= bandpass(noise, 1800, 8500, 1)
    swept *= 1.5
    swept += 1.575 * bandpass(noise, 250, 1200, 1)
    return swept


def _lawn_mower(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    motor = Motor(SINGLE, 0.045, 0.15, rng.uniform(115, 150) * scale_of(sound, 0.4), 0.4)
    load = jitter(sound.texture, samples, 0.7)
    rpm = rng.uniform(2700, 3200) * sound.shape.pace**0.2 * (1 + 0.02 * load)
    blade = hiss(sound.texture, samples, 350, 2600) * (
        0.6 + 0.4 * np.sin(2 * np.pi * turns(rpm / 30))
    )
    pops = np.tanh(0.4 * running(motor, rpm, rng, sound.texture)) * 2.5
    return pops + 0.8 * blade


KINDS: tuple[Kind, ...] = (
    Kind("drill", "tool", Role.SUSTAINED, _drill, -18.0),
    Kind("hammer", "tool", Role.ONESHOT, _hammer, -19.0),
    Kind("saw", "tool", Role.SUSTAINED, _saw, -22.0),
    Kind("chainsaw", "tool", Role.SUSTAINED, _chainsaw, -16.0),
    Kind("jackhammer", "tool", Role.SUSTAINED, _jackhammer, -15.0),
    Kind("sweeper", "tool", Role.SUSTAINED, _sweeper, -21.0),
    Kind("lawn_mower", "tool", Role.SUSTAINED, _lawn_mower, -19.0),
)
