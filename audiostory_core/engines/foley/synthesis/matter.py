"""Struck, scraped and crumpled matter: the physics that objects and steps share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audiostory_core.audio import filters
from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.sound import Sound
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.story.plan import SAMPLE_RATE

RING_BLOCK = 128  # samples
ROAM_STEP = 128  # samples
EXP_60_DB = 6.9078  # natural logarithm of 1000


@dataclass(frozen=True)
class Material:
    """A body that rings when it is struck, and what strikes it.

    Attributes:
        hertz: lowest mode.
        ratios: modes as multiples of the lowest.
        decay_s: time in which the lowest mode falls by 60 dB.
        damping: a mode of ratio r dies r ** damping times sooner than the lowest.
        contact_s: how long the striker touches; longer is duller.
        click: amplitude of the contact noise beside the modes.
        click_hz: band of the contact noise.
        spread: relative scatter of the modes from strike to strike.
    """

    hertz: float
    ratios: tuple[float, ...]
    decay_s: float
    damping: float = 0.7
    contact_s: float = 0.0005
    click: float = 0.3
    click_hz: tuple[float, float] = (800.0, 6000.0)
    spread: float = 0.02


def scale_of(sound: Sound, octaves: float = 0.7) -> float:
    """Return the frequency factor of the sound's size: above 1 for small things."""
    return 2.0 ** (-octaves * sound.shape.size)


def force_of(sound: Sound) -> float:
    """Return how hard a thing is struck, from 0.4 (gentle) to 2.5 (violent)."""
    return 2.5**sound.shape.intensity


