"""Combustion engines and how they are driven."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from audiostory_core.engines.foley.sound import Sound
from audiostory_core.engines.foley.synthesis.dsp import Array, bandpass
from audiostory_core.engines.foley.synthesis.sources import (
    CONTROL,
    TABLE,
    jitter,
    play,
    resonant,
    turns,
)
from audiostory_core.engines.foley.synthesis.texture import drift, upsampled
from audiostory_core.story.plan import SAMPLE_RATE

DRAWN = 4096  # points of an engine cycle that are computed; the rest are drawn between them
INLINE_FOUR = (0.0, 0.25, 0.5, 0.75)
INLINE_SIX = (0.0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6)
V_TWIN = (0.0, 0.4375)  # 315° and 405° apart
SINGLE = (0.0,)


@dataclass(frozen=True)
class Motor:
    """A four-stroke combustion engine as its exhaust is heard.

    Attributes:
        firings: when each cylinder fires, in parts of the cycle of two revolutions.
        sharpness: width of a firing pulse in parts of the cycle: 0.02 hard … 0.15 soft.
        unevenness: how much cylinders differ in strength and timing, 0 … 0.5.
        pipe_hz: lowest resonance of the exhaust pipe.
        breath: noise of the gas, relative to the pulses.
        clatter: Diesel knock, relative to the pulses.
    """

    firings: tuple[float, ...]
    sharpness: float
    unevenness: float
    pipe_hz: float
    breath: float
    clatter: float = 0.0


def running(
    motor: Motor, rpm: Array, constants: np.random.Generator, texture: np.random.Generator
) -> Array:
    """Run an engine at a speed given per sample, [N], around unit variance.

    Args:
        motor: what runs.
        rpm: revolutions a minute, [N].
        constants: draws what stays with this engine.
        texture: draws what never repeats.
    """
    samples = len(rpm)
    soft = _firings(constants, motor, motor.sharpness)
    hard = _firings(constants, motor, 0.4 * motor.sharpness)
    firing_hz = max(float(np.mean(rpm)) / 120 * len(motor.firings), 4.0)
    luck = jitter(texture, samples, firing_hz)  # a rich charge burns strong and early
    cycles = turns(rpm / 120, constants.random()) + 0.03 * motor.unevenness * luck
    pulses = play((soft - soft.mean()) / soft.std(), cycles)
    pulses *= 1 + 0.15 * luck
    pipe = [(motor.pipe_hz * (2 * n + 1), 4.0, 2.4 / (1 + 0.7 * n)) for n in range(3)]
    tone = resonant(pulses, pipe, 0.4)
    gust = play(hard / np.sqrt(np.mean(hard**2)), cycles)
    noise = gust * texture.standard_normal(samples)
    tone += 4 * motor.breath * bandpass(noise, 2.5 * motor.pipe_hz, 1800, 1)
    if motor.clatter:
        tone += 3 * motor.clatter * bandpass(noise, 1600, 4800, 1)
    return tone


def journey(sound: Sound) -> Array:
    """Return how fast a vehicle goes by its motion, 0 … about 1 per sample, [N].

    Receding starts from a stop and gathers speed; approaching slows down to a near stop; else it
    goes on at a steady pace.
    """
    cruise = 0.5 * sound.shape.pace**0.6
    along = np.linspace(0, 1, sound.samples // CONTROL + 2)
    if sound.shape.motion == "receding":
        speed = 0.06 + 1.25 * cruise * (1 - np.exp(-2.2 * along))
    elif sound.shape.motion == "approaching":
        speed = cruise * (1.1 - 0.95 * along**2)
    else:
        speed = np.full(len(along), cruise)
    unsteady = 1 + 0.05 * drift(sound.constants, sound.samples, sound.start, 0.25)
    return upsampled(speed, sound.samples, CONTROL) * unsteady


def geared(speed: Array, idle_rpm: float, shift_rpm: float, gears: int = 5) -> Array:
    """Return the engine speed of a vehicle that shifts up as it goes faster, rpm per sample.

    Args:
        speed: 0 … 1, [N].
        idle_rpm: never below.
        shift_rpm: where it shifts up.
        gears: top speed is reached in the last.
    """
    tops = np.concatenate([[0.0], np.linspace(1, gears, gears) ** 1.3 / gears**1.3])
    coarse = speed[::CONTROL]
    rpm = np.full(len(coarse), idle_rpm)
    for below, top in pairwise(tops):
        inside = (coarse > below) & ((coarse <= top) | (top == tops[-1]))
        rpm[inside] = np.maximum(idle_rpm, shift_rpm * coarse[inside] / top)
    taps = round(0.25 * SAMPLE_RATE / CONTROL)
    padded = np.pad(rpm, (taps // 2, taps - taps // 2), "edge")
    smooth = np.convolve(padded, np.ones(taps) / taps, "valid")
    return upsampled(np.append(smooth, smooth[-1]), len(speed), CONTROL)


def _firings(rng: np.random.Generator, motor: Motor, sharpness: float) -> Array:
    phase = np.arange(DRAWN) / DRAWN
    cycle = np.zeros(DRAWN)
    for firing in motor.firings:
        late = firing + 0.2 * motor.unevenness * rng.uniform(-1, 1) / len(motor.firings)
        since = ((phase - late) % 1.0) / sharpness
        strength = 1 + motor.unevenness * rng.uniform(-1, 1)
        cycle += strength * np.exp(-since) * (1 - np.exp(-4 * since))
    return upsampled(np.append(cycle, cycle[0]), TABLE, TABLE // DRAWN)
