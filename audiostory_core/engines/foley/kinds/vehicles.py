"""Vehicles on roads, rails, water and in the air, dry and near."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
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
)
from audiostory_core.engines.foley.synthesis.matter import ring, scale_of
from audiostory_core.engines.foley.synthesis.motors import (
    INLINE_FOUR,
    INLINE_SIX,
    SINGLE,
    V_TWIN,
    Motor,
    geared,
    journey,
    running,
)
from audiostory_core.engines.foley.synthesis.sources import (
    SETTLING,
    TABLE,
    click,
    crossings,
    hiss,
    jitter,
    play,
    scatter,
    slow,
    struck,
    turns,
    wavetable,
)
from audiostory_core.engines.foley.synthesis.texture import drift
from audiostory_core.story.plan import SAMPLE_RATE


def _car(sound: Sound) -> Samples:
    rng, effort = sound.constants, sound.shape.intensity
    motor = Motor(
        INLINE_FOUR, 0.05 - 0.015 * effort, 0.12, rng.uniform(85, 120) * scale_of(sound), 0.18
    )
    top = rng.uniform(2600, 3400) * (1 + 0.45 * max(effort, -0.5))
    speed = journey(sound)
    exhaust = running(motor, geared(speed, 850, top), rng, sound.texture)
    tires = hiss(sound.texture, sound.samples, 350, 1500) * (0.15 + speed)
    return lowpass(exhaust, 2600, 1) + 0.7 * tires


def _truck(sound: Sound) -> Samples:
    rng, effort = sound.constants, sound.shape.intensity
    motor = Motor(INLINE_SIX, 0.03, 0.3, rng.uniform(45, 62) * scale_of(sound), 0.25, 0.3)
    speed = journey(sound)
    rpm = geared(speed, 620, rng.uniform(1500, 1900) * (1 + 0.2 * effort), 7)
    rumble = running(motor, rpm, rng, sound.texture)
    turbo = np.sin(2 * np.pi * turns(rpm * rng.uniform(1.5, 2.0))) * (0.05 + 0.25 * speed)
    tires = hiss(sound.texture, sound.samples, 150, 900) * speed
    return rumble + 0.35 * turbo + 0.8 * tires


def _bus(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    motor = Motor(INLINE_SIX, 0.07, 0.2, rng.uniform(62, 78) * scale_of(sound), 0.15)
    leaving = sound.shape.motion == "receding"
    stop_s = samples / SAMPLE_RATE * (0.2 if leaving else rng.uniform(0.32, 0.42))
    pull = slow(
        samples,
        0,
        lambda t: (
            np.clip((t - stop_s - 1.2) / 8, 0, 1) if leaving else np.clip(1 - t / stop_s, 0, 1)
        ),
    )
    rumble = running(motor, geared(pull * 0.5, 560, 1500, 4), rng, sound.texture)
    canvas = rumble + 0.6 * hiss(sound.texture, samples, 120, 600) * pull
    squeal = play(wavetable((1.0,)), turns(rng.uniform(1700, 2400) * (1 - 0.1 * pull)))
    canvas += 0.25 * squeal * np.clip(1 - np.abs(pull - 0.12) / 0.12, 0, 1)
    for late_s, length_s, gain in ((0.1, 1.1, 2.8), (1.7, 0.5, 1.4)):
        sigh = hiss(sound.texture, seconds(length_s), 1800, 9000)
        sigh *= decay(len(sigh), 1.1 * length_s, 0.012)
        place(canvas, fade(sigh, 0, 0.1), seconds(stop_s + late_s), gain)
    return canvas


def _motorcycle(sound: Sound) -> Samples:
    rng, effort = sound.constants, sound.shape.intensity
    motor = Motor(V_TWIN, 0.03, 0.15, rng.uniform(130, 190) * scale_of(sound), 0.3)
    speed = journey(sound)
    rpm = geared(speed, 1000, rng.uniform(4200, 5400) * (1 + 0.3 * effort))
    return np.tanh(0.5 * running(motor, rpm, rng, sound.texture))


def _steam_train(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    speed = _gathering(sound)
    chuffs_hz = 0.7 + 9.0 * speed
    cycles = turns(chuffs_hz, 0.9)
    at = crossings(cycles)
    accents = rng.uniform(0.7, 1.0, 4) * np.array([1.0, 0.8, 0.95, 0.75])
    grain = decay(seconds(0.24), 0.24, 0.02)
    gains = accents[np.arange(len(at)) % 4]
    puffs = np.minimum(scatter(samples, at, gains, grain), 1.2)
    noise = sound.texture.standard_normal(samples)
    size = scale_of(sound)
    body = bandpass(noise, 110 * size, 420 * size, 1) * 5.0 + bandpass(noise, 500, 2600, 1) * 3.0
    leak = hiss(sound.texture, samples, 2500, 10_000) * (0.06 + 0.02 * jitter(rng, samples, 2))
    rods = _clank(sound, cycles / 4)
    return body * puffs + leak + 0.35 * rods + 0.08 * hiss(sound.texture, samples, 40, 120)


def _gathering(sound: Sound) -> Array:
    """Return the speed of a train; slow ones gather it."""
    if sound.shape.motion is None and sound.shape.pace < 0.85:
        gather = np.linspace(0.0, 1.0, sound.samples) ** 0.8
        return (0.05 + 0.5 * gather) * (0.6 + 0.6 * sound.shape.pace)
    return np.maximum(journey(sound), 0.04)


def _clank(sound: Sound, revolutions: Array) -> Array:
    grain = struck(sound.constants, (640, 1170, 1890, 2950), (0.12, 0.1, 0.08, 0.05))
    at = crossings(revolutions)
    return scatter(sound.samples, at, sound.texture.uniform(0.5, 1, len(at)), grain)


def _train(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    speed = np.maximum(_gathering(sound), 0.05)
    joints = turns(speed * rng.uniform(2.0, 2.4), rng.random())
    size = scale_of(sound)
    thuds = np.zeros(samples)
    axle = rng.uniform(0.13, 0.17)
    frequencies = np.array((95, 210, 430, 870, 1500, 2600)) * size
    for lag, gain in ((0.0, 1.0), (axle, 0.85), (0.42, 0.75), (0.42 + axle, 0.65)):
        grain = struck(rng, frequencies, (0.14, 0.12, 0.1, 0.08, 0.06, 0.05), 0.05)
        place(grain, click(rng, 0.05, 800, 5000), 0, 0.4)
        at = crossings(joints - lag)
        thuds += scatter(samples, at, gain * sound.texture.uniform(0.8, 1.1, len(at)), grain)
    rolling = hiss(sound.texture, samples, 35, 180) + 0.6 * hiss(sound.texture, samples, 300, 1400)
    rolling *= speed * (1 + 0.2 * jitter(sound.texture, samples, 3))
    return 4.0 * thuds + 0.6 * rolling


def _train_brake(sound: Sound) -> Samples:
    rng = sound.constants
    samples = min(sound.samples, seconds(rng.uniform(5.0, 7.5)))
    along = np.linspace(0, 1, samples)
    first_hz = rng.uniform(1900, 2600) * scale_of(sound)
    hertz = first_hz * (1 - 0.09 * along**2) * (1 + 0.004 * jitter(sound.texture, samples, 25))
    phase, sine = turns(hertz), wavetable((1.0,))
    squeal = np.zeros(samples)
    for ratio in np.array((1.0, 1.27, 1.63, 2.11)) * rng.uniform(0.98, 1.02, 4):
        strength = np.clip(0.6 + 0.5 * jitter(sound.texture, samples, 5), 0.05, None)
        squeal += strength * play(sine, ratio * phase) / ratio
    squeal *= np.sin(np.pi * np.clip(along * 1.02, 0, 1) ** 1.4) ** 0.7
    grind = hiss(sound.texture, samples, 700, 3000) * (1 - along) * 0.5
    rumble = hiss(sound.texture, samples, 40, 200) * (1 - along) ** 1.2
    release = hiss(sound.texture, samples, 1500, 9000) * np.exp(-((along - 0.94) ** 2) / 0.0006)
    return fade(squeal + 0.3 * grind + 0.45 * rumble + 0.6 * release, 0.15, 0.1)


def _tram(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    speed = np.maximum(journey(sound), 0.05)
    whine_hz = (120 + 900 * speed) * rng.uniform(0.85, 1.15) * scale_of(sound)
    gear = wavetable((0.25, 0.2, 1.0, 0.15, 0.3, 0.5, 0.1, 0.2))
    whine = play(gear, turns(whine_hz / 2)) * (0.7 + 0.1 * jitter(sound.texture, samples, 6))
    rolling = hiss(sound.texture, samples, 60, 400) * (0.3 + speed)
    squeal_hz = rng.uniform(2600, 3600) * (1 + 0.01 * jitter(sound.texture, samples, 12))
    bend = np.clip(drift(rng, samples, sound.start, 0.35) - 0.6, 0, 1)
    squeal = np.sin(2 * np.pi * turns(squeal_hz)) * bend
    canvas = whine + 0.35 * rolling + 0.3 * squeal
    gong = ring(
        min(seconds(1.6), samples),
        rng.uniform(720, 860) * np.array((1.0, 2.32, 4.25, 6.63)),
        np.array((1.5, 1.0, 0.5, 0.3)),
        np.array((1.0, 0.8, 0.5, 0.3)),
        np.zeros(4),
    )
    for at_s in (0.4, 0.78):
        place(canvas, gong, seconds(at_s), 2.5)
    return canvas


def _helicopter(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    blades_hz = rng.uniform(12.5, 17.5) * sound.shape.pace**0.3 * scale_of(sound, 0.3)
    cycles = turns(blades_hz * (1 + 0.01 * jitter(sound.texture, samples, 0.7)), rng.random())
    phase = np.arange(TABLE) / TABLE
    thump = np.exp(-phase / 0.05) * (1 - np.exp(-phase / 0.008))
    thwop = np.exp(-(((phase - 0.12) / 0.09) ** 2))
    hit = play(thump / thump.max(), cycles)
    slap = lowpass(highpass(hit, 30, 2), 700, 1)
    noise = sound.texture.standard_normal(samples)
    wash = bandpass(noise, 120, 1400, 1) * (0.25 + 1.6 * play(thwop, cycles))
    tail = play(wavetable((1, 0.6, 0.3, 0.2)), 5.5 * cycles)
    whine_hz = rng.uniform(3800, 5200) * (1 + 0.001 * jitter(sound.texture, samples, 9))
    whine = play(wavetable((0, 1, 0.8)), turns(whine_hz / 2))
    return 2.6 * slap + 0.9 * wash + 0.1 * tail + 0.05 * whine


def _airplane(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    size = scale_of(sound)
    if sound.shape.size < -0.3:
        motor = Motor(INLINE_FOUR, 0.08, 0.1, rng.uniform(95, 125), 0.15)
        rpm = 2300 + 25 * jitter(sound.texture, samples, 1)
        return running(motor, rpm, rng, sound.texture)
    roar = hiss(sound.texture, samples, 70 * size, 420 * size) * 1.2
    roar += hiss(sound.texture, samples, 500, 3500) * 0.7
    roar *= 1 + 0.12 * jitter(sound.texture, samples, 3)
    fan_hz = rng.uniform(1900, 2700) * size * (1 + 0.002 * jitter(sound.texture, samples, 4))
    cycles = turns(fan_hz / 18)
    buzz = play(wavetable(rng.uniform(0.0, 0.12, 40) + 0.9 * (np.arange(1, 41) == 18)), cycles)
    return roar + 0.45 * buzz * (1 + 0.2 * jitter(sound.texture, samples, 5))


def _boat(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    motor = Motor(SINGLE, 0.06, 0.2, rng.uniform(90, 130) * scale_of(sound), 0.35)
    rpm = rng.uniform(750, 1000) * sound.shape.pace**0.5 * (0.75 + 0.5 * journey(sound))
    putt = running(motor, rpm, rng, sound.texture)
    wash = hiss(sound.texture, samples, 350, 2200)
    wash *= 0.5 + 0.18 * drift(rng, samples, sound.start, 0.5)
    bubbles = hiss(sound.texture, samples, 400, 900) * np.maximum(
        jitter(sound.texture, samples, 14), 0
    )
    return lowpass(2 * np.tanh(0.5 * putt), 1500, 1) + 0.6 * wash + 0.5 * bubbles


def _spaceship(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    base_hz = rng.uniform(42, 62) * scale_of(sound)
    rise = 1 + 0.5 * (journey(sound) - 0.5)
    saw = wavetable(1 / np.arange(1, 41))
    fundamental = turns(base_hz * rise)
    drone = play(saw, fundamental) + play(saw, 1.007 * fundamental) + play(saw, 1.498 * fundamental)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * times(samples) * rng.uniform(0.25, 0.5))
    bright = bandpass(drone, 500, 1100, 1) * swell + bandpass(drone, 1300, 2500, 1) * (1 - swell)
    throb = 1 + 0.35 * np.sin(2 * np.pi * turns(rng.uniform(5, 8) * rise))
    shimmer_hz = rng.uniform(1400, 2000) * (1 + 0.12 * np.sin(2 * np.pi * 0.31 * times(samples)))
    shimmer = np.sin(2 * np.pi * turns(shimmer_hz * rise) + 2 * swell)
    return (0.5 * lowpass(drone, 250) + 1.3 * bright) * throb + 0.12 * shimmer


def _bicycle(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    speed = 0.25 + journey(sound)
    ticks = crossings(turns(speed * rng.uniform(18, 25)))
    coasting = drift(rng, samples, sound.start, 0.2) > -0.7
    pawl = click(rng, 0.012, 2500, 7000) + 0.5 * click(rng, 0.012, 900, 1600)
    freewheel = scatter(samples, ticks, 0.6 + 0.4 * coasting[ticks.astype(int)], pawl)
    tires = hiss(sound.texture, samples, 500, 1800) * (0.06 + 0.06 * speed)
    chain = np.clip(np.sin(2 * np.pi * turns(speed * 2.2)), 0, 1) ** 2
    return freewheel + 0.3 * tires + 0.01 * chain * hiss(sound.texture, samples, 2500, 6000)


def _traffic(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    count, loop_s = 40, 83.0
    rate = sound.shape.pace * 1.5**sound.shape.intensity
    nearest_s = rng.uniform(0, loop_s, count)
    width_s = rng.uniform(0.9, 2.6, count)
    strength = rng.uniform(0.25, 1.0, count) ** 2
    direction = rng.choice((-1.0, 1.0), count)

    def passing(t: Array) -> Array:
        away = (rate * t - nearest_s[:, None] + loop_s / 2) % loop_s - loop_s / 2
        away /= width_s[:, None]
        near = strength[:, None] / (1 + away**2) ** 2
        side = 0.5 + 0.5 * np.tanh(direction[:, None] * away)
        return np.stack([(near * np.sqrt(side)).sum(0), (near * np.sqrt(1 - side)).sum(0)])

    heard = np.empty((2, samples))
    for channel, level in zip(heard, slow(samples, sound.start, passing), strict=True):
        noise = sound.texture.standard_normal(samples + SETTLING)
        tires = bandpass(noise, 450, 1500, 1)[SETTLING:]
        engines = bandpass(noise, 45, 160, 1)[SETTLING:]
        np.add(level, 0.04, out=channel)
        channel *= tires
        channel *= 3.0
        level *= 1.5
        level += 0.6
        engines *= level
        engines *= 3.0
        channel += engines
    return heard


def _tire_screech(sound: Sound) -> Samples:
    rng = sound.constants
    samples = min(sound.samples, seconds(rng.uniform(1.2, 2.4)))
    along = np.linspace(0, 1, samples)
    screech = np.zeros(samples)
    base_hz = rng.uniform(800, 1050) * scale_of(sound)
    hertz = base_hz * (1 - 0.12 * along) * (1 + 0.02 * jitter(rng, samples, 30))
    phase, sine = turns(hertz), wavetable((1.0,))
    for ratio in (1.0, 1.34, 2.0, 2.71):
        strength = np.clip(0.7 + 0.5 * jitter(sound.texture, samples, 20), 0, None)
        screech += strength * play(sine, ratio * phase) / ratio**0.5
    rubber = hiss(sound.texture, samples, 700, 2600)
    return fade(np.tanh(screech) + 0.2 * rubber, 0.06, 0.3) * (1 - 0.4 * along)


KINDS: tuple[Kind, ...] = (
    Kind("car", "vehicle", Role.SUSTAINED, _car, -22.0),
    Kind("truck", "vehicle", Role.SUSTAINED, _truck, -19.0),
    Kind("bus", "vehicle", Role.SUSTAINED, _bus, -21.0),
    Kind("motorcycle", "vehicle", Role.SUSTAINED, _motorcycle, -18.0),
    Kind("steam_train", "vehicle", Role.SUSTAINED, _steam_train, -17.0),
    Kind("train", "vehicle", Role.SUSTAINED, _train, -18.0),
    Kind("train_brake", "vehicle", Role.ONESHOT, _train_brake, -19.0),
    Kind("tram", "vehicle", Role.SUSTAINED, _tram, -21.0),
    Kind("helicopter", "vehicle", Role.SUSTAINED, _helicopter, -16.0),
    Kind("airplane", "vehicle", Role.SUSTAINED, _airplane, -17.0),
    Kind("boat", "vehicle", Role.SUSTAINED, _boat, -22.0),
    Kind("spaceship", "vehicle", Role.SUSTAINED, _spaceship, -19.0),
    Kind("bicycle", "vehicle", Role.SUSTAINED, _bicycle, -30.0),
    Kind("traffic", "vehicle", Role.BED, _traffic, -28.0),
    Kind("tire_screech", "vehicle", Role.ONESHOT, _tire_screech, -18.0),
)
