"""Simple features of a sound, and how well they tell kinds of sound apart.

The features know level only up to scale: every figure is relative to the sound's own power.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audiostory_core.story.plan import SAMPLE_RATE

Array = NDArray[np.float64]

FRAME = 1024
HOP = 512
ENVELOPE_HOP = 441  # 10 ms
BAND_EDGES_HZ = np.geomspace(50.0, 20_000.0, 17)
MODULATION_EDGES_HZ = (0.08, 0.3, 0.8, 2.0, 4.0, 8.0, 14.0, 25.0, 50.0)
FLOOR_DB = -70.0
SHORTEST = SAMPLE_RATE // 2


def features(waveform: Array) -> Array:
    """Return about 60 measures of a waveform [N] or [C, N]; stereo is mixed to mono first.

    Log band energies (mean and spread over time), centroid, flatness, roll-off, zero crossings,
    periodicity and pitch, onset rate, envelope modulation, impulsiveness and length.

    Raises:
        ValueError: if the waveform is silent.
    """
    mono = np.asarray(waveform, dtype=np.float64)
    if not mono.any():
        raise ValueError("a silent waveform has no features")
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    length_s = mono.size / SAMPLE_RATE
    if mono.size < SHORTEST:
        mono = np.pad(mono, (0, SHORTEST - mono.size))
    mono = mono / max(float(np.sqrt(np.mean(mono**2))), 1e-12)
    envelope = envelope_of(mono)
    measures = np.concatenate(
        [
            _spectral(mono),
            _periodicity(mono),
            _temporal(envelope),
            [_impulsiveness(mono), np.log2(max(length_s, 0.05))],
        ]
    )
    assert np.isfinite(measures).all()
    return measures


def leave_one_out(samples: Array, labels: list[str] | NDArray[np.str_]) -> float:
    """Return the share of rows whose nearest other row carries the same label.

    Args:
        samples: [rows, features], one sound each; standardized here.
        labels: the kind of each row.
    """
    names = np.asarray(labels)
    return float(np.mean(names[nearest(samples)] == names))


def nearest(samples: Array) -> NDArray[np.int64]:
    """Return for each row of [rows, features] the index of the nearest other row."""
    spread = samples.std(axis=0)
    scaled = (samples - samples.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    distance = np.empty((len(scaled), len(scaled)))
    for row, point in enumerate(scaled):
        distance[row] = ((scaled - point) ** 2).sum(axis=1)
    np.fill_diagonal(distance, np.inf)
    return distance.argmin(axis=1)


def envelope_of(mono: Array) -> Array:
    """Return the RMS of successive 10 ms of a mono waveform."""
    frames = mono[: mono.size // ENVELOPE_HOP * ENVELOPE_HOP].reshape(-1, ENVELOPE_HOP)
    return np.sqrt(np.mean(frames**2, axis=1))


def onsets(mono: Array, rise_db: float = 9.0, apart_s: float = 0.08) -> NDArray[np.int64]:
    """Return the 10 ms frames where the level rises by `rise_db` within 60 ms and is audible.

    Args:
        mono: [N] waveform.
        rise_db: least rise over the quietest of the six frames before.
        apart_s: onsets nearer than this to the one before belong to it.
    """
    level = 20 * np.log10(np.maximum(envelope_of(mono), 1e-9))
    level = np.maximum(level, level.max() - 45.0)
    padded = np.concatenate([np.full(6, level.min()), level])
    before = np.lib.stride_tricks.sliding_window_view(padded, 6)[: level.size].min(axis=1)
    rising = np.flatnonzero((level - before >= rise_db) & (level > level.max() - 24.0))
    kept: list[int] = []
    latest = -np.inf
    for frame in rising:
        if (frame - latest) * ENVELOPE_HOP / SAMPLE_RATE >= apart_s:
            kept.append(int(frame))
        latest = frame
    return np.asarray(kept, dtype=np.int64)


def spectrum_of(mono: Array) -> tuple[Array, Array]:
    """Return (hertz [F], mean power [F]) of a mono waveform by Welch's method."""
    hertz, power = signal.welch(mono, SAMPLE_RATE, nperseg=min(4096, mono.size))
    return hertz, power


def flatness(mono: Array, low_hz: float, high_hz: float) -> float:
    """Return geometric over arithmetic mean of the power between two frequencies, 0 … 1."""
    hertz, power = spectrum_of(mono)
    inside = power[(hertz >= low_hz) & (hertz < high_hz)] + 1e-20
    return float(np.exp(np.mean(np.log(inside))) / np.mean(inside))


