"""Water from a drop to a waterfall, and fire."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.calls import series
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    decay,
    highpass,
    lowpass,
    place,
    seconds,
    white,
)
from audiostory_core.engines.foley.synthesis.texture import (
    CONTROL,
    Slot,
    bubble,
    control_points,
    curve,
    drift,
    impulses,
    ring,
    seed_of,
    settled,
    sloped,
    slots,
    slow_noise,
    sow,
    upsampled,
    wandering_band,
)

BREAK_S = 3.2  # from the first swell of a wave to its breaking


def _dripping(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    period_s = fixed.uniform(0.75, 1.5) / shape.pace * 2 ** (-0.7 * shape.intensity)
    base_hz = fixed.uniform(1000, 1900) * 2 ** (-0.5 * shape.size)
    seed = seed_of(fixed)
    canvas = np.zeros(sound.samples)
    for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=1.0):
        at = slot.at + seconds(period_s * slot.rng.uniform(0.0, 0.35))
        if shape.count is None or 0 <= slot.index < shape.count:
            place(canvas, _plink(slot.rng, base_hz), at, slot.rng.uniform(0.6, 1.0))
    return canvas


def _plink(rng: np.random.Generator, base_hz: float) -> Array:
    hertz = base_hz * rng.lognormal(0, 0.12)
    plink = np.zeros(seconds(0.4))
    place(plink, 0.25 * highpass(rng.standard_normal(90), 3000) * np.linspace(1, 0, 90), 0)
    place(plink, bubble(hertz, 0.13, 0.22), seconds(0.014))
    if rng.random() < 0.5:
        echo_s = rng.uniform(0.07, 0.12)
        place(plink, bubble(hertz * rng.uniform(1.3, 1.8), 0.08, 0.25), seconds(echo_s), 0.3)
    return plink


def _bubble_bank(
    rng: np.random.Generator, low_hz: float, high_hz: float, rise: float, count: int = 24
) -> list[Array]:
    """Return bubbles of log-uniform pitch; small ones are high, short and weak."""
    hertz = np.geomspace(low_hz, high_hz, count) * rng.uniform(0.95, 1.05, count)
    # Damping grows with pitch (thermal and radiation losses): about 25 to 35 cycles to -60 dB.
    return [
        (low_hz / f) ** 0.6
        * bubble(f, rng.uniform(22, 38) / f + 0.006, rng.uniform(0.4, 1.6) * rise)
        for f in hertz
    ]


def _brook(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    low_hz = fixed.uniform(330, 480) * 2 ** (-0.4 * shape.size)
    bank = _bubble_bank(fixed, low_hz, 8 * low_hz, 0.14)
    rate_hz = 70 * 1.6**shape.intensity * shape.pace
    flow = 0.05 * 2**shape.intensity

    def channel() -> Array:
        water = flow * bandpass(white(rng, sound.samples), 500, 4500, 1)
        sow(water, rng, bank, rate_hz)
        return water

    return np.stack([channel(), channel()])


def _river(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    low_hz = fixed.uniform(140, 200) * 2 ** (-0.4 * shape.size)
    bank = _bubble_bank(fixed, low_hz, 6 * low_hz, 0.08)
    top_hz = fixed.uniform(700, 1000) * 2 ** (0.6 * shape.intensity)
    surge = 1 + 0.12 * drift(fixed, sound.samples, sound.start, 0.35)

    def channel() -> Array:
        water = 0.75 * surge * bandpass(white(rng, sound.samples), 130, top_hz, 1)
        sow(water, rng, bank, 60.0 * shape.pace)
        return water + 0.02 * highpass(white(rng, sound.samples), 2500, 1)

    return np.stack([channel(), channel()])


def _waterfall(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    slope_db = -fixed.uniform(2.2, 3.2) - 0.6 * shape.size
    body_hz = fixed.uniform(70, 130) * 2 ** (-0.4 * shape.size)
    plunge = 1 + 0.06 * drift(fixed, sound.samples, sound.start, 1.2)
    weight = 0.8 * 1.5**shape.intensity

    def channel() -> Array:
        sheet = sloped(rng, sound.samples, slope_db)
        return sheet + weight * plunge * bandpass(sheet, body_hz, 3 * body_hz, 1)

    return np.stack([channel(), channel()])


def _waves(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    period_s = fixed.uniform(6.5, 9.5) / shape.pace * 2 ** (0.2 * shape.size)
    break_hz = fixed.uniform(600, 1000) * 2 ** (0.5 * shape.intensity)
    seed = seed_of(fixed)
    coarse = control_points(sound.samples).size
    swell, crash, foam = (np.full((2, coarse), floor) for floor in (0.25, 0.05, 0.05))
    for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=14.0):
        _add_wave(slot, period_s, shape.intensity, swell, crash, foam)

    def channel(side: int) -> Array:
        noise = white(rng, sound.samples)
        low = 5.0 * lowpass(noise, 120, 1)
        body = bandpass(noise, 180, break_hz * 2, 1)
        hiss = highpass(noise, 2400, 1)
        low *= upsampled(0.9 * swell[side], sound.samples)
        body *= upsampled(1.1 * crash[side], sound.samples)
        hiss *= upsampled(0.34 * foam[side], sound.samples)
        return low + body + hiss

    return np.stack([channel(0), channel(1)])


def _add_wave(
    slot: Slot, period_s: float, intensity: float, swell: Array, crash: Array, foam: Array
) -> None:
    """Add the envelopes of one wave, at control points, to those of both sides, [2, M]."""
    rng = slot.rng
    at = slot.at + seconds(0.25 * period_s * rng.random())
    height = rng.lognormal(0.0, 0.22) * 1.3**intensity
    steep = 1.0 + 0.6 * intensity
    pan = rng.uniform(0.75, 1.25)
    rise_s = BREAK_S * rng.uniform(0.85, 1.15) / max(steep, 0.5)
    runs = (
        (swell, 0.0, [0, 0.3, 1, 0.7, 0.3, 0.1, 0], 2.6 * rise_s),
        (crash, 0.45 * rise_s, [0, 0.2, 0.9, 0.6, 0.3, 0.12, 0.04, 0], 2.2 * BREAK_S),
        (foam, 0.6 * rise_s, [0, 0.12, 0.8, 1, 0.75, 0.5, 0.3, 0.18, 0.1, 0.04, 0], 2.9 * BREAK_S),
    )
    for target, delay_s, points, length_s in runs:
        envelope = np.interp(
            np.linspace(0, len(points) - 1, seconds(length_s) // CONTROL),
            np.arange(len(points)),
            height * np.array(points),
        )
        place(target[0], envelope, (at + seconds(delay_s)) // CONTROL, pan)
        place(target[1], envelope, (at + seconds(delay_s + 0.15 * (pan - 1))) // CONTROL, 2 - pan)


def _splash(sound: Sound) -> Samples:
    splashes = [_one_splash(sound) for _ in range(sound.shape.count or 1)]
    return series(sound, splashes, [0.25 / sound.shape.pace] * len(splashes))


def _one_splash(sound: Sound) -> Array:
    rng, shape = sound.texture, sound.shape
    samples = seconds(1.3)
    scale = 2 ** (-0.7 * shape.size - 0.3 * shape.intensity)
    slap = bandpass(white(rng, samples), 350 * scale, 3800, 1) * decay(samples, 0.28, 0.006)
    spray = highpass(white(rng, samples), 1800, 1)
    spray *= curve([0.0, 1.0, 0.6, 0.25, 0.1, 0.03, 0.0], samples)
    drops = np.zeros(samples)
    sow(drops, rng, _bubble_bank(rng, 700 * scale, 4200 * scale, 0.2), 110.0)
    drops *= curve([0.0, 0.4, 1.0, 0.7, 0.35, 0.15, 0.0], samples)
    splash = 1.5 * slap + 0.22 * (1.3**shape.intensity) * spray + 0.5 * drops
    plunge = bubble(rng.uniform(150, 240) * scale, 0.35, rng.uniform(0.6, 1.0))
    place(splash, plunge, seconds(rng.uniform(0.06, 0.1)), 1.1)
    return splash


def _bubbles(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    low_hz = fixed.uniform(170, 260) * 2 ** (-0.6 * shape.size)
    bank = _bubble_bank(fixed, low_hz, 5 * low_hz, 0.5)
    rate_hz = 16 * 2**shape.intensity * shape.pace
    canvas = np.zeros(sound.samples)
    sow(canvas, rng, bank, rate_hz)
    return canvas + 0.004 * lowpass(white(rng, sound.samples), 800)


def _underwater(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    hollow_hz = fixed.uniform(85, 150) * 2 ** (-0.4 * shape.size)
    sway = drift(fixed, sound.samples, sound.start, 0.22 * shape.pace)
    hollow = hollow_hz * 2 ** (0.3 * sway)
    bank = _bubble_bank(fixed, 280, 900, 0.6, 10)

    def channel() -> Array:
        deep = 10.0 * lowpass(lowpass(white(rng, sound.samples), 60, 1), 260, 1)
        stray = np.zeros(sound.samples)
        sow(stray, rng, bank, 1.6 * 2**shape.intensity)
        return deep + 0.35 * lowpass(stray, 700)

    pressure = 0.7 * (1 + 0.25 * sway) * wandering_band(rng, hollow, 30.0)
    return pressure + np.stack([channel(), channel()])


def _fire(sound: Sound) -> Samples:
    fixed, rng, shape = sound.constants, sound.texture, sound.shape
    snap_hz = fixed.uniform(1100, 5200, 3) * 2 ** (-0.4 * shape.size)
    rate_hz = 16 * 2**shape.intensity * shape.pace
    roar_hz = fixed.uniform(160, 260)
    breath = np.exp(0.25 * drift(fixed, sound.samples, sound.start, 0.5))
    roar_gain = 0.11 * 2.2 ** (shape.intensity + shape.size)

    def channel() -> Array:
        snaps = _pareto_impulses(rng, sound.samples, rate_hz)
        crackle = sum(ring(snaps, hertz, 0.007) for hertz in snap_hz) + 1.5 * snaps
        # Lapping flames: the roar flutters at some ten cycles a second.
        flutter = np.abs(slow_noise(rng, sound.samples, 9.0))
        noise = white(rng, sound.samples)
        roar = 4.0 * lowpass(noise, roar_hz, 1) * (0.5 + flutter)
        hiss = 0.012 * highpass(noise, 3000, 1)
        return 0.5 * crackle + breath * (roar_gain * roar + hiss)

    return np.stack([channel(), channel()])


def _pareto_impulses(rng: np.random.Generator, samples: int, rate_hz: float) -> Array:
    """Return snaps whose sizes follow a Pareto law, most of them within short clusters."""
    clusters = impulses(rng, samples, rate_hz / 4, 0.0)
    at = np.flatnonzero(clusters)
    train = np.zeros(samples)
    for shift_s in (0.0, 0.012, 0.035, 0.08):
        moved = at + np.round(rng.uniform(0.3, 1.7, at.size) * shift_s * 44_100).astype(int)
        inside = moved < samples
        gains = np.minimum(0.12 * (1 + rng.pareto(1.4, at.size)), 1.6)
        np.add.at(train, moved[inside], (gains * np.sign(clusters[at]))[inside])
    return train


WATER: tuple[Kind, ...] = (
    Kind("dripping", "water", Role.BED, settled(_dripping), -30.0),
    Kind("waves", "water", Role.BED, settled(_waves), -22.0),
    Kind("brook", "water", Role.BED, settled(_brook), -28.0),
    Kind("river", "water", Role.BED, settled(_river), -25.0),
    Kind("waterfall", "water", Role.BED, settled(_waterfall), -22.0),
    Kind("splash", "water", Role.ONESHOT, _splash, -21.0),
    Kind("bubbles", "water", Role.BED, settled(_bubbles), -28.0),
    Kind("underwater", "water", Role.BED, settled(_underwater), -26.0),
    Kind("fire", "fire", Role.BED, settled(_fire), -27.0),
)
