"""Doors and hard things that are struck, dropped, shut and shaken; soft ones are in handling.py."""

from collections.abc import Callable

import numpy as np

from audiostory_core.engines.foley.kinds.handling import HANDLING
from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import Material
from audiostory_core.story.plan import SAMPLE_RATE

PANEL = Material(
    150.0,
    (1.0, 1.55, 2.25, 3.1, 4.2, 5.6, 7.3),
    0.13,
    damping=0.6,
    contact_s=0.0009,
    click=0.3,
    click_hz=(700.0, 4000.0),
)
LEAF = Material(  # a door's leaf that falls into its frame
    68.0,
    (1.0, 1.6, 2.4, 3.6, 5.4, 8.0, 12.0),
    0.3,
    damping=0.6,
    contact_s=0.0022,
    click=0.5,
    click_hz=(200.0, 2500.0),
)
LATCH = Material(
    1900.0, (1.0, 1.37, 1.9, 2.6, 3.3), 0.035, 0.4, 0.0001, click=0.8, click_hz=(1500.0, 9000.0)
)
SLAT = Material(
    420.0,
    (1.0, 1.48, 2.1, 2.9, 4.3, 6.2, 8.8),
    0.14,
    damping=0.35,
    contact_s=0.0003,
    click=0.4,
    spread=0.12,
)
SHARD = Material(
    2400.0, (1.0, 1.52, 2.31, 3.2, 4.4), 0.16, 0.3, 0.00002, click=0.15, click_hz=(4e3, 14e3)
)
COIN = Material(
    5200.0,
    (1.0, 1.28, 1.71, 2.16, 2.72),
    0.28,
    damping=0.5,
    contact_s=0.00003,
    click=0.25,
    click_hz=(3000.0, 12_000.0),
    spread=0.005,
)
FORK = Material(
    2300.0, (1.0, 1.63, 2.42, 3.35, 4.5), 0.5, 0.6, 0.00003, click=0.2, click_hz=(3e3, 12e3)
)
PLATE = Material(
    880.0,
    (1.0, 1.73, 2.58, 3.6, 4.9, 6.4),
    0.16,
    damping=0.5,
    contact_s=0.0001,
    click=0.35,
    click_hz=(1500.0, 8000.0),
    spread=0.1,
)
KEY = Material(
    5600.0, (1.0, 1.33, 1.78, 2.3), 0.09, 0.3, 0.00002, click=0.3, click_hz=(4e3, 14e3), spread=0.12
)
LINK = Material(
    1500.0,
    (1.0, 1.62, 2.4, 3.5, 4.9),
    0.07,
    0.3,
    0.0001,
    click=0.5,
    click_hz=(1e3, 7e3),
    spread=0.15,
)
BLADE = Material(
    1350.0,
    (1.0, 1.58, 2.28, 3.05, 3.95, 4.9, 6.1),
    1.3,
    damping=0.6,
    contact_s=0.00004,
    click=0.5,
    click_hz=(2000.0, 12_000.0),
    spread=0.04,
)
WRENCH = Material(
    720.0,
    (1.0, 2.1, 2.76, 4.3, 5.4, 7.9),
    0.45,
    damping=0.5,
    contact_s=0.00008,
    click=0.6,
    click_hz=(800.0, 9000.0),
)
DIE = Material(
    2100.0, (1.0, 1.5, 2.2), 0.022, 0.3, 0.0001, click=0.6, click_hz=(1500.0, 7000.0), spread=0.12
)
TABLE = Material(
    170.0, (1.0, 1.8, 2.9, 4.4), 0.08, contact_s=0.0012, click=0.6, click_hz=(300.0, 4000.0)
)
BUTTON = Material(
    2600.0, (1.0, 1.42, 2.05), 0.014, 0.3, 0.0001, click=1.2, click_hz=(1500.0, 9000.0)
)


def _knock(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.25)
    force = matter.force_of(sound)
    return matter.counted(
        sound,
        3,
        0.31,
        lambda _: matter.impact(rng, PANEL, scale, force * rng.uniform(0.85, 1.1)),
        tail_s=0.18,
    )