def roam(rng: np.random.Generator, samples: int, rate_hz: float) -> Array:
    """Return a smooth random walk as `dsp.wander` does, but joined by lines: far cheaper."""
    checkpoint()
    step = max(1, min(ROAM_STEP, int(SAMPLE_RATE / rate_hz / 8)))
    points = dsp.wander(rng, samples // step + 2, rate_hz * step)
    return joined(points, step, samples)


def joined(points: Array, step: int, samples: int) -> Array:
    """Join points that lie `step` samples apart by straight lines, [samples]."""
    ramp = np.arange(step) / step
    return (points[:-1, None] + np.diff(points)[:, None] * ramp).ravel()[:samples]


def ring(samples: int, hertz: Array, decay_s: Array, gains: Array, phases: Array) -> Array:
    """Sum decaying sines as `dsp.modes` does, from powers of a complex number: far cheaper."""
    canvas = np.zeros((-(-samples // RING_BLOCK), RING_BLOCK))
    steps = np.arange(RING_BLOCK)
    for f, d, g, p in zip(hertz, decay_s, gains, phases, strict=True):
        if f >= 0.49 * SAMPLE_RATE:
            continue
        log_step = (-EXP_60_DB / d + 2j * np.pi * f) / SAMPLE_RATE
        rows = min(len(canvas), int(1.2 * d * SAMPLE_RATE / RING_BLOCK) + 1)
        fine = np.exp(log_step * steps)
        coarse = g * np.exp(log_step * RING_BLOCK * np.arange(rows) + 1j * p)
        canvas[:rows] += np.outer(coarse.real, fine.imag) + np.outer(coarse.imag, fine.real)
    return canvas.ravel()[:samples]


def impact(
    rng: np.random.Generator, material: Material, scale: float = 1.0, force: float = 1.0
) -> Array:
    """Strike a body once, [N]; harder strikes are louder and brighter.

    Args:
        rng: source of chance.
        material: the body and its striker.
        scale: factor on all its frequencies.
        force: 1 is a plain strike.
    """
    checkpoint()
    ratios = np.asarray(material.ratios)
    hertz = scale * material.hertz * ratios * (1 + material.spread * rng.normal(size=len(ratios)))
    decay_s = material.decay_s * ratios**-material.damping * rng.uniform(0.8, 1.2, len(ratios))
    contact_s = material.contact_s / force**0.5
    gains = np.exp(-((hertz * contact_s) ** 2)) * rng.uniform(0.5, 1.0, len(ratios))
    samples = dsp.seconds(1.1 * float(decay_s.max())) + 64
    waveform = ring(samples, hertz, decay_s, gains / len(ratios) ** 0.5, np.zeros(len(ratios)))
    click_s = 0.004 + 4 * material.contact_s
    burst = dsp.bandpass(dsp.white(rng, dsp.seconds(2 * click_s)), *material.click_hz)
    burst *= dsp.decay(len(burst), 1.5 * click_s, 0.0003)
    dsp.place(waveform, burst, 0, material.click * force**0.3)
    return force * dsp.fade(waveform, 0.0, 0.003)


def onsets(
    sound: Sound, count: int, gap_s: float, jitter: float = 0.08, tail_s: float = 0.25
) -> list[int]:
    """Return the samples of `count` strikes about `gap_s` apart, sooner where time is short.

    Args:
        sound: gives the pace, and the time there is.
        count: strikes, at least 1.
        gap_s: from strike to strike at a plain pace.
        jitter: relative scatter of the gaps.
        tail_s: time to keep after the last strike.
    """
    gaps = (
        gap_s / sound.shape.pace * (1 + jitter * np.clip(sound.texture.normal(size=count), -2, 2))
    )
    at_s = np.concatenate([[0.0], np.cumsum(gaps[:-1])])
    room_s = max(sound.samples / SAMPLE_RATE - tail_s, 0.0)
    if at_s[-1] > room_s:
        at_s *= room_s / at_s[-1]
    return [dsp.seconds(float(second)) for second in at_s]


def series(sound: Sound, starts: list[int], make: Callable[[int], Array]) -> Array:
    """Lay one sound after another, [N], as long as the last one rings and as fits.

    Args:
        sound: gives the most samples that fit.
        starts: sample of each.
        make: makes the one of a given index.
    """
    parts = [make(index) for index in range(len(starts))]
    end = max(at + len(part) for at, part in zip(starts, parts, strict=True))
    canvas = np.zeros(min(end, sound.samples))
    for at, part in zip(starts, parts, strict=True):
        dsp.place(canvas, part, at)
    return canvas if end <= sound.samples else dsp.fade(canvas, 0.0, 0.02)


def counted(
    sound: Sound,
    habit: int,
    gap_s: float,
    make: Callable[[int], Array],
    jitter: float = 0.08,
    tail_s: float = 0.25,
) -> Array:
    """Repeat a sound as often as requested, else by `habit`; see `onsets` and `series`."""
    count = max(1, sound.shape.count or habit)
    return series(sound, onsets(sound, count, gap_s, jitter, tail_s), make)


def bounces(drop_s: float, restitution: float, least_s: float = 0.02) -> Array:
    """Return when a dropped thing touches the ground, and how hard, [2, K].

    Each flight is `restitution` times as long as the one before, as is each impact's speed.

    Args:
        drop_s: duration of the first flight after the first touch.
        restitution: of speed at each touch, below 1.
        least_s: shortest flight that is heard as one.
    """
    count = max(2, int(np.log(least_s / drop_s) / np.log(restitution)) + 2)
    flights = drop_s * restitution ** np.arange(count - 1)
    return np.stack([np.concatenate([[0.0], np.cumsum(flights)]), restitution ** np.arange(count)])


def grains(
    rng: np.random.Generator,
    density: Array | float,
    decay_s: float,
    slope: float = 1.5,
    samples: int | None = None,
) -> Array:
    """Return noise bursts of exponential decay at random moments, [N]: crackle, crunch, sizzle.

    Args:
        rng: source of chance.
        density: mean bursts a second, [N] or the same throughout.
        decay_s: of a burst, to -60 dB.
        slope: the larger, the rarer are strong bursts among weak ones.
        samples: N, where `density` does not give it.
    """
    if isinstance(density, float):
        samples = samples or 0
        total = int(rng.poisson(density * samples / SAMPLE_RATE))
        at = rng.integers(samples, size=total)
    else:
        samples = len(density)
        mass = np.cumsum(density)
        total = int(rng.poisson(float(mass[-1]) / SAMPLE_RATE))
        at = np.minimum(np.searchsorted(mass, rng.random(total) * mass[-1]), samples - 1)
    impulses = np.zeros(samples)
    np.add.at(impulses, at, rng.random(total) ** slope)
    return dsp.white(rng, samples) * smear(impulses, decay_s)


def smear(impulses: Array, decay_s: float) -> Array:
    """Let impulses die away by 60 dB in `decay_s`."""
    checkpoint()
    pole = np.exp(-EXP_60_DB / (decay_s * SAMPLE_RATE))
    return filters.lfilter([1.0], [1.0, -pole], impulses)


def stick_slip(rng: np.random.Generator, rate_hz: Array, roughness: float) -> Array:
    """Return the impulses of friction that sticks and slips, [N].

    Args:
        rng: source of chance.
        rate_hz: [N] slips a second.
        roughness: scatter of the slips' moments and strengths, 0 to 1.
    """
    cycles = np.cumsum(rate_hz)
    cycles /= SAMPLE_RATE
    slips = np.arange(1, max(2, int(cycles[-1])))
    wanted = slips + 0.5 * roughness * (rng.random(len(slips)) - 0.5)
    at = np.minimum(np.searchsorted(cycles, wanted), len(rate_hz) - 1)
    impulses = np.zeros(len(rate_hz))
    impulses[at] = 1 + roughness * rng.uniform(-0.8, 0.8, len(at))
    return impulses


def arch(samples: int, peak: float = 0.5, sharpness: float = 1.0) -> Array:
    """Return a smooth hump from 0 over 1 to 0, [N], highest at `peak` (0 to 1) of its length."""
    x = (np.arange(samples) + 0.5) / samples
    warped = np.where(x < peak, 0.5 * x / peak, 0.5 + 0.5 * (x - peak) / (1 - peak))
    return np.sin(np.pi * warped) ** (2 * sharpness)


def beats(sound: Sound, rate_hz: float, jitter: float) -> list[int]:
    """Return the samples of a regular action that fills a sound: steps, chews, strokes.

    Exactly `shape.count` of them where the shape says so and they fit, closer together where they
    would not.

    Args:
        sound: gives the length, pace and count.
        rate_hz: actions a second at a plain pace.
        jitter: scatter relative to the period; it does not add up.
    """
    period_s = 1 / (rate_hz * sound.shape.pace)
    length_s = sound.samples / SAMPLE_RATE
    count = max(1, int((length_s - 0.15) / period_s) + 1)
    if sound.shape.count:
        count = sound.shape.count
        period_s = min(period_s, length_s / count)
    scatter = np.clip(sound.texture.normal(size=count), -2, 2) * jitter * period_s * 0.5
    at_s = np.maximum(0.03 + period_s * np.arange(count) + scatter, 0.0)
    return [dsp.seconds(float(second)) for second in at_s]