def centroid_hz(mono: Array) -> float:
    """Return the power-weighted mean frequency of a mono waveform."""
    hertz, power = spectrum_of(mono)
    return float((hertz * power).sum() / power.sum())


def _spectral(mono: Array) -> Array:
    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    hertz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    bins = np.searchsorted(hertz, BAND_EDGES_HZ)
    # The lowest bands are narrower than a bin: each takes at least one.
    bins = np.maximum.accumulate(np.maximum(bins, np.arange(bins.size) + 1))
    bands = np.add.reduceat(power, bins, axis=1)[:, : BAND_EDGES_HZ.size - 1]
    whole = power.sum(axis=1)
    loud = whole > whole.max() * 1e-5
    mean_db = 10 * np.log10(bands.mean(axis=0) / whole.mean() + 10 ** (FLOOR_DB / 10))
    frame_db = 10 * np.log10(bands / whole.max() + 10 ** (FLOOR_DB / 10))
    centroid = np.log2((power[loud] * hertz).sum(axis=1) / whole[loud] + 20.0)
    kept = power[loud][:, 2:] + 1e-12
    flat = np.mean(np.log(kept), axis=1) - np.log(np.mean(kept, axis=1))
    mean_power = power.mean(axis=0)
    roll = np.searchsorted(np.cumsum(mean_power) / mean_power.sum(), (0.25, 0.5, 0.85))
    crossings = np.mean(np.diff(np.signbit(frames), axis=1), axis=1)
    shape = [
        centroid.mean(),
        centroid.std(),
        flat.mean(),
        flat.std(),
        *np.log2(hertz[np.maximum(roll, 1)]),
        np.log2(crossings[loud].mean() + 1e-3),
        crossings[loud].std(),
        np.log2(hertz[1 + int(mean_power[1:].argmax())]),
    ]
    return np.concatenate([mean_db, frame_db.std(axis=0), shape])


def _periodicity(mono: Array) -> Array:
    size = 2048
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[::size]
    energy = (frames**2).sum(axis=1)
    frames = frames[energy > energy.max() * 1e-3]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size), 2 * size, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum, axis=1)
    correlation = correlation / np.maximum(correlation[:, :1], 1e-12)
    shortest, longest = SAMPLE_RATE // 2500, SAMPLE_RATE // 60
    window = correlation[:, shortest:longest]
    strength = window.max(axis=1)
    pitch = np.log2(SAMPLE_RATE / (window.argmax(axis=1) + shortest))
    weight = np.maximum(strength, 1e-3)
    mean_pitch = float((pitch * weight).sum() / weight.sum())
    spread = float(np.sqrt((weight * (pitch - mean_pitch) ** 2).sum() / weight.sum()))
    return np.array([strength.mean(), strength.std(), mean_pitch, spread])


def _temporal(envelope: Array) -> Array:
    rate_hz = SAMPLE_RATE / ENVELOPE_HOP
    relative = envelope / envelope.mean() - 1.0
    size = max(1024, 1 << (envelope.size - 1).bit_length())
    spectrum = np.abs(np.fft.rfft(relative * np.hanning(relative.size), size)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate_hz)
    edges = np.searchsorted(hertz, MODULATION_EDGES_HZ)
    bands = np.add.reduceat(spectrum, edges)[: len(MODULATION_EDGES_HZ) - 1]
    share = np.log10(bands / (spectrum.sum() + 1e-12) + 1e-3)
    level_db = 20 * np.log10(envelope / envelope.max() + 1e-3)
    rises = np.diff(level_db)
    onset_rate = np.sum((rises[1:] > 4.0) & (rises[:-1] <= 4.0)) / (envelope.size / rate_hz)
    weights = envelope**2 / np.sum(envelope**2)
    middle = float((weights * np.linspace(0, 1, envelope.size)).sum())
    return np.concatenate(
        [
            share,
            [
                np.log(relative.std() + 1e-2),
                level_db.mean(),
                level_db.std(),
                float(np.mean(level_db < -40)),
                np.log2(onset_rate + 0.25),
                np.log(np.abs(rises).mean() + 1e-2),
                middle,
            ],
        ]
    )


def _impulsiveness(mono: Array) -> float:
    power = mono * mono
    return float(np.log(np.mean(power * power) / np.mean(power) ** 2))