def _creak(rng: np.random.Generator, length_s: float, base_hz: float, scale: float) -> Array:
    """Return a hinge's stick and slip, [N], peak 1: a pulse train that climbs, halts and falls."""
    samples = dsp.seconds(length_s)
    x = np.linspace(0, 1, samples)
    knots = np.concatenate([[0.2], rng.uniform(0.6, 1.9, 3), [0.3]])
    rate_hz = base_hz * np.interp(x, np.linspace(0, 1, 5), knots)
    rate_hz *= np.exp(0.12 * matter.roam(rng, samples, 6.0))
    slips = matter.stick_slip(rng, rate_hz, 0.35)
    rung = np.zeros(samples)
    for hertz, gain in ((420, 1.0), (760, 1.3), (1230, 1.2), (1880, 0.9), (2750, 0.5), (3900, 0.3)):
        rung += gain * dsp.resonator(slips, hertz * scale, 0.018)
    swell = 0.35 + 0.65 * np.clip(0.6 + 0.5 * matter.roam(rng, samples, 2.0), 0, 1.3)
    rung = dsp.highpass(rung, 70.0, 1) * swell * matter.arch(samples, 0.6, 0.4)
    return rung / (float(np.abs(rung).max()) + 1e-12)


def _door_creak(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)
    base_hz = sound.constants.uniform(75, 160) * scale

    def once(_: int) -> Array:
        length_s = rng.uniform(1.4, 2.3) / sound.shape.pace
        return _creak(rng, length_s, base_hz, scale)

    return matter.counted(sound, 1, 2.8, once, tail_s=1.4)


def _handle(rng: np.random.Generator, scale: float) -> Array:
    """Return a latch pressed down: two metal clicks, [N]."""
    canvas = np.zeros(dsp.seconds(0.22))
    dsp.place(canvas, matter.impact(rng, LATCH, scale), 0, 0.5)
    dsp.place(canvas, matter.impact(rng, LATCH, 0.8 * scale), dsp.seconds(rng.uniform(0.07, 0.12)))
    return canvas


def _door_open(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound)
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.15)

    def once(_: int) -> Array:
        swing_s = rng.uniform(0.7, 1.0) / sound.shape.pace
        canvas = np.zeros(dsp.seconds(0.25 + swing_s))
        dsp.place(canvas, _handle(rng, scale), 0, 0.8)
        unstuck = dsp.seconds(0.17)
        dsp.place(canvas, matter.impact(rng, PANEL, 0.75 * scale), unstuck, 0.7 * force)
        samples = dsp.seconds(swing_s)
        air = dsp.bandpass(dsp.white(rng, samples), 120.0, 900.0 * scale, 1)
        dsp.place(canvas, air * matter.arch(samples, 0.3), unstuck, 0.12)
        hinge = _creak(rng, 0.7 * swing_s, rng.uniform(160, 260) * scale, 1.3 * scale)
        dsp.place(canvas, hinge, dsp.seconds(0.27), 0.10)
        return dsp.fade(canvas, 0.0, 0.05)

    return matter.counted(sound, 1, 1.6, once, tail_s=0.9)


def _door_close(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound)
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.15)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(0.6))
        leaf = matter.impact(rng, LEAF, scale, force)
        dsp.place(canvas, leaf, 0, 1.6)
        at = dsp.seconds(rng.uniform(0.018, 0.03))
        dsp.place(canvas, matter.impact(rng, LATCH, 0.7 * scale), at, 0.35)
        # The leaf shakes in its frame.
        for at_s, gain in ((0.07, 0.25), (0.125, 0.12)):
            shake = matter.impact(rng, PANEL, 0.9 * scale, force)
            dsp.place(canvas, shake, dsp.seconds(at_s * rng.uniform(0.9, 1.2)), gain)
        return dsp.fade(canvas, 0.0, 0.05)

    return matter.counted(sound, 1, 1.3, once, tail_s=0.5)


