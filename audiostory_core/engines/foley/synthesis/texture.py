"""Textures, calls and events that know absolute time, so that a bed can start anywhere.

A bed is made in blocks. What must agree between two blocks is a function of absolute time here:
`drift` for slow curves, `slots` for events. What never repeats is fresh noise.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np

from audiostory_core.audio import filters
from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.sound import Samples, Sound
from audiostory_core.engines.foley.synthesis.dsp import Array, glide, place, seconds, times
from audiostory_core.story.plan import SAMPLE_RATE

CONTROL = 64  # samples between two points of a control curve
SOWN_AT_ONCE = 500  # grains between two checkpoints
LEAD_S = 0.3  # run before a block so that filters and echoes have settled at its first sample
SOUNDS = 2  # whose draws are kept, of each function: the beds of a scene, not of a story

P = ParamSpec("P")


@dataclass(frozen=True)
class Slot:
    """One stretch of absolute time in which an event may happen.

    Attributes:
        index: counted from absolute sample 0; negative before it.
        at: first sample of the slot, counted from the start of the block.
        rng: source of chance of this slot, equal in every block.
    """

    index: int
    at: int
    rng: np.random.Generator


def settled(render: Callable[[Sound], Samples]) -> Callable[[Sound], Samples]:
    """Return a render function that runs `LEAD_S` earlier and drops the lead."""

    def with_lead(sound: Sound) -> Samples:
        lead = seconds(LEAD_S)
        longer = replace(sound, samples=sound.samples + lead, start=sound.start - lead)
        return render(longer)[..., lead:]

    return with_lead


def drawn_once(
    draw: Callable[Concatenate[np.random.Generator, P], list[Array]],
) -> Callable[Concatenate[np.random.Generator, P], list[Array]]:
    """Keep the waveforms that a function draws from constants: every block draws the same ones.

    The generator is left as drawing leaves it. The waveforms cannot be written to.
    """
    kept: OrderedDict[tuple[object, ...], tuple[list[Array], Mapping[str, Any]]] = OrderedDict()

    @wraps(draw)
    def look_up(rng: np.random.Generator, /, *args: P.args, **options: P.kwargs) -> list[Array]:
        key = (repr(rng.bit_generator.state), args, tuple(sorted(options.items())))
        drawn = kept.get(key)
        if drawn is None:
            waveforms = draw(rng, *args, **options)
            for waveform in waveforms:
                waveform.flags.writeable = False
            drawn = kept[key] = waveforms, rng.bit_generator.state
            if len(kept) > SOUNDS:
                kept.popitem(last=False)
        waveforms, rng.bit_generator.state = drawn
        return waveforms

    return look_up


def control_points(samples: int) -> Array:
    """Return the samples at which `upsampled` wants points, one of each `CONTROL`."""
    return np.arange(-(-samples // CONTROL) + 1, dtype=np.float64) * CONTROL


def upsampled(points: Array, samples: int, step: int = CONTROL) -> Array:
    """Return a curve [..., N] drawn straight through points that lie `step` samples apart."""
    checkpoint()
    ramp = np.arange(step) / step
    lines = np.diff(points)[..., None] * ramp
    lines += points[..., :-1, None]
    return lines.reshape(*points.shape[:-1], -1)[..., :samples]


def drift(rng: np.random.Generator, samples: int, start: int, rate_hz: float) -> Array:
    """Return a smooth curve around 0 with unit variance, fixed to absolute time, [N].

    Args:
        rng: the sound's constants; always takes the same number of draws.
        samples: length of the block.
        start: absolute sample of the block.
        rate_hz: how fast it moves, about.
    """
    hertz = rate_hz * rng.uniform(0.25, 1.75, 7)
    phases = rng.uniform(0, 2 * np.pi, 7)
    t = (control_points(samples) + float(start)) / SAMPLE_RATE
    sines = np.sin(2 * np.pi * hertz[:, None] * t + phases[:, None])
    return upsampled(sines.sum(axis=0) * np.sqrt(2 / 7), samples)


def seed_of(rng: np.random.Generator) -> int:
    """Draw a seed for `slots`."""
    return int(rng.integers(2**62))


def slots(
    seed: int, samples: int, start: int, period_s: float, reach_s: float = 0.0
) -> Iterator[Slot]:
    """Yield the slots of `period_s` that touch a block, or whose event of `reach_s` may."""
    first = int(np.floor((start / SAMPLE_RATE - reach_s) / period_s))
    last = int(np.ceil((start + samples) / SAMPLE_RATE / period_s))
    for index in range(first, last):
        at = round(index * period_s * SAMPLE_RATE) - start
        yield Slot(index, at, np.random.default_rng([seed, index + 2**31]))


def impulses(
    rng: np.random.Generator, samples: int, rate_hz: float, spread_db: float = 6.0
) -> Array:
    """Return a Poisson train of single-sample impulses, [N], of unit mean power per impulse.

    Args:
        rng: source of chance.
        samples: length.
        rate_hz: mean impulses a second.
        spread_db: standard deviation of their levels.
    """
    checkpoint()
    count = rng.poisson(rate_hz * samples / SAMPLE_RATE)
    sigma = spread_db / 8.686
    # Clipped: one drop in a thousand must not tower over the rest of the block.
    gains = np.exp(sigma * np.clip(rng.standard_normal(count), -2.5, 2.0) - sigma**2)
    signs = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    at = rng.integers(0, samples, count)
    train = np.bincount(at, weights=gains * signs, minlength=samples)
    return train.astype(np.float64, copy=False)


def unit_impulse(length_s: float) -> Array:
    """Return a single-sample impulse of 1 followed by silence, to strike a resonance with."""
    impulse = np.zeros(seconds(length_s))
    impulse[0] = 1.0
    return impulse


def ring(train: Array, hertz: float, decay_s: float) -> Array:
    """Ring a mode that falls by 60 dB in `decay_s`: an impulse of 1 rings with amplitude 1."""
    checkpoint()
    radius = 10 ** (-3 / (decay_s * SAMPLE_RATE))
    angle = 2 * np.pi * hertz / SAMPLE_RATE
    return filters.lfilter([np.sin(angle)], [1, -2 * radius * np.cos(angle), radius**2], train)


def bubble(hertz: float, decay_s: float, rise: float) -> Array:
    """Return one Minnaert bubble: a decaying sine whose pitch climbs as it nears the surface.

    Args:
        hertz: pitch at birth.
        decay_s: time to -60 dB, and the length.
        rise: share by which the pitch has risen at the end; 0.1 is usual.
    """
    length = seconds(decay_s)
    t = times(length)
    envelope = np.exp(-6.9078 * t / decay_s) * np.minimum(1.0, t * hertz * 2)
    return envelope * np.sin(glide(hertz * (1 + rise * t / decay_s)))


def sow(canvas: Array, rng: np.random.Generator, grains: Sequence[Array], rate_hz: float) -> None:
    """Add grains at Poisson times to a canvas [N], in place, each at its own level.

    A loop over slices: below some hundred grains a second it is five times as fast as one
    scattered addition, because a slice is added at memory speed.
    """
    count = rng.poisson(rate_hz * canvas.size / SAMPLE_RATE)
    longest = max(grain.size for grain in grains)
    at = rng.integers(-longest, canvas.size, count).tolist()
    which = rng.integers(0, len(grains), count).tolist()
    gains = np.exp(0.7 * np.clip(rng.standard_normal(count), -2.5, 1.8)).tolist()
    for index, (position, grain, gain) in enumerate(zip(at, which, gains, strict=True)):
        if index % SOWN_AT_ONCE == 0:
            checkpoint()
        place(canvas, grains[grain], position, gain)


def wandering_band(
    rng: np.random.Generator, hertz: Array, width_hz: float, channels: int = 2
) -> Array:
    """Return noise of unit variance in a narrow band whose center follows `hertz`, [C, N].

    A complex noise of the bandwidth turns an oscillator: a resonance that moves, without a
    filter that moves. The channels are decorrelated.
    """
    cycles = np.cumsum(hertz) / SAMPLE_RATE
    in_phase, in_quadrature = sine(cycles), sine(cycles + 0.25)
    bands = np.empty((channels, hertz.size))
    for channel in range(channels):
        bands[channel] = slow_noise(rng, hertz.size, width_hz) * in_phase
        bands[channel] += slow_noise(rng, hertz.size, width_hz) * in_quadrature
    return bands


def sine(cycles: Array) -> Array:
    """Return the sine of a phase given in cycles, [N].

    In single precision within one turn: exact to -130 dB and several times as fast.
    """
    checkpoint()
    angle = np.floor(cycles)
    np.subtract(cycles, angle, out=angle)
    angle *= 2 * np.pi
    return np.sin(angle.astype(np.float32)).astype(np.float64)


def slow_noise(rng: np.random.Generator, samples: int, rate_hz: float) -> Array:
    """Return noise of about unit variance that holds nothing much above `rate_hz`, [N]."""
    step = max(int(SAMPLE_RATE / (3 * rate_hz)), 1)
    points = rng.standard_normal(-(-samples // step) + 3)
    softened = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
    return upsampled(softened / 0.55, samples, step)


def sloped(rng: np.random.Generator, samples: int, slope_db: float) -> Array:
    """Return noise of about unit variance whose spectrum falls by `slope_db` per octave, [N].

    A ladder of poles and zeros, one pair each 1.8 octaves from 25 Hz: a third of the cost of
    `dsp.colored`, and without a period of its own.
    """
    checkpoint()
    sections, level = _ladder(slope_db)
    noise: Array = filters.sosfilt(sections, rng.standard_normal(samples))
    noise /= level
    return noise


@lru_cache(maxsize=64)
def _ladder(slope_db: float) -> tuple[Array, float]:
    """Design the filter of `sloped`; return its sections and the level of white noise behind it."""
    poles_hz = 25.0 * 3.5 ** np.arange(6)
    zeros_hz = poles_hz * 3.5 ** (-slope_db / 6.0206)
    pole = np.exp(-2 * np.pi * poles_hz / SAMPLE_RATE)
    zero = np.exp(-2 * np.pi * np.minimum(zeros_hz, 20_000.0) / SAMPLE_RATE)
    sections = filters.zpk2sos(zero, pole, 1.0)
    hertz = np.linspace(20, 0.5 * SAMPLE_RATE, 4096)
    power = np.mean(np.abs(filters.freqz_sos(sections, hertz, fs=SAMPLE_RATE)[1]) ** 2)
    return sections, float(np.sqrt(power))


def curve(points: Sequence[float], samples: int) -> Array:
    """Return a smooth curve [N] through points at equal distances (raised-cosine between them)."""
    at = np.minimum(control_points(samples) / max(samples - 1, 1), 1.0) * (len(points) - 1)
    left = np.minimum(at.astype(int), len(points) - 2)
    x = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    values = np.asarray(points, dtype=np.float64)
    return upsampled(values[left] * (1 - x) + values[left + 1] * x, samples)
