"""Throats: voiced calls with formants, and the laying of one-shot events one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audiostory_core.engines.foley.sound import Samples, Shape, Sound
from audiostory_core.engines.foley.synthesis.dsp import Array, fade, glide, place, seconds, white
from audiostory_core.engines.foley.synthesis.texture import (
    control_points,
    curve,
    ring,
    slow_noise,
    upsampled,
)
from audiostory_core.story.plan import SAMPLE_RATE

Call = Callable[[np.random.Generator, float, Shape], Array]


@dataclass(frozen=True)
class Formant:
    """A resonance of a throat or muzzle; `hertz` may glide over the call.

    Attributes:
        hertz: center, or the points it passes through at equal distances over the call.
        width_hz: bandwidth at half power.
        gain: linear.
    """

    hertz: float | Sequence[float]
    width_hz: float
    gain: float = 1.0


def voiced(
    hertz: Array, formants: Sequence[Formant], tilt_db: float = -6.0, harmonics: int = 40
) -> Array:
    """Return a sung or called tone: harmonics of a moving pitch under moving formants, [N].

    Args:
        hertz: pitch per sample, [N].
        formants: resonances; they are added up.
        tilt_db: slope of the source per octave above the first harmonic.
        harmonics: most harmonics made; none above 18 kHz.
    """
    samples = hertz.size
    gains = _harmonic_gains(hertz, formants, tilt_db, harmonics)
    theta = glide(hertz)
    doubled = 2 * np.cos(theta)
    before, now = np.zeros(samples), np.sin(theta)
    tone = np.zeros(samples)
    for gain in gains:
        tone += upsampled(gain, samples) * now
        before *= -1.0  # sin((k + 1) θ) by Chebyshev's recurrence, in place
        before += doubled * now
        before, now = now, before
    return tone


def _harmonic_gains(
    hertz: Array, formants: Sequence[Formant], tilt_db: float, harmonics: int
) -> Array:
    """Return the gain of each harmonic at the control points, [K, M], inaudible ones left out."""
    control = np.minimum(control_points(hertz.size), hertz.size - 1).astype(int)
    order = np.arange(1, harmonics + 1)[:, None]
    partials = order * hertz[control]
    gains = np.zeros(partials.shape)
    for formant in formants:
        center = _center(formant, hertz.size)[control]
        gains += formant.gain / (1 + ((partials - center) / (0.5 * formant.width_hz)) ** 2)
    gains = np.where(partials < 18_000, gains * order ** (tilt_db / 6.0206), 0.0)
    loudest = gains.max(axis=1)
    return gains[: np.flatnonzero(loudest > 2e-3 * loudest.max())[-1] + 1]


def series(sound: Sound, events: Sequence[Array], gaps_s: Sequence[float]) -> Samples:
    """Lay one-shot events one after another, [N], trimmed and at most `sound.samples` long.

    Args:
        sound: what to make.
        events: waveforms in order.
        gaps_s: silence after each event but the last; shortened where the sound would not fit.
    """
    total = sum(event.size for event in events)
    silence = seconds(float(sum(gaps_s[: len(events) - 1])))
    room = sound.samples - total
    squeeze = min(1.0, max(room / silence, 0.25)) if silence else 1.0
    canvas = np.zeros(total + round(silence * squeeze) + len(events))
    at = 0
    for event, gap_s in zip(events, gaps_s, strict=True):
        place(canvas, event, at)
        at += event.size + round(seconds(gap_s) * squeeze)
    return trimmed(canvas, sound.samples)


def trimmed(waveform: Array, longest: int, floor_db: float = -60.0) -> Samples:
    """Return a waveform [N] without the silence at its ends, cut to `longest` with a soft end."""
    loud = np.flatnonzero(np.abs(waveform) > np.abs(waveform).max() * 10 ** (floor_db / 20))
    kept = waveform[loud[0] : loud[-1] + 1] if loud.size else waveform
    cut = kept[:longest]
    return fade(cut, 0.001, 0.05 if cut.size < kept.size else 0.005)


def pitch_scale(shape: Shape) -> float:
    """Return the factor on every frequency of a body: the smaller it is, the higher it sounds."""
    return float(2 ** (-0.5 * shape.size))


def calls(
    make: Call, habit: int, gap_s: tuple[float, float], spread: float = 0.12
) -> Callable[[Sound], Samples]:
    """Return a render function for one animal that calls `Shape.count` times.

    Args:
        make: makes one call from (chance, scale of pitch of this individual, shape).
        habit: calls where the text names no number.
        gap_s: shortest and longest silence between two calls at pace 1.
        spread: standard deviation in octaves of pitch between individuals.
    """

    def render(sound: Sound) -> Samples:
        shape, rng = sound.shape, sound.texture
        scale = pitch_scale(shape) * float(2 ** (spread * np.clip(sound.constants.normal(), -2, 2)))
        count = shape.count or habit
        events = [make(rng, scale, shape) for _ in range(count)]
        return series(sound, events, (rng.uniform(*gap_s, count) / shape.pace).tolist())

    return render


def rough(rng: np.random.Generator, hertz: Array, depth: float, rate_hz: float) -> Array:
    """Return a pitch curve [N] with the jitter of a strained throat."""
    return hertz * np.exp(depth * slow_noise(rng, hertz.size, rate_hz))


def breath(rng: np.random.Generator, samples: int, formants: Sequence[Formant]) -> Array:
    """Return noise through the middle of each formant, [N], about as loud as `voiced`."""
    noise = white(rng, samples)
    shaped = np.zeros(samples)
    for formant in formants:
        middle = float(np.mean(formant.hertz))
        decay_s = 2.2 / formant.width_hz
        radius = 10 ** (-3 / (decay_s * SAMPLE_RATE))
        gain = 0.5 * formant.gain * np.sqrt(2 * (1 - radius**2))
        shaped += gain * ring(noise, middle, decay_s)
    return shaped


def _center(formant: Formant, samples: int) -> Array:
    if isinstance(formant.hertz, Sequence):
        return curve(formant.hertz, samples)
    return np.full(samples, formant.hertz)