def _shutter(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound) * sound.constants.uniform(0.8, 1.2)
    length_s = min(
        sound.constants.uniform(2.2, 3.0) / sound.shape.pace, sound.samples / SAMPLE_RATE
    )
    samples = dsp.seconds(max(length_s - 0.45, 0.2))
    canvas = np.zeros(dsp.seconds(length_s))
    speed = 7 + 17 * matter.arch(samples, 0.7, 0.6)
    slats = np.searchsorted(np.cumsum(speed) / SAMPLE_RATE, np.arange(0.3, 80))
    variants = [matter.impact(rng, SLAT, scale * rng.uniform(0.85, 1.2)) for _ in range(6)]
    for number, at in enumerate(slats[slats < samples]):
        late = dsp.seconds(0.008 * rng.random())
        gain = rng.uniform(0.5, 1.0) * float(speed[at]) / 20
        dsp.place(canvas, variants[number % 6], int(at) + late, gain)
    roll = dsp.bandpass(matter.grains(rng, 40 * speed, 0.01), 250.0, 3000.0, 1)
    dsp.place(canvas, roll * speed / 24, 0, 0.8)
    for mode in range(3):  # the lowest slat hits its stop
        bang = matter.impact(rng, SLAT, scale * (0.45 + 0.2 * mode), 2.0 * matter.force_of(sound))
        dsp.place(canvas, bang, samples + mode * 300, 0.8)
    return dsp.fade(canvas, 0.02, 0.05)[: sound.samples]


def _glass(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound)
    scale = matter.scale_of(sound, 0.6) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(1.7))
        crack = dsp.highpass(dsp.white(rng, 5000), 1800.0 * scale) * dsp.decay(5000, 0.09, 0.0004)
        dsp.place(canvas, crack, 0, 0.9 * force**0.5)
        pieces = int(70 * force**0.5)
        # Most shards come down within half a second, the last ones tinkle alone.
        at_s = np.concatenate([[0.0, 0.004, 0.009], 0.06 + rng.gamma(1.6, 0.17, pieces)])
        shards = [matter.impact(rng, SHARD, scale * 2 ** rng.uniform(-0.4, 1.1)) for _ in range(14)]
        for number, second in enumerate(at_s):
            gain = rng.uniform(0.15, 1.0) ** 2 * np.exp(-1.6 * second)
            dsp.place(canvas, shards[number % 14], dsp.seconds(float(second)), 1.2 * float(gain))
        return dsp.fade(canvas, 0.0, 0.1)

    return matter.counted(sound, 1, 1.5, once, tail_s=1.2)


def _coins(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.4)

    def once(_: int) -> Array:
        own = scale * 2 ** rng.uniform(-0.25, 0.3)
        touches_s, speeds = matter.bounces(rng.uniform(0.16, 0.26), rng.uniform(0.55, 0.68), 0.012)
        canvas = np.zeros(dsp.seconds(float(touches_s[-1]) + 0.7))
        for second, speed in zip(touches_s, speeds, strict=True):
            dsp.place(
                canvas, matter.impact(rng, COIN, own), dsp.seconds(float(second)), float(speed)
            )
        # At the end it spins down on its rim, faster and faster.
        samples = dsp.seconds(0.45)
        rattle = matter.stick_slip(rng, np.linspace(22, 60, samples), 0.3)
        rim = dsp.resonator(rattle, COIN.hertz * own, 0.04) * np.linspace(1, 0, samples)
        at = dsp.seconds(float(touches_s[-1]))
        dsp.place(canvas, rim / (float(np.abs(rim).max()) + 1e-12), at, 0.10)
        return dsp.fade(canvas, 0.0, 0.1)

    return matter.counted(sound, 3, 0.3, once, jitter=0.4, tail_s=0.8)


