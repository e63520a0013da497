"""Sound sources that kinds of sound share: periodic waves, struck bodies, grains, slow curves.

What takes `start` is a function of absolute time, so that adjacent blocks of a bed line up.
"""

from collections.abc import Callable, Sequence

import numpy as np

from audiostory_core.audio import filters
from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.sound import Sound
from audiostory_core.engines.foley.synthesis.dsp import Array, bandpass, place, seconds
from audiostory_core.engines.foley.synthesis.matter import ring
from audiostory_core.engines.foley.synthesis.texture import upsampled
from audiostory_core.story.plan import SAMPLE_RATE

CONTROL = 256  # samples between two values of a slow curve
SETTLING = 8192  # samples that a filter gets before what it makes is heard
TABLE = 32_768  # points of a period; a power of two
DIRECT_LIMIT = 3_000_000  # additions above which grains are convolved instead of added


def slow(samples: int, start: int, curve: Callable[[Array], Array]) -> Array:
    """Sample a slow function of absolute time in seconds, [..., samples].

    The function is evaluated every `CONTROL` samples at multiples of it, whatever `start` is.
    """
    first = start // CONTROL
    knots = np.arange(first, (start + samples) // CONTROL + 2)
    skipped = start - first * CONTROL
    points = curve(knots * CONTROL / SAMPLE_RATE)
    return upsampled(points, skipped + samples, CONTROL)[..., skipped:]


def jitter(rng: np.random.Generator, samples: int, rate_hz: float) -> Array:
    """Return restless noise of about unit variance that takes a new value `rate_hz` times a second.

    Not for what must line up between blocks; `texture.drift` is.
    """
    step = max(1, round(SAMPLE_RATE / rate_hz))
    return upsampled(rng.standard_normal(samples // step + 2), samples, step)


def hiss(
    rng: np.random.Generator, samples: int, low_hz: float, high_hz: float, order: int = 1
) -> Array:
    """Return band-passed noise of about unit variance that is steady from its first sample on."""
    checkpoint()
    noise = rng.standard_normal(samples + SETTLING)
    gain = np.sqrt(0.5 * SAMPLE_RATE / (min(high_hz, 0.49 * SAMPLE_RATE) - low_hz))
    return gain * bandpass(noise, low_hz, high_hz, order)[SETTLING:]


def wavetable(gains: Sequence[float] | Array, phases: Array | None = None) -> Array:
    """Return one period of a sum of harmonics, the first entry of `gains` being the fundamental."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    offsets = np.zeros(len(gains)) if phases is None else phases
    spectrum[1 : len(gains) + 1] = -0.5j * TABLE * np.asarray(gains) * np.exp(1j * offsets)
    return np.asarray(np.fft.irfft(spectrum, TABLE), dtype=np.float64)


def play(table: Array, cycles: Array) -> Array:
    """Read a period of `TABLE` points at a phase counted in cycles, [N].

    The nearest point is taken: with a table this long the error of a fundamental is at -85 dB.
    """
    checkpoint()
    return table.take((cycles * TABLE).astype(np.int64) & (TABLE - 1))


def turns(hertz: Array, first: float = 0.0) -> Array:
    """Return the phase in cycles of an oscillator whose frequency is given per sample."""
    checkpoint()
    return first + np.cumsum(hertz) / SAMPLE_RATE


def crossings(cycles: Array) -> Array:
    """Return the samples at which a rising phase passes a whole number of cycles."""
    return (np.flatnonzero(np.diff(np.floor(cycles))) + 1).astype(np.float64)


def click(
    rng: np.random.Generator, decay_s: float, low_hz: float, high_hz: float, order: int = 1
) -> Array:
    """Return a burst of band-passed noise that falls by 60 dB in `decay_s`, peak 1."""
    length = seconds(decay_s) + 32
    burst = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / seconds(decay_s))
    burst = bandpass(burst, low_hz, high_hz, order)
    return burst / max(float(np.max(np.abs(burst))), 1e-12)


def struck(
    rng: np.random.Generator,
    hertz: Sequence[float] | Array,
    decay_s: Sequence[float] | Array,
    spread: float = 0.02,
) -> Array:
    """Return a struck body: decaying modes, the lower the louder, each a little off; peak 1.

    `hertz` and `decay_s` (to -60 dB) have one entry per mode, the lowest first.
    """
    f = np.asarray(hertz) * (1 + spread * rng.standard_normal(len(hertz)))
    d = np.asarray(decay_s) * rng.uniform(0.8, 1.25, len(decay_s))
    gains = rng.uniform(0.5, 1.0, len(f)) * (f[0] / f) ** 0.4
    body = ring(seconds(1.1 * float(np.max(d))), f, d, gains, np.zeros(len(f)))
    return body / max(float(np.max(np.abs(body))), 1e-12)


def scatter(samples: int, at: Array, gains: Array, grain: Array) -> Array:
    """Add a grain at each of many places, which may lie before the block, [samples]."""
    heard = (at > -len(grain)) & (at < samples)
    positions, gains = np.round(at[heard]).astype(np.int64), gains[heard]
    canvas = np.zeros(samples)
    if len(positions) * len(grain) < DIRECT_LIMIT:
        for position, gain in zip(positions, gains, strict=True):
            place(canvas, grain, int(position), float(gain))
        return canvas
    sparse = np.zeros(samples + len(grain))
    np.add.at(sparse, positions + len(grain), gains)
    return filters.oaconvolve(sparse, grain)[len(grain) : len(grain) + samples]


def ticking(sound: Sound, period_s: float, offset_s: float, grain: Array, accents: Array) -> Array:
    """Repeat a grain regularly in absolute time, [N], so that blocks of it line up.

    Args:
        sound: the block.
        period_s: from one grain to the next.
        offset_s: absolute time of grain 0.
        grain: what repeats; it may ring on into the next block.
        accents: grain n has the gain `accents[n % len(accents)]`.
    """
    began_s = (sound.start - len(grain)) / SAMPLE_RATE
    ends_s = (sound.start + sound.samples) / SAMPLE_RATE
    first, last = (int(np.ceil((s - offset_s) / period_s)) for s in (began_s, ends_s))
    at = (offset_s + period_s * np.arange(first, last, dtype=np.float64)) * SAMPLE_RATE
    return scatter(
        sound.samples, at - sound.start, accents[np.arange(first, last) % len(accents)], grain
    )


def switched(
    rng: np.random.Generator,
    samples: int,
    on_s: tuple[float, float],
    off_s: tuple[float, float],
    inertia_s: tuple[float, float],
) -> Array:
    """Return how fast a thing turns that is switched on and off again and again, 0 … 1, [N].

    Args:
        rng: source of chance.
        samples: length; it starts switched on.
        on_s: shortest and longest time on.
        off_s: shortest and longest time off.
        inertia_s: time constants of speeding up and of running down.
    """
    step_s = CONTROL / SAMPLE_RATE
    wanted: list[float] = []
    while len(wanted) * CONTROL < samples + 2 * CONTROL:
        wanted += [1.0] * (1 + round(rng.uniform(*on_s) / step_s))
        wanted += [0.0] * (1 + round(rng.uniform(*off_s) / step_s))
    faster, slower = (1 - np.exp(-step_s / time_s) for time_s in inertia_s)
    speed, now = np.zeros(samples // CONTROL + 2), 0.0
    for index in range(len(speed)):
        now += (wanted[index] - now) * float(faster if wanted[index] > now else slower)
        speed[index] = now
    return upsampled(speed, samples, CONTROL)


def resonant(waveform: Array, peaks: Sequence[tuple[float, float, float]], direct: float) -> Array:
    """Add resonances to a waveform: (frequency in Hz, quality, gain at the peak) each."""
    colored = direct * waveform
    for hertz, quality, gain in peaks:
        numerator, denominator = filters.iirpeak(hertz, quality, fs=SAMPLE_RATE)
        colored += gain * filters.lfilter(numerator, denominator, waveform)
    return colored
