"""Single notes of instruments, dry and mono, about as loud as each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    colored,
    decay,
    highpass,
    lowpass,
    seconds,
    times,
)
from audiostory_core.story.plan import SAMPLE_RATE

TABLE = 16_384  # points of a period; a power of two
HIGHEST_HZ = 15_000.0
BLOCK = 512  # samples; partials are made as products of a coarse and a fine power

Tone = Callable[[float, int, float, np.random.Generator], Array]
"""Makes a note from its pitch in Hz, the samples it is held, its velocity 0 … 1 and chance."""


def hertz_of(midi: float) -> float:
    """Return the frequency of a MIDI note in equal temperament at A = 440 Hz."""
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


def ringing(hertz: Array, decay_s: Array, gains: Array, samples: int) -> Array:
    """Sum decaying sines, [samples]; `decay_s` is time to -60 dB."""
    tone = np.zeros(samples)
    for f, d, gain in zip(hertz, decay_s, gains, strict=True):
        if f >= HIGHEST_HZ or abs(gain) < 1e-5:
            continue
        blocks = min(-(-samples // BLOCK), int(1.1 * d * SAMPLE_RATE / BLOCK) + 1)
        exponent = complex(-6.9078 / (d * SAMPLE_RATE), 2 * np.pi * f / SAMPLE_RATE)
        coarse = np.exp(exponent * BLOCK * np.arange(blocks))[:, None]
        fine = gain * np.exp(exponent * np.arange(BLOCK))[None, :]
        partial = (coarse.real * fine.imag + coarse.imag * fine.real).ravel()[:samples]
        tone[: partial.size] += partial
    return tone


@dataclass(frozen=True)
class Struck:
    """A string, bar, tine or tube that is struck or plucked and then left to ring.

    Attributes:
        ratios: of the partials to the pitch.
        gains: of the partials.
        decay_s: of the lowest partial at 220 Hz, to -60 dB.
        damping: how much faster high partials fall than low ones.
        rise: how much faster high notes fall than low ones, 0 … 1.
        knock: level of the noise of the strike.
        knock_hz: its upper edge.
        is_damped: stops when it is no longer held; else it rings on.
    """

    ratios: tuple[float, ...]
    gains: tuple[float, ...]
    decay_s: float
    damping: float
    rise: float = 0.5
    knock: float = 0.1
    knock_hz: float = 2000.0
    is_damped: bool = False

    def __call__(self, hertz: float, hold: int, velocity: float, rng: np.random.Generator) -> Array:
        """Make a note."""
        checkpoint()
        ratios = np.array(self.ratios)
        lasts_s = self.decay_s * (220.0 / hertz) ** self.rise
        decays_s = np.maximum(lasts_s / (1 + self.damping * (ratios - 1)), 0.01)
        gains = np.array(self.gains) * ratios ** (0.8 * (velocity - 0.8))
        samples = min(seconds(lasts_s), hold + seconds(1.5) if self.is_damped else seconds(6.0))
        tone = ringing(hertz * ratios, decays_s, gains, samples) / np.sqrt(np.sum(gains**2))
        knock = lowpass(rng.standard_normal(seconds(0.05)), self.knock_hz)
        knock *= decay(knock.size, 0.04) * self.knock
        tone[: knock.size] += knock[:samples]
        if self.is_damped and hold < samples:
            tone[hold:] *= np.exp(-times(samples - hold) / 0.08)
        tone[: seconds(0.0015)] *= np.linspace(0.0, 1.0, seconds(0.0015))
        end = min(samples, seconds(0.02))
        tone[samples - end :] *= np.linspace(1.0, 0.0, end)
        return velocity * tone


@dataclass(frozen=True)
class Blown:
    """Something that sounds as long as it is held: bowed, blown, sung, electric.

    Attributes:
        slope_db: fall of the harmonics per octave.
        formants: (Hz, width in Hz, gain) of the body or the vocal tract.
        floor: what the body lets through between the formants.
        attack_s, release_s: raised cosines.
        vibrato_hz, vibrato_cents: sets in after a quarter of a second.
        tremolo: depth of the swelling in step with the vibrato, 0 … 1.
        breath: level of noise against the tone, between `breath_hz`.
        detune_cents: of the voices that play together; one entry each.
        even: gain of the even harmonics; 0 is a clarinet.
        opening: how much duller the beginning is than the rest, 0 … 1.
        scoop_cents: how far below its pitch a note starts.
    """

    slope_db: float
    formants: tuple[tuple[float, float, float], ...] = ()
    floor: float = 1.0
    attack_s: float = 0.05
    release_s: float = 0.08
    vibrato_hz: float = 5.5
    vibrato_cents: float = 0.0
    tremolo: float = 0.0
    breath: float = 0.0
    breath_hz: tuple[float, float] = (1000.0, 6000.0)
    detune_cents: tuple[float, ...] = (0.0,)
    even: float = 1.0
    opening: float = 0.0
    scoop_cents: float = 0.0
    drawbars: tuple[float, ...] = ()  # gains of the first harmonics in place of the slope

    def __call__(self, hertz: float, hold: int, velocity: float, rng: np.random.Generator) -> Array:
        """Make a note."""
        checkpoint()
        samples = hold + seconds(self.release_s)
        t = times(samples)
        wobble = np.minimum(1.0, np.maximum(0.0, 4 * t - 0.4)) * np.sin(
            2 * np.pi * self.vibrato_hz * t
        )
        bright = self._table(hertz, self.slope_db + 6 * (velocity - 0.8))
        tone = np.zeros(samples)
        for voice, cents in enumerate(self.detune_cents):
            checkpoint()
            bent = cents + self.vibrato_cents * (wobble if voice == 0 else np.roll(wobble, -voice))
            if self.scoop_cents:
                bent = bent - self.scoop_cents * np.exp(-t / 0.04)
            cycles = np.cumsum(hertz * 2 ** (bent / 1200)) / SAMPLE_RATE + rng.random()
            points = (cycles * TABLE).astype(np.int64) & (TABLE - 1)
            tone += bright[points]
            if self.opening:
                dull = self._table(hertz, self.slope_db - 12.0)
                shut = self.opening * np.exp(-t / (1.5 * self.attack_s))
                tone += shut * (dull[points] - bright[points])
        tone /= np.sqrt(len(self.detune_cents))
        if self.breath:
            noise = bandpass(rng.standard_normal(samples), *self.breath_hz)
            tone += self.breath * noise / max(float(np.std(noise)), 1e-9)
        return velocity * tone * self._envelope(samples, hold) * (1 + self.tremolo * wobble)

    def _table(self, hertz: float, slope_db: float) -> Array:
        """Return one period of unit power."""
        count = max(1, min(int(HIGHEST_HZ / hertz), TABLE // 4))
        harmonic = np.arange(1, count + 1)
        gains = harmonic ** (slope_db / 6.0206)
        if self.drawbars:
            gains = np.zeros(count)
            gains[: len(self.drawbars)] = self.drawbars[:count]
        gains[1::2] *= self.even
        body = np.full(count, self.floor)
        for center_hz, width_hz, gain in self.formants:
            body += gain / (1 + ((harmonic * hertz - center_hz) / (width_hz / 2)) ** 2)
        spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
        # Schroeder's phases keep the peaks of a bright wave low.
        phases = -np.pi * harmonic * (harmonic - 1) / count
        spectrum[1 : count + 1] = gains * body * np.exp(1j * phases)
        period = np.fft.irfft(spectrum, TABLE)
        return period / np.std(period)

    def _envelope(self, samples: int, hold: int) -> Array:
        envelope = np.ones(samples)
        attack = min(seconds(self.attack_s), hold)
        envelope[:attack] = 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / max(attack, 1))
        release = samples - hold
        envelope[hold:] = 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / max(release, 1))
        return envelope


@dataclass(frozen=True)
class Swept:
    """A synthesizer's saw through a filter that closes after each attack."""

    decay_s: float = 0.25

    def __call__(self, hertz: float, hold: int, velocity: float, rng: np.random.Generator) -> Array:
        """Make a note."""
        checkpoint()
        shape = Blown(-6.0, attack_s=0.004, release_s=0.05, detune_cents=(-9.0, 0.0, 9.0))
        bright = shape(hertz, hold, velocity, rng)
        t = times(bright.size)
        openness = np.exp(-t / self.decay_s)
        return lowpass(bright, 2.5 * hertz) + openness * highpass(bright, 2.5 * hertz)


