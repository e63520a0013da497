"""Footsteps on many grounds, each a heel and a toe, left and right in turn."""

from collections.abc import Callable

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import Material

WALK_HZ = 1.8  # steps a second
RUN_HZ = 3.0
STAIRS_HZ = 2.1
MARCH_HZ = 1.95
MARCHERS = 14

Step = Callable[[np.random.Generator, int], Array]  # the sound of the step of a given number

SOLE = Material(
    155.0,
    (1.0, 1.7, 2.9, 4.6, 7.1),
    0.07,
    contact_s=0.0012,
    click=0.55,
    click_hz=(900.0, 5000.0),
    spread=0.08,
)
TOE = Material(
    230.0,
    (1.0, 1.9, 3.3, 5.2),
    0.04,
    contact_s=0.0018,
    click=0.5,
    click_hz=(1200.0, 6000.0),
    spread=0.1,
)
STILETTO = Material(
    1250.0,
    (1.0, 1.62, 2.35, 3.4),
    0.035,
    contact_s=0.00015,
    click=0.7,
    click_hz=(1800.0, 9000.0),
    spread=0.05,
)
TREAD = Material(
    128.0,
    (1.0, 1.52, 2.2, 2.9, 3.9, 5.3),
    0.22,
    damping=0.5,
    contact_s=0.0014,
    click=0.35,
    click_hz=(600.0, 3500.0),
    spread=0.05,
)
PEBBLE_HZ = (1500.0, 2300.0, 3400.0, 4800.0)


def _walk(sound: Sound, rate_hz: float, step: Step, jitter: float = 0.06) -> Array:
    rng = sound.texture
    canvas = np.zeros(sound.samples)
    limp = 1 + 0.08 * sound.constants.uniform(-1, 1)
    for index, at in enumerate(matter.beats(sound, rate_hz, jitter)):
        strength = (limp if index % 2 else 1.0) * rng.uniform(0.85, 1.1)
        dsp.place(canvas, step(rng, index), at, strength)
    return dsp.fade(canvas, 0.0, 0.02)


def _pace_scale(sound: Sound) -> float:
    return matter.scale_of(sound, 0.5) * float(sound.constants.uniform(0.85, 1.18))


def _roll_s(sound: Sound) -> float:
    """Return the time from heel to toe."""
    return 0.1 / sound.shape.pace**0.7


def _footsteps(sound: Sound) -> Array:
    scale, force, roll_s = _pace_scale(sound), matter.force_of(sound) ** 0.5, _roll_s(sound)
    floor_hz = sound.constants.uniform(70, 105)

    def step(rng: np.random.Generator, index: int) -> Array:
        side = 1.04 if index % 2 else 0.97
        canvas = np.zeros(dsp.seconds(0.26))
        dsp.place(canvas, matter.impact(rng, SOLE, side * scale, force), 0)
        toe_at = dsp.seconds(roll_s * rng.uniform(0.85, 1.15))
        dsp.place(canvas, matter.impact(rng, TOE, side * scale, force), toe_at, 0.4)
        thud = np.sin(2 * np.pi * floor_hz * dsp.times(4000)) * dsp.decay(4000, 0.09, 0.003)
        dsp.place(canvas, thud, 0, 0.45)
        return canvas

    return _walk(sound, WALK_HZ, step)


def _crackling(
    sound: Sound, burst_s: float, density_hz: float, grain_s: float, lobes: tuple[float, float]
) -> Array:
    """Return grains that burst under each step, [N]: the heel's lobe and then the toe's."""
    rng = sound.texture
    density = np.zeros(sound.samples)
    roll_s = _roll_s(sound) * 1.2
    many = density_hz * matter.force_of(sound) ** 0.4
    for at in matter.beats(sound, WALK_HZ, 0.07):
        heel = dsp.seconds(burst_s * rng.uniform(0.8, 1.2))
        dsp.place(density, matter.arch(heel, 0.25), at, many * lobes[0] * rng.uniform(0.7, 1.2))
        toe = dsp.seconds(1.2 * burst_s * rng.uniform(0.8, 1.2))
        dsp.place(
            density,
            matter.arch(toe, 0.3),
            at + dsp.seconds(roll_s),
            many * lobes[1] * rng.uniform(0.7, 1.2),
        )
    return matter.grains(rng, density, grain_s, 3.0)