def _clatter(sound: Sound, materials: tuple[Material, ...], rate_hz: float, spread: float) -> Array:
    """Return irregular strikes of hard things on each other for the whole length, [N]."""
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.88, 1.14)
    rate_hz *= sound.shape.pace * 1.4**sound.shape.intensity
    variants = [
        matter.impact(
            rng, materials[number % len(materials)], scale * 2 ** rng.uniform(-spread, spread)
        )
        for number in range(4 * len(materials))
    ]
    canvas = np.zeros(sound.samples)
    starts = dsp.strikes(rng, sound.samples, rate_hz, 0.25)
    for at in starts if sound.shape.count is None else starts[: sound.shape.count]:
        strike = variants[int(rng.integers(len(variants)))]
        gain = rng.uniform(0.25, 1.0) ** 1.5
        dsp.place(canvas, strike, int(at), gain)
        if rng.random() < 0.45:  # it settles with a second, weaker touch
            dsp.place(canvas, strike, int(at) + dsp.seconds(rng.uniform(0.04, 0.11)), 0.4 * gain)
    return dsp.fade(canvas, 0.0, 0.05)


def _cutlery(sound: Sound) -> Array:
    return _clatter(sound, (FORK, FORK, PLATE), 3.2, 0.35)


def _dishes(sound: Sound) -> Array:
    return _clatter(sound, (PLATE,), 4.5, 0.45)


def _shaken(
    sound: Sound, material: Material, length_s: float, rate_hz: float, swells_hz: float
) -> Array:
    """Return a bunch of small hard things that rattle against each other, [N]."""
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.9, 1.12)
    samples = min(dsp.seconds(length_s / sound.shape.pace**0.5), sound.samples)
    canvas = np.zeros(samples)
    variants = [matter.impact(rng, material, scale) for _ in range(10)]
    phase = sound.constants.uniform(0, np.pi)
    rate_hz *= sound.shape.pace**0.5 * 1.4**sound.shape.intensity
    for at in dsp.strikes(rng, samples, rate_hz, 0.1):
        swell = 0.15 + np.sin(np.pi * swells_hz * at / SAMPLE_RATE + phase) ** 2
        gain = float(swell) * rng.uniform(0.2, 1.0) ** 2
        dsp.place(canvas, variants[int(rng.integers(10))], int(at), gain)
    return dsp.fade(canvas, 0.005, 0.08)


def _keys(sound: Sound) -> Array:
    return _shaken(sound, KEY, 1.4, 34.0, 3.2)


def _chain(sound: Sound) -> Array:
    return _shaken(sound, LINK, 2.4, 26.0, 1.3)


def _drawer(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.5, 0.75) / sound.shape.pace)
        runner = matter.stick_slip(rng, 190 + 260 * matter.arch(samples, 0.6), 0.9)
        rub = runner + 0.25 * dsp.white(rng, samples)
        slide = np.zeros(samples)
        for hertz in (210.0, 480.0, 900.0, 1500.0):
            slide += dsp.resonator(rub, hertz * scale, 0.02)
        slide = dsp.highpass(slide, 80.0, 1) * matter.arch(samples, 0.65, 0.5)
        canvas = np.zeros(samples + dsp.seconds(0.35))
        dsp.place(canvas, slide / float(np.abs(slide).max()), 0, 0.35)
        dsp.place(canvas, matter.impact(rng, PANEL, 0.85 * scale), samples, 1.2)
        dsp.place(canvas, matter.impact(rng, DIE, scale), samples + dsp.seconds(0.03), 0.4)
        dsp.place(canvas, matter.impact(rng, FORK, 0.7 * scale), samples + dsp.seconds(0.05), 0.15)
        return dsp.fade(canvas, 0.01, 0.05)

    return matter.counted(sound, 1, 1.4, once, tail_s=0.9)


def _ball(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound) ** 0.4
    scale = matter.scale_of(sound, 0.6) * sound.constants.uniform(0.85, 1.2)
    restitution = float(np.clip(0.78 + 0.05 * rng.normal(), 0.7, 0.84))
    touches_s, speeds = matter.bounces(0.72 * force / sound.shape.pace**0.5, restitution, 0.05)
    if sound.shape.count:
        touches_s, speeds = touches_s[: sound.shape.count], speeds[: sound.shape.count]
    starts = [dsp.seconds(float(second)) for second in touches_s]
    starts = [at for at in starts if at < sound.samples]
    return matter.series(
        sound, starts, lambda index: float(speeds[index]) * rebound(rng, 1.25 * scale)
    )