def harmonics(
    count: int, slope_db: float, pluck: float = 0.0, stiffness: float = 0.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ratios and gains of a string's partials.

    Args:
        count: of partials.
        slope_db: fall per octave.
        pluck: where along the string it is struck, as a share of it; 0 is everywhere.
        stiffness: inharmonicity B in f_k = k·f·√(1 + B·k²).
    """
    k = np.arange(1, count + 1)
    gains = k ** (slope_db / 6.0206)
    if pluck:
        gains = gains * np.abs(np.sin(np.pi * k * pluck))
    return tuple(map(float, k * np.sqrt(1 + stiffness * k**2))), tuple(map(float, gains))


def bars(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ratios and gains from (ratio, gain) pairs."""
    return tuple(ratio for ratio, _ in pairs), tuple(gain for _, gain in pairs)


def kick(rng: np.random.Generator) -> Array:
    """Return a bass drum."""
    t = times(seconds(0.35))
    falling = np.cumsum(48.0 + 110.0 * np.exp(-t / 0.025)) / SAMPLE_RATE
    click = highpass(rng.standard_normal(t.size), 1500.0) * decay(t.size, 0.02)
    return np.sin(2 * np.pi * falling) * decay(t.size, 0.32) + 0.15 * click


def snare(rng: np.random.Generator) -> Array:
    """Return a snare drum."""
    samples = seconds(0.28)
    shell = ringing(np.array([186.0, 332.0]), np.array([0.18, 0.14]), np.array([0.7, 0.4]), samples)
    wires = bandpass(rng.standard_normal(samples), 900.0, 9000.0) * decay(samples, 0.24)
    return shell + 0.9 * wires


def hat(rng: np.random.Generator, lasts_s: float = 0.07) -> Array:
    """Return a hi-hat."""
    samples = seconds(1.3 * lasts_s)
    return 0.5 * highpass(rng.standard_normal(samples), 7000.0) * decay(samples, lasts_s)


def tom(rng: np.random.Generator, hertz: float) -> Array:
    """Return a tom-tom or a hand drum."""
    t = times(seconds(0.7))
    falling = np.cumsum(hertz * (1 + 0.35 * np.exp(-t / 0.05))) / SAMPLE_RATE
    skin = colored(rng, t.size, -3.0) * decay(t.size, 0.05)
    return np.sin(2 * np.pi * falling) * decay(t.size, 0.6) + 0.1 * skin