def _footsteps_leaves(sound: Sound) -> Array:
    scale = _pace_scale(sound)
    crackle = _crackling(sound, 0.13, 900.0, 0.006, (0.7, 1.0))
    crisp = dsp.bandpass(crackle, 1800.0 * scale, 12_000.0, 1)
    rustle = dsp.bandpass(matter.smear(np.abs(crackle), 0.08), 0.4, 40.0, 1)
    swish = dsp.bandpass(dsp.white(sound.texture, sound.samples), 2500.0, 9000.0, 1)
    level = float(np.abs(rustle).max(initial=0.0)) + 1e-9
    return crisp + 0.10 * float(crisp.max(initial=0.0)) * np.maximum(rustle, 0) / level * swish


def _footsteps_snow(sound: Sound) -> Array:
    scale = _pace_scale(sound)
    crunch = _crackling(sound, 0.17, 2600.0, 0.010, (0.8, 1.0))
    packed = dsp.bandpass(crunch, 350.0 * scale, 2300.0 * scale, 1)
    # Compressed snow squeaks: narrow bands that ring between the grains.
    squeak = dsp.resonator(crunch, 1050.0 * scale, 0.012) + dsp.resonator(
        crunch, 1700.0 * scale, 0.010
    )
    level = float(np.std(packed)) / (float(np.std(squeak)) + 1e-12)
    return packed + 0.6 * level * squeak


def _footsteps_gravel(sound: Sound) -> Array:
    scale = _pace_scale(sound)
    grind = _crackling(sound, 0.10, 420.0, 0.004, (1.0, 0.8))
    stones = np.zeros(sound.samples)
    for hertz in PEBBLE_HZ:
        stones += dsp.resonator(grind, hertz * scale * sound.constants.uniform(0.9, 1.1), 0.006)
    level = float(np.std(grind)) / (float(np.std(stones)) + 1e-12)
    thud = dsp.lowpass(grind, 260.0, 1)
    return level * stones + 0.35 * dsp.highpass(grind, 1200.0) + 1.5 * thud


def _heels(sound: Sound) -> Array:
    scale, force = _pace_scale(sound), matter.force_of(sound) ** 0.5
    roll_s = 0.6 * _roll_s(sound)
    floor_hz = sound.constants.uniform(190, 260)

    def step(rng: np.random.Generator, index: int) -> Array:
        side = 1.05 if index % 2 else 0.96
        canvas = np.zeros(dsp.seconds(0.16))
        dsp.place(canvas, matter.impact(rng, STILETTO, side * scale, force), 0)
        dsp.place(
            canvas, matter.impact(rng, TOE, 2.0 * side * scale, force), dsp.seconds(roll_s), 0.16
        )
        knock = np.sin(2 * np.pi * floor_hz * dsp.times(2500)) * dsp.decay(2500, 0.05, 0.001)
        dsp.place(canvas, knock, 0, 0.12)
        return canvas

    return _walk(sound, WALK_HZ, step, jitter=0.04)