def rebound(rng: np.random.Generator, scale: float) -> Array:
    """Bounce an inflated ball once, [N]: a dull slap, its skin and the air that rings inside."""
    samples = dsp.seconds(0.24)
    hertz = scale * np.array([88.0, 172.0, 345.0, 640.0, 980.0]) * rng.uniform(0.98, 1.02, 5)
    decay_s = np.array([0.12, 0.14, 0.11, 0.08, 0.05])
    rung = matter.ring(samples, hertz, decay_s, np.array([1.0, 0.8, 0.5, 0.35, 0.2]), np.zeros(5))
    slap = dsp.bandpass(dsp.white(rng, samples), 300.0, 2800.0, 1) * dsp.decay(samples, 0.02, 0.001)
    return dsp.fade(rung + 0.6 * slap, 0.0005, 0.03)


def _dribble(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.6) * sound.constants.uniform(0.9, 1.12)
    canvas = np.zeros(sound.samples)
    for at in matter.beats(sound, 1.9, 0.05):
        gain = rng.uniform(0.8, 1.1)
        dsp.place(canvas, rebound(rng, scale), at, gain)
        # The hand meets it half a period later.
        palm = dsp.lowpass(dsp.white(rng, 1500), 900.0) * dsp.decay(1500, 0.03, 0.003)
        dsp.place(canvas, palm, at + dsp.seconds(0.26 / sound.shape.pace), 0.10 * gain)
    # Shoes squeak on the floor of the hall now and then.
    for at in dsp.strikes(rng, sound.samples, 0.35):
        dsp.place(canvas, _squeak(rng), int(at), rng.uniform(0.1, 0.25))
    return dsp.fade(canvas, 0.0, 0.02)


def _squeak(rng: np.random.Generator) -> Array:
    samples = dsp.seconds(rng.uniform(0.06, 0.14))
    hertz = rng.uniform(1500, 2300) * np.linspace(1, rng.uniform(1.05, 1.3), samples)
    phase = dsp.glide(hertz * (1 + 0.01 * matter.roam(rng, samples, 60.0)))
    return (np.sin(phase) + 0.4 * np.sin(2 * phase)) * matter.arch(samples, 0.3)


def _switch(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(0.09))
        dsp.place(canvas, matter.impact(rng, BUTTON, 0.8 * scale), 0, 0.35)
        at = dsp.seconds(rng.uniform(0.014, 0.024))
        dsp.place(canvas, matter.impact(rng, BUTTON, scale), at)
        dsp.place(canvas, matter.impact(rng, TABLE, 2.4 * scale), at, 0.3)
        return dsp.fade(canvas, 0.0, 0.01)

    return matter.counted(sound, 1, 0.5, once, tail_s=0.1)


def _stamp(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound)
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.15)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(0.25))
        dsp.place(canvas, matter.impact(rng, TABLE, 0.7 * scale, force), 0, 1.6)
        dsp.place(canvas, matter.impact(rng, LATCH, 0.6 * scale), dsp.seconds(0.004), 0.12)
        spring = matter.impact(rng, LATCH, 1.1 * scale)
        dsp.place(canvas, spring, dsp.seconds(rng.uniform(0.1, 0.13)), 0.08)
        return dsp.fade(canvas, 0.0, 0.02)

    return matter.counted(sound, 2, 0.75, once, tail_s=0.25)


def _sword(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound) ** 0.6
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.88, 1.14)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(1.5))
        for blade in (1.0, rng.uniform(1.12, 1.3)):  # two blades meet
            dsp.place(canvas, matter.impact(rng, BLADE, blade * scale, force), 0)
        slide = dsp.seconds(0.25)
        scrape = dsp.bandpass(dsp.white(rng, slide), 3500.0 * scale, 11_000.0, 1)
        dsp.place(canvas, scrape * matter.arch(slide, 0.2), dsp.seconds(0.01), 0.25)
        return dsp.fade(canvas, 0.0, 0.1)

    return matter.counted(sound, 3, 0.6, once, jitter=0.25, tail_s=0.9)


