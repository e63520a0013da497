"""Building blocks of procedural sound; all arrays are float64 at 44.1 kHz.

No BLAS here (`dot`, `@`): its threads would make the last bits depend on the machine's load.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio import filters
from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.story.plan import SAMPLE_RATE

Array = NDArray[np.float64]
Real = NDArray[np.float64] | NDArray[np.float32]
AT_ONCE = 1 << 21  # samples between two checkpoints: some 20 ms of a filter's work
F = TypeVar("F", np.float32, np.float64)


def seconds(duration_s: float) -> int:
    """Return a duration as samples."""
    return round(duration_s * SAMPLE_RATE)


def parts(samples: int) -> Iterator[slice]:
    """Yield the slices of a long waveform that are computed at a time, a checkpoint before each."""
    for first in range(0, samples, AT_ONCE):
        checkpoint()
        yield slice(first, min(first + AT_ONCE, samples))


def times(samples: int, start: int = 0) -> Array:
    """Return the time of each sample in seconds, [N], counted from absolute sample 0."""
    return (np.arange(samples) + float(start)) / SAMPLE_RATE


def white(rng: np.random.Generator, samples: int) -> Array:
    """Return Gaussian white noise of unit variance, [N]."""
    noise = np.empty(samples)
    for part in parts(samples):
        rng.standard_normal(out=noise[part])
    return noise


def colored(rng: np.random.Generator, samples: int, slope_db: float) -> Array:
    """Return Gaussian noise of unit variance with a spectrum of `slope_db` per octave.

    -3 is pink, -6 is brown; flat below 20 Hz.
    """
    checkpoint()
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0)
    shaped = np.fft.irfft(spectrum * hertz ** (slope_db / 6.0206), samples)
    return shaped / max(float(np.std(shaped)), 1e-12)


def _filtered(sos: Array, waveform: Real) -> Array:
    if waveform.shape[-1] <= AT_ONCE:
        checkpoint()
        return filters.sosfilt(sos, waveform)
    filtered = np.empty(waveform.shape)
    state = np.zeros((len(sos), *waveform.shape[:-1], 2))
    for part in parts(waveform.shape[-1]):
        filtered[..., part], state = filters.sosfilt(sos, waveform[..., part], zi=state)
    return filtered


@lru_cache(maxsize=256)
def _butterworth(
    order: int, hertz: float | tuple[float, float], shape: Literal["low", "high", "band"]
) -> Array:
    """Design a filter; the blocks of a bed all ask for the same ones, so that it pays to keep them.

    Returns:
        Second-order sections that nobody writes to; scipy takes no read-only ones.
    """
    sections: Array = filters.butter(order, hertz, shape, fs=SAMPLE_RATE, output="sos")
    return sections


def lowpass(waveform: Real, hertz: float, order: int = 2) -> Array:
    """Filter the last axis by a Butterworth low-pass."""
    return _filtered(_butterworth(order, min(hertz, 0.49 * SAMPLE_RATE), "low"), waveform)


def highpass(waveform: Array, hertz: float, order: int = 2) -> Array:
    """Filter the last axis by a Butterworth high-pass."""
    return _filtered(_butterworth(order, hertz, "high"), waveform)


def bandpass(waveform: Array, low_hz: float, high_hz: float, order: int = 2) -> Array:
    """Filter the last axis by a Butterworth band-pass."""
    high_hz = min(high_hz, 0.49 * SAMPLE_RATE)
    return _filtered(_butterworth(order, (low_hz, high_hz), "band"), waveform)


def resonator(waveform: Array, hertz: float, decay_s: float) -> Array:
    """Ring a two-pole resonator that falls by 60 dB in `decay_s`; unit gain at its peak."""
    checkpoint()
    radius = 10 ** (-3 / (decay_s * SAMPLE_RATE))
    angle = 2 * np.pi * hertz / SAMPLE_RATE
    gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    return filters.lfilter([gain], [1, -2 * radius * np.cos(angle), radius**2], waveform)


def modes(samples: int, hertz: Array, decay_s: Array, gains: Array, phases: Array) -> Array:
    """Sum decaying sines: struck wood, metal, glass, bells. `decay_s` is time to -60 dB, [N]."""
    t = times(samples)
    ringing = np.zeros(samples)
    for f, d, g, p in zip(hertz, decay_s, gains, phases, strict=True):
        if f < 0.49 * SAMPLE_RATE:
            n = min(samples, seconds(1.2 * d) + 1)
            ringing[:n] += g * np.exp(-6.9078 * t[:n] / d) * np.sin(2 * np.pi * f * t[:n] + p)
    return ringing


def glide(hertz: Array, phase: float = 0.0) -> Array:
    """Return the phase in radians of an oscillator whose frequency in Hz is given per sample."""
    checkpoint()
    return phase + 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE


def wander(rng: np.random.Generator, samples: int, rate_hz: float) -> Array:
    """Return a smooth random walk around 0 with unit variance that moves about `rate_hz`."""
    checkpoint()
    knots = max(4, int(samples / SAMPLE_RATE * rate_hz * 2) + 4)
    points = rng.standard_normal(knots)
    at = np.linspace(0, knots - 3.001, samples)
    left = at.astype(int)
    x = at - left
    a, b, c, d = (points[left + k] for k in range(4))
    return 0.5 * (
        2 * b + (c - a) * x + (2 * a - 5 * b + 4 * c - d) * x**2 + (3 * (b - c) + d - a) * x**3
    )


def decay(samples: int, decay_s: float, attack_s: float = 0.001) -> Array:
    """Return an envelope that rises in `attack_s` and then falls by 60 dB in `decay_s`, [N]."""
    t = times(samples)
    return np.minimum(1.0, t / max(attack_s, 1 / SAMPLE_RATE)) * np.exp(
        -6.9078 * np.maximum(0.0, t - attack_s) / decay_s
    )


def fade(waveform: NDArray[F], in_s: float, out_s: float) -> NDArray[F]:
    """Return a copy of the waveform with raised-cosine ends."""
    faded = np.empty_like(waveform)
    length = faded.shape[-1]
    for part in parts(length):
        faded[..., part] = waveform[..., part]
    head, tail = min(seconds(in_s), length), min(seconds(out_s), length)
    if head:
        faded[..., :head] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(head) + 0.5) / head)
    if tail:
        faded[..., length - tail :] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(tail) + 0.5) / tail)
    return faded


def place(canvas: Array, waveform: Array, at: int, gain: float = 1.0) -> None:
    """Add a waveform to the canvas at a sample, in place; what lies outside is left out."""
    first, last = max(at, 0), min(at + waveform.shape[-1], canvas.shape[-1])
    if first < last:
        canvas[..., first:last] += gain * waveform[..., first - at : last - at]


def strikes(
    rng: np.random.Generator, samples: int, rate_hz: float, regularity: float = 0.0
) -> NDArray[np.int64]:
    """Return the sample positions of events at a mean rate.

    Args:
        rng: source of chance.
        samples: length of the stretch.
        rate_hz: mean events a second.
        regularity: 0 is a Poisson process, 1 is a metronome.
    """
    checkpoint()
    count = int(samples / SAMPLE_RATE * rate_hz * 2) + 8
    gaps = regularity + (1 - regularity) * rng.exponential(1.0, count)
    at = np.cumsum(gaps / rate_hz) - rng.random() / rate_hz
    positions = np.round(at * SAMPLE_RATE).astype(np.int64)
    return positions[(positions >= 0) & (positions < samples)]


def loudest_rms(waveform: Real, window_s: float = 0.4) -> float:
    """Return the RMS of the loudest window, the channels' powers added.

    A waveform shorter than the window counts as padded with silence.
    """
    checkpoint()
    power = np.square(waveform) if waveform.ndim == 1 else np.sum(np.square(waveform), axis=0)
    window = seconds(window_s)
    hop = window // 4
    sums = np.pad(np.add.reduceat(power, np.arange(0, power.size, hop)), 3)
    windows = sums[:-3] + sums[1:-2] + sums[2:-1] + sums[3:]
    return float(np.sqrt(windows.max() / (4 * hop)))
