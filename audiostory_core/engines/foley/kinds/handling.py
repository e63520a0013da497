"""Soft and flowing things that are handled: paper, cloth, liquids, ropes, brooms, zippers."""

from collections.abc import Callable

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import Material
from audiostory_core.story.plan import SAMPLE_RATE

LEG = Material(
    135.0, (1.0, 1.7, 2.6, 3.9), 0.1, contact_s=0.0012, click=0.5, click_hz=(500.0, 3500.0)
)


def _band(rng: np.random.Generator, samples: int, low_hz: float, high_hz: float) -> Array:
    return dsp.bandpass(dsp.white(rng, samples), low_hz, high_hz, 1)


def _page_turn(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.38, 0.55) / sound.shape.pace**0.7)
        # The finger lifts the corner, the sheet sweeps over, then it settles.
        swish = _band(rng, samples, 1400.0 * scale, 8000.0) * matter.arch(samples, 0.55, 1.3)
        flutter = 1 + 0.6 * matter.roam(rng, samples, 45.0)
        density = 900 * matter.arch(samples, 0.2, 2.0) + 500 * matter.arch(samples, 0.85, 4.0)
        ticks = dsp.highpass(matter.grains(rng, density, 0.004, 3.0), 1500.0 * scale)
        flap = _band(rng, samples, 180.0, 700.0 * scale) * matter.arch(samples, 0.8, 5.0)
        return dsp.fade(0.5 * swish * flutter + 1.2 * ticks + 0.35 * flap, 0.01, 0.03)

    return matter.counted(sound, 2, 1.5, once, jitter=0.2, tail_s=0.55)


def _paper(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)
    samples = min(dsp.seconds(rng.uniform(1.3, 2.0) / sound.shape.pace), sound.samples)
    squeezes = np.clip(0.45 + 0.75 * matter.roam(rng, samples, 3.5), 0.04, None)
    density = 420 * squeezes * matter.force_of(sound) ** 0.4
    crackle = matter.grains(rng, density, 0.005, 5.0)
    sheet = dsp.highpass(crackle, 700.0 * scale, 1)
    ringing = sum(
        dsp.resonator(crackle, hertz * scale, 0.003) for hertz in (1700.0, 3100.0, 5200.0)
    )
    return dsp.fade(sheet + 2.5 * np.asarray(ringing), 0.02, 0.08)


def _tearing(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.55, 0.9) / sound.shape.pace)
        # Fibers snap ever faster as the rip runs.
        density = np.linspace(250, 2600, samples) * (1 + 0.25 * matter.roam(rng, samples, 8.0))
        rip = matter.grains(rng, np.maximum(density, 50.0), 0.0022, 2.0)
        dull = dsp.bandpass(rip, 600.0 * scale, 3500.0 * scale, 1)
        bright = dsp.highpass(rip, 2800.0 * scale, 1)
        x = np.linspace(0, 1, samples)
        return dsp.fade(((1 - x) * dull + (0.4 + x) * bright) * (0.5 + 0.5 * x), 0.01, 0.015)

    return matter.counted(sound, 1, 1.2, once, tail_s=0.8)


def _cloth(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.25, 0.45) / sound.shape.pace**0.7)
        rustle = _band(rng, samples, 500.0 * scale, 3200.0 * scale)
        rustle *= matter.arch(samples, rng.uniform(0.35, 0.6)) * (
            1 + 0.35 * matter.roam(rng, samples, 30.0)
        )
        flap = _band(rng, samples, 90.0, 350.0 * scale) * matter.arch(samples, 0.5, 3.0)
        return dsp.fade(rustle + 0.5 * flap, 0.02, 0.03)

    return matter.counted(sound, 3, 0.5, once, jitter=0.3, tail_s=0.45)