def _tool_drop(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound) ** 0.5
    scale = matter.scale_of(sound) * sound.constants.uniform(0.8, 1.25)

    def once(_: int) -> Array:
        touches_s, speeds = matter.bounces(rng.uniform(0.17, 0.24), rng.uniform(0.42, 0.55), 0.015)
        canvas = np.zeros(dsp.seconds(float(touches_s[-1]) + 0.6))
        for second, speed in zip(touches_s, speeds, strict=True):
            at = dsp.seconds(float(second) * rng.uniform(0.95, 1.05))
            dsp.place(canvas, matter.impact(rng, WRENCH, scale, force), at, float(speed))
            dsp.place(canvas, matter.impact(rng, TABLE, scale), at, 0.5 * float(speed))
        return dsp.fade(canvas, 0.0, 0.1)

    return matter.counted(sound, 1, 1.2, once, tail_s=0.8)


def _thud(sound: Sound) -> Array:
    rng, force = sound.texture, matter.force_of(sound)
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(0.45)
        falling = scale * (46 + 50 * np.exp(-dsp.times(samples) / 0.03))
        boom = np.sin(dsp.glide(falling)) * dsp.decay(samples, 0.32, 0.003)
        dsp.place(boom, matter.impact(rng, LEAF, 1.1 * scale, force), 0, 0.4)
        return dsp.fade(boom, 0.0, 0.05)

    return matter.counted(sound, 1, 0.8, once, tail_s=0.4)


def _dice(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.4) * sound.constants.uniform(0.88, 1.14)
    dice = [matter.impact(rng, DIE, scale * rng.uniform(0.85, 1.15)) for _ in range(8)]
    table = matter.impact(rng, TABLE, 1.6 * scale)
    shake_s = min(0.7 / sound.shape.pace, 0.4 * sound.samples / SAMPLE_RATE)
    canvas = np.zeros(min(dsp.seconds(shake_s + 1.1), sound.samples))
    for at in dsp.strikes(rng, dsp.seconds(shake_s), 24.0, 0.4):
        dsp.place(canvas, dice[int(rng.integers(len(dice)))], int(at), rng.uniform(0.1, 0.4))
    for _ in range(sound.shape.count or 2):
        start_s = shake_s + rng.uniform(0.02, 0.1)
        touches_s, speeds = matter.bounces(rng.uniform(0.11, 0.17), rng.uniform(0.7, 0.78), 0.02)
        for second, speed in zip(start_s + touches_s, speeds, strict=True):
            at = dsp.seconds(float(second))
            dsp.place(canvas, dice[int(rng.integers(len(dice)))], at, float(speed))
            dsp.place(canvas, table, at, 0.3 * float(speed))
    return dsp.fade(canvas, 0.0, 0.05)


def _object(name: str, render: Callable[[Sound], Array], level_db: float) -> Kind:
    return Kind(name, "object", Role.ONESHOT, render, level_db)


KINDS: tuple[Kind, ...] = (
    _object("knock", _knock, -20.0),
    _object("door_creak", _door_creak, -25.0),
    _object("door_open", _door_open, -25.0),
    _object("door_close", _door_close, -20.0),
    _object("shutter", _shutter, -19.0),
    _object("glass", _glass, -18.0),
    _object("coins", _coins, -26.0),
    Kind("cutlery", "object", Role.SUSTAINED, _cutlery, -28.0),
    Kind("dishes", "object", Role.SUSTAINED, _dishes, -26.0),
    _object("keys", _keys, -29.0),
    _object("chain", _chain, -25.0),
    _object("drawer", _drawer, -25.0),
    _object("ball", _ball, -23.0),
    Kind("dribble", "object", Role.SUSTAINED, _dribble, -22.0),
    _object("switch", _switch, -31.0),
    _object("stamp", _stamp, -23.0),
    _object("sword", _sword, -19.0),
    _object("tool_drop", _tool_drop, -20.0),
    _object("thud", _thud, -19.0),
    _object("dice", _dice, -27.0),
    *HANDLING,
)
