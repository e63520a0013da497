"""Rain, wind, storm and the still air of a room; with water and fire, all that is not alive."""

import numpy as np

from audiostory_core.engines.foley.kinds.water import WATER
from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.calls import series, trimmed
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    highpass,
    lowpass,
    modes,
    place,
    seconds,
    times,
    white,
)
from audiostory_core.engines.foley.synthesis.texture import (
    control_points,
    curve,
    drift,
    impulses,
    ring,
    settled,
    sine,
    sloped,
    slow_noise,
    sow,
    unit_impulse,
    upsampled,
    wandering_band,
)
from audiostory_core.story.plan import SAMPLE_RATE


def _rain(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    drop_hz = fixed.uniform(1800, 7500, 3)
    top_hz = fixed.uniform(12_000, 16_000)
    low_hz = fixed.uniform(250, 450) * 2**-shape.intensity
    gust = 1.4**shape.intensity * (1 + 0.1 * drift(fixed, sound.samples, sound.start, 0.12))
    rate_hz = 300 * 3**shape.intensity * shape.pace
    drop_gain = 0.8 * 2 ** (-0.8 * shape.intensity)

    def channel() -> Array:
        bed = bandpass(white(rng, sound.samples), low_hz, top_hz, 1)
        for hertz in drop_hz:
            train = impulses(rng, sound.samples, rate_hz / 3)
            drops = ring(train, hertz, 0.0025)
            drops += train
            drops *= drop_gain
            bed += drops
        bed *= gust
        return bed

    return np.stack([channel(), channel()])


def _drizzle(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    taps = [
        ring(unit_impulse(0.012), hertz, decay_s) * gain
        for hertz, decay_s, gain in zip(
            np.geomspace(1300, 8500, 24) * fixed.uniform(0.9, 1.1, 24),
            fixed.uniform(0.003, 0.012, 24),
            fixed.uniform(0.5, 1.0, 24),
            strict=True,
        )
    ]
    low_hz = fixed.uniform(1800, 2600)
    rate_hz = 40 * 2**shape.intensity * shape.pace

    def channel() -> Array:
        hiss = bandpass(white(rng, sound.samples), low_hz, 9000, 1)
        hiss *= 0.02 * 2**shape.intensity
        sow(hiss, rng, taps, rate_hz)
        return hiss

    return np.stack([channel(), channel()])


def _rain_on_tin(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    sheets = [_tin_sheet(fixed, shape.size) for _ in range(12)]
    gust = 1 + 0.12 * drift(fixed, sound.samples, sound.start, 0.15)
    rate_hz = 200 * 2.2**shape.intensity * shape.pace

    def channel() -> Array:
        patter = 0.12 * bandpass(white(rng, sound.samples), 700, 9000, 1)
        sow(patter, rng, sheets, rate_hz)
        return gust * patter

    return np.stack([channel(), channel()])


def _tin_sheet(rng: np.random.Generator, size: float) -> Array:
    count = 16
    samples = seconds(0.11)
    hertz = np.sort(rng.uniform(350, 6500, count)) * 2 ** (-0.4 * size)
    gains = rng.uniform(0.2, 1.0, count) * (hertz / 1000) ** -0.35
    decay_s = rng.uniform(0.03, 0.11, count)
    sheet = modes(samples, hertz, decay_s, gains, rng.uniform(0, 2 * np.pi, count))
    click = min(60, samples)
    sheet[:click] += 1.5 * rng.standard_normal(click) * np.linspace(1, 0, click)
    return sheet


def _hail(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    stones = [_hailstone(fixed, shape.size) for _ in range(20)]
    rate_hz = 75 * 2**shape.intensity * shape.pace

    def channel() -> Array:
        clatter = 0.06 * highpass(white(rng, sound.samples), 2000, 1)
        sow(clatter, rng, stones, rate_hz)
        return clatter

    return np.stack([channel(), channel()])


def _hailstone(rng: np.random.Generator, size: float) -> Array:
    knock = np.zeros(seconds(0.16))
    hard_hz = rng.uniform(900, 4200) * 2 ** (-0.4 * size)
    hit = ring(unit_impulse(0.05), hard_hz, 0.014)
    hit += 0.8 * ring(unit_impulse(0.05), rng.uniform(160, 480), 0.045) + unit_impulse(0.05)
    apart_s = rng.uniform(0.035, 0.065)
    for at_s, gain in ((0.0, 1.0), (apart_s, 0.35), (1.6 * apart_s, 0.12)):
        place(knock, hit, seconds(at_s), gain)
    return knock


def _wind(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    base_hz = fixed.uniform(240, 420) * 2 ** (0.4 * shape.intensity - 0.4 * shape.size)
    rate_hz = 0.16 * shape.pace
    push = 0.38 * drift(fixed, sound.samples, sound.start, rate_hz)
    turn = drift(fixed, sound.samples, sound.start, 2.5 * rate_hz)
    gust = np.exp(push)
    howl_hz = base_hz * np.exp(0.5 * push + 0.12 * turn)
    howl = 0.5 * gust * wandering_band(rng, howl_hz, 0.7 * base_hz)
    whistle = 0.1 * 3**shape.intensity * gust**2
    howl += whistle * wandering_band(rng, 2.3 * howl_hz, 0.2 * base_hz)
    rush_gain = 0.22 * 1.8**shape.intensity * gust**2

    def channel() -> Array:
        noise = white(rng, sound.samples)
        return 8.0 * gust * lowpass(noise, 45, 1) + rush_gain * bandpass(noise, 450, 1800, 1)

    return howl + np.stack([channel(), channel()])


def _snowstorm(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    base_hz = fixed.uniform(560, 780) * 2 ** (0.3 * shape.intensity)
    push = 0.22 * drift(fixed, sound.samples, sound.start, 0.25 * shape.pace)
    turn = drift(fixed, sound.samples, sound.start, 0.3 * shape.pace)
    gust = np.exp(push)
    howl_hz = base_hz * np.exp(0.5 * push + 0.07 * turn)
    howl = 0.8 * gust * wandering_band(rng, howl_hz, 80.0)
    howl += 0.4 * gust**2 * wandering_band(rng, 1.52 * howl_hz, 100.0)

    def channel() -> Array:
        roar = bandpass(white(rng, sound.samples), 100, 900, 1)
        snow = highpass(impulses(rng, sound.samples, 3000.0), 5500)
        return gust * (1.5 * roar + 0.9 * snow)

    return howl + np.stack([channel(), channel()])


def _leaves(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    leaf_hz = fixed.uniform(2800, 8000, 3) * 2 ** (-0.3 * shape.size)
    push = 0.4 * drift(fixed, sound.samples, sound.start, 0.35 * shape.pace)
    sway = np.exp(push + 0.2 * drift(fixed, sound.samples, sound.start, 1.8))
    rate_hz = 1500 * 1.6**shape.intensity

    def channel() -> Array:
        flicks = impulses(rng, sound.samples, rate_hz)
        # Leaves touch in flurries: the level of each moment flickers some 25 times a second.
        flicks *= sway * np.abs(slow_noise(rng, sound.samples, 25.0))
        rustle = sum(ring(flicks, hertz, 0.0018) for hertz in leaf_hz)
        return rustle + 0.06 * sway * bandpass(white(rng, sound.samples), 300, 3500, 1)

    return np.stack([channel(), channel()])


def _room_tone(sound: Sound) -> Samples:
    fixed, rng = sound.constants, sound.texture
    slope_db = -fixed.uniform(6.5, 8.0)
    mains_hz = fixed.choice([50.0, 60.0])
    hum_gains = fixed.uniform(0.02, 0.08, 3)
    t = times(sound.samples, sound.start)
    hum = sum(gain * sine(mains_hz * k * t) for k, gain in zip((1, 2, 4), hum_gains, strict=True))
    air = np.stack([sloped(rng, sound.samples, slope_db) for _ in range(2)])
    hiss = rng.standard_normal(air.shape)
    hiss *= 0.02
    air += hiss
    air += hum
    return air


def _thunder(sound: Sound) -> Samples:
    claps = [_clap(sound) for _ in range(sound.shape.count or 1)]
    return series(sound, claps, [float(sound.texture.uniform(1.0, 2.0)) for _ in claps])


def _clap(sound: Sound) -> Array:
    rng, shape = sound.texture, sound.shape
    length_s = rng.uniform(4.5, 7.0) * 2 ** (0.3 * shape.size)
    samples = seconds(length_s)
    nearness = 0.5 + 0.5 * shape.intensity
    strokes = np.zeros(samples)
    for _ in range(40):
        delay_s = min(rng.exponential(0.22), 1.2)
        gain = rng.lognormal(0, 0.6) * np.exp(-2.0 * delay_s)
        place(strokes, _n_wave(rng.uniform(0.005, 0.02)), seconds(delay_s), gain)
    tearing = highpass(impulses(rng, samples, 1500.0, 8.0), 700, 1) * _bursts(rng, samples, 6, 0.5)
    # The channel is kilometers long: its far parts arrive for seconds, each stretch as a burst.
    rolling = lowpass(white(rng, samples), rng.uniform(55, 85), 1)
    rolling = lowpass(rolling, rng.uniform(250, 400), 1) * _bursts(rng, samples, 9, length_s)
    rolling *= np.exp(0.35 * drift(rng, samples, 0, 5.0))
    crack = lowpass(strokes, 700 + 3000 * nearness, 1)
    thunder = (0.12 + 0.3 * nearness) * crack + 0.35 * nearness * tearing
    return thunder + 1.2 * rolling / np.abs(rolling).max()


def _bursts(rng: np.random.Generator, samples: int, count: int, span_s: float) -> Array:
    t = control_points(samples) / SAMPLE_RATE
    envelope = np.zeros(t.size)
    for at_s in np.concatenate([[0.0], np.sort(rng.uniform(0, 0.55 * span_s, count - 1))]):
        since = np.maximum(0.0, t - at_s)
        rise_s = 0.015 + 0.05 * at_s
        gain = rng.uniform(0.3, 1.0) * np.exp(-3.5 * at_s / span_s)
        envelope += gain * (1 - np.exp(-since / rise_s)) * np.exp(-since / (0.14 * span_s))
    envelope *= np.clip((samples / SAMPLE_RATE - t) / (0.3 * span_s), 0.0, 1.0)
    return upsampled(envelope, samples)


def _n_wave(length_s: float) -> Array:
    return np.linspace(1.0, -1.0, seconds(length_s))


def _earthquake(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    shake_hz = fixed.uniform(5.0, 8.0) * shape.pace
    rattles = [ring(unit_impulse(0.05), f, 0.03) for f in fixed.uniform(500, 3800, 24)]
    swell = np.exp(0.35 * drift(fixed, sound.samples, sound.start, 0.5))
    cycles = shake_hz * times(sound.samples, sound.start)
    cycles += 0.25 * drift(fixed, sound.samples, sound.start, 0.8)
    shaking = (0.5 + 0.5 * sine(cycles)) ** 2
    rattle_gain = 0.02 * 2.5**shape.intensity * swell * shaking

    def channel() -> Array:
        ground = bandpass(white(rng, sound.samples), 24, 75)
        clatter = np.zeros(sound.samples)
        sow(clatter, rng, rattles, 170.0)
        return swell * ground * (0.7 + 0.6 * shaking) + rattle_gain * clatter

    return np.stack([channel(), channel()])


def _avalanche(sound: Sound) -> Samples:
    rng, shape = sound.texture, sound.shape
    samples = min(sound.samples, seconds(rng.uniform(8.0, 11.0) * 2 ** (0.2 * shape.size)))
    slide = curve([0.0, 0.25, 0.8, 1.0, 0.9, 0.55, 0.2, 0.05, 0.0], samples)
    slide *= np.exp(0.2 * drift(rng, samples, 0, 2.5))
    bright = curve([0.1, 0.3, 0.8, 1.0, 0.7, 0.35, 0.15, 0.1], samples) * 2**shape.intensity
    roar = lowpass(lowpass(white(rng, samples), 60, 1), 500, 1)
    powder = bandpass(white(rng, samples), 700, 6000, 1)
    boulders = np.zeros(samples)
    sow(boulders, rng, [ring(unit_impulse(0.3), f, 0.28) for f in rng.uniform(45, 140, 6)], 9.0)
    fracture = np.zeros(samples)
    place(fracture, _n_wave(0.012), seconds(0.05), 0.4)
    tumble = 6.0 * roar + 0.2 * bright * powder + 0.3 * boulders
    return trimmed(tumble * slide + lowpass(fracture, 1800), sound.samples, -50.0)


KINDS: tuple[Kind, ...] = (
    Kind("rain", "weather", Role.BED, settled(_rain), -26.0),
    Kind("rain_on_tin", "weather", Role.BED, settled(_rain_on_tin), -24.0),
    Kind("drizzle", "weather", Role.BED, settled(_drizzle), -34.0),
    Kind("hail", "weather", Role.BED, settled(_hail), -24.0),
    Kind("wind", "weather", Role.BED, settled(_wind), -26.0),
    Kind("leaves", "weather", Role.BED, settled(_leaves), -30.0),
    Kind("snowstorm", "weather", Role.BED, settled(_snowstorm), -24.0),
    Kind("thunder", "weather", Role.ONESHOT, _thunder, -16.0),
    Kind("earthquake", "weather", Role.SUSTAINED, settled(_earthquake), -17.0),
    Kind("avalanche", "weather", Role.ONESHOT, _avalanche, -18.0),
    Kind("room_tone", "weather", Role.BED, settled(_room_tone), -50.0),
    *WATER,
)