def _running(sound: Sound) -> Array:
    scale, force = 0.8 * _pace_scale(sound), matter.force_of(sound) ** 0.5

    def step(rng: np.random.Generator, index: int) -> Array:
        side = 1.05 if index % 2 else 0.96
        canvas = np.zeros(dsp.seconds(0.2))
        dsp.place(canvas, matter.impact(rng, SOLE, side * scale, 1.3 * force), 0)
        thud_hz = side * scale * (62 + 60 * np.exp(-dsp.times(6000) / 0.02))
        thud = np.sin(dsp.glide(thud_hz)) * dsp.decay(6000, 0.12, 0.003)
        dsp.place(canvas, thud, 0, 1.3)
        scuff = dsp.bandpass(dsp.white(rng, 3600), 1500.0, 7000.0, 1) * matter.arch(3600, 0.3)
        dsp.place(canvas, scuff, dsp.seconds(0.02), 0.10)
        return canvas

    return _walk(sound, RUN_HZ, step, jitter=0.05)


def _stairs(sound: Sound) -> Array:
    scale, force = _pace_scale(sound), matter.force_of(sound) ** 0.5
    # Every tread is cut and nailed a little differently.
    treads = sound.constants.uniform(0.86, 1.16, 16)

    def step(rng: np.random.Generator, index: int) -> Array:
        hollow = scale * float(treads[index % len(treads)])
        canvas = np.zeros(dsp.seconds(0.32))
        dsp.place(canvas, matter.impact(rng, TREAD, hollow, 1.2 * force), 0, 1.3)
        dsp.place(canvas, matter.impact(rng, SOLE, 1.3 * scale, force), 0, 0.35)
        if rng.random() < 0.3:
            creak = _tread_creak(rng, hollow)
            dsp.place(canvas, creak, dsp.seconds(0.04), 0.25)
        return canvas

    return _walk(sound, STAIRS_HZ, step, jitter=0.04)


def _tread_creak(rng: np.random.Generator, scale: float) -> Array:
    samples = dsp.seconds(0.16)
    rate_hz = np.linspace(90, rng.uniform(120, 260), samples)
    slips = matter.stick_slip(rng, rate_hz, 0.4)
    rung = dsp.resonator(slips, 780 * scale, 0.012) + dsp.resonator(slips, 1650 * scale, 0.010)
    return rung / (float(np.abs(rung).max()) + 1e-12) * matter.arch(samples)


def _marching(sound: Sound) -> Array:
    scale, force = 0.85 * _pace_scale(sound), matter.force_of(sound) ** 0.5
    rng = sound.texture
    canvas = np.zeros((2, sound.samples))
    pans = np.linspace(0, np.pi / 2, MARCHERS)
    boots = [
        (matter.impact(rng, SOLE, scale * rng.uniform(0.8, 1.2), 1.2 * force), index)
        for index in range(MARCHERS)
    ]
    for at in matter.beats(sound, MARCH_HZ, 0.01):
        for boot, index in boots:
            late = dsp.seconds(abs(0.02 * rng.normal()))
            gain = rng.uniform(0.6, 1.0)
            dsp.place(canvas[0], boot, at + late, gain * float(np.cos(pans[index])))
            dsp.place(canvas[1], boot, at + late, gain * float(np.sin(pans[index])))
        grit = dsp.bandpass(dsp.white(rng, 5300), 1200.0, 6000.0, 1) * matter.arch(5300, 0.2)
        dsp.place(canvas, grit, at + dsp.seconds(0.01), 0.35)
    return dsp.fade(dsp.highpass(canvas, 35.0, 1), 0.0, 0.02)


def _step_kind(name: str, render: Callable[[Sound], Array], level_db: float) -> Kind:
    return Kind(name, "step", Role.SUSTAINED, render, level_db)


KINDS: tuple[Kind, ...] = (
    _step_kind("footsteps", _footsteps, -26.0),
    _step_kind("footsteps_leaves", _footsteps_leaves, -27.0),
    _step_kind("footsteps_snow", _footsteps_snow, -27.0),
    _step_kind("footsteps_gravel", _footsteps_gravel, -26.0),
    _step_kind("heels", _heels, -25.0),
    _step_kind("running", _running, -23.0),
    _step_kind("stairs", _stairs, -24.0),
    _step_kind("marching", _marching, -21.0),
)