def _zipper(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.45, 0.7) / sound.shape.pace)
        x = np.linspace(0, 1, samples)
        teeth_hz = sound.shape.pace**0.5 * np.interp(x, [0, 0.2, 0.75, 1], [90, 240, 430, 300])
        teeth = matter.stick_slip(rng, teeth_hz, 0.25)
        clicks = matter.smear(teeth, 0.0035) * (0.6 + 0.4 * dsp.white(rng, samples))
        high = 2600 * scale
        zipping = dsp.highpass(clicks, 1400.0 * scale, 1)
        zipping += 4.0 * dsp.resonator(teeth, high, 0.004) + 3.0 * dsp.resonator(
            teeth, 1.9 * high, 0.003
        )
        return dsp.fade(zipping * np.interp(x, [0, 0.15, 0.8, 1], [0.4, 0.8, 1.0, 0.7]), 0.01, 0.01)

    return matter.counted(sound, 1, 1.1, once, tail_s=0.6)


def _chair(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(rng.uniform(0.45, 0.7) / sound.shape.pace)
        chatter_hz = scale * np.interp(
            np.linspace(0, 1, samples), [0, 0.3, 1], [70, rng.uniform(120, 190), 85]
        )
        chatter_hz *= np.exp(0.15 * matter.roam(rng, samples, 12.0))
        slips = matter.stick_slip(rng, chatter_hz, 0.8)
        rub = matter.smear(slips, 0.006) * (0.6 + 0.6 * dsp.white(rng, samples))
        scrape = np.zeros(samples)
        for hertz, gain in ((190.0, 1.3), (430.0, 1.5), (820.0, 1.0), (1500.0, 0.7), (2600.0, 0.4)):
            scrape += gain * dsp.resonator(rub, hertz * scale, 0.025)
        scrape = dsp.highpass(scrape, 70.0, 1)
        scrape *= matter.arch(samples, 0.45, 0.45) / (float(np.abs(scrape).max()) + 1e-12)
        canvas = np.zeros(samples + dsp.seconds(0.2))
        dsp.place(canvas, scrape, 0)
        dsp.place(canvas, matter.impact(rng, LEG, scale), samples + dsp.seconds(0.02), 0.5)
        return dsp.fade(canvas, 0.01, 0.03)

    return matter.counted(sound, 1, 1.3, once, tail_s=0.8)


def _pour(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.8) * sound.constants.uniform(0.85, 1.2)
    samples = min(dsp.seconds(rng.uniform(2.6, 3.6) / sound.shape.pace), sound.samples)
    x = np.linspace(0, 1, samples)
    canvas = np.zeros(samples)
    # The air column above the liquid shortens, so that its note climbs as the vessel fills.
    column_hz = scale * 360 * 4.5**x
    for at in dsp.strikes(rng, samples - 1, 170.0):
        hertz = float(column_hz[at]) * 2 ** rng.normal(0, 0.22)
        length = int(min(2600, 9 / hertz * SAMPLE_RATE))
        t = dsp.times(length)
        bubble = np.sin(2 * np.pi * hertz * t * (1 + 2.5 * t)) * dsp.decay(
            length, length / SAMPLE_RATE
        )
        dsp.place(canvas, bubble, int(at), rng.uniform(0.1, 1.0) ** 2)
    stream = _band(rng, samples, 900.0 * scale, 6000.0)
    glassy = matter.smear(canvas, 0.002) * 0.02
    flow = 0.08 * stream * (1 + 0.3 * matter.roam(rng, samples, 9.0))
    return dsp.fade(canvas + glassy + flow, 0.08, 0.15)


def _cooking(sound: Sound) -> Array:
    rng = sound.texture
    samples = sound.samples
    heat = matter.force_of(sound) ** 0.6 * sound.constants.uniform(0.85, 1.2)
    hiss = dsp.highpass(dsp.white(rng, samples), 3000.0, 1) * (
        1 + 0.15 * matter.roam(rng, samples, 6.0)
    )
    fat = dsp.highpass(matter.grains(rng, 130.0 * heat, 0.006, 4.0, samples), 1800.0, 1)
    pops = dsp.bandpass(matter.grains(rng, 7.0 * heat, 0.012, 2.0, samples), 700.0, 5000.0, 1)
    return 0.06 * hiss + 0.8 * fat + 0.7 * pops


def _whip(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.4) * sound.constants.uniform(0.88, 1.14)

    def once(_: int) -> Array:
        rush = dsp.seconds(rng.uniform(0.22, 0.32) / sound.shape.pace**0.5)
        canvas = np.zeros(rush + dsp.seconds(0.25))
        x = np.linspace(0, 1, rush)
        low = dsp.bandpass(dsp.white(rng, rush), 350.0 * scale, 1100.0 * scale, 1)
        high = dsp.bandpass(dsp.white(rng, rush), 1200.0 * scale, 4500.0 * scale, 1)
        dsp.place(canvas, (low * (1 - x) + high * x) * x**3, 0, 0.22)
        # The tip breaks the sound barrier: a bang of a millisecond and its scatter.
        crack = dsp.seconds(0.2)
        bang = dsp.white(rng, crack) * dsp.decay(crack, 0.012, 0.0001)
        scatter = dsp.highpass(dsp.white(rng, crack), 700.0) * dsp.decay(crack, 0.13, 0.001)
        dsp.place(canvas, 2.5 * bang + 0.3 * scatter, rush)
        return dsp.fade(canvas, 0.01, 0.03)

    return matter.counted(sound, 1, 0.9, once, tail_s=0.5)


def _rope(sound: Sound) -> Array:
    rng = sound.texture
    samples = sound.samples
    scale = matter.scale_of(sound, 0.6) * sound.constants.uniform(0.85, 1.2)
    sway_hz = 0.34 * sound.shape.pace
    phase = 2 * np.pi * sway_hz * dsp.times(samples) + sound.constants.uniform(0, 2 * np.pi)
    strain = np.abs(np.sin(phase + 0.5 * matter.roam(rng, samples, 0.4)))
    slips = matter.stick_slip(rng, 0.5 + 36 * strain**2, 0.9)
    fibers = matter.smear(slips, 0.010) * dsp.white(rng, samples) + 0.5 * slips
    creak = np.zeros(samples)
    for hertz, gain in ((330.0, 1.0), (610.0, 1.2), (1050.0, 0.8), (1750.0, 0.5)):
        creak += gain * dsp.resonator(fibers, hertz * scale, 0.015)
    return dsp.highpass(creak, 70.0, 1) * (0.1 + strain)


def _broom(sound: Sound) -> Array:
    rng = sound.texture
    scale = matter.scale_of(sound, 0.5) * sound.constants.uniform(0.85, 1.2)
    canvas = np.zeros(sound.samples)
    stroke_s = 0.5 / sound.shape.pace
    for at in matter.beats(sound, 0.95, 0.1):
        samples = dsp.seconds(stroke_s * rng.uniform(0.85, 1.15))
        bristles = _band(rng, samples, 1100.0 * scale, 6500.0) * matter.arch(samples, 0.4, 0.8)
        bristles *= 1 + 0.3 * matter.roam(rng, samples, 60.0)
        dsp.place(canvas, bristles, at, rng.uniform(0.8, 1.0))
        density = 260 * matter.arch(samples, 0.6)
        grit = dsp.highpass(matter.grains(rng, density, 0.004, 3.0), 2000.0)
        dsp.place(canvas, grit, at, 0.6)
    return dsp.fade(canvas, 0.0, 0.03)


def _handled(name: str, render: Callable[[Sound], Array], level_db: float) -> Kind:
    return Kind(name, "object", Role.ONESHOT, render, level_db)


HANDLING: tuple[Kind, ...] = (
    _handled("page_turn", _page_turn, -30.0),
    _handled("paper", _paper, -28.0),
    _handled("tearing", _tearing, -26.0),
    _handled("cloth", _cloth, -34.0),
    _handled("zipper", _zipper, -28.0),
    _handled("chair", _chair, -23.0),
    _handled("pour", _pour, -26.0),
    _handled("whip", _whip, -17.0),
    Kind("cooking", "object", Role.SUSTAINED, _cooking, -27.0),
    Kind("rope", "object", Role.SUSTAINED, _rope, -28.0),
    Kind("broom", "tool", Role.SUSTAINED, _broom, -27.0),
)
