"""Synthetic waveforms and mixes that several tests of audio measure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import signal

from audiostory_core.audio.crossfade import crossfade, overlap_samples
from audiostory_core.audio.mixdown import MixSegment
from audiostory_core.audio.pcm import Waveform, au_bytes, flac_bytes
from audiostory_core.story.plan import SAMPLE_RATE


def noise(seed: int, samples: int, level: float = 0.1) -> Waveform:
    """Uncorrelated white noise in both channels, [2, samples]."""
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((2, samples))).clip(-1, 1).astype(np.float32)


def tone(hertz: float, samples: int, phase: float = 0.0, level: float = 0.3) -> Waveform:
    at = np.arange(samples) / SAMPLE_RATE
    return np.tile(level * np.sin(2 * np.pi * hertz * at + phase), (2, 1)).astype(np.float32)


def spiky(seed: int, samples: int, spikes: int, level: float = 0.03) -> Waveform:
    """Steady noise under rare loud knocks: what a limiter is for."""
    rng = np.random.default_rng(seed)
    waveform = level * rng.standard_normal((2, samples))
    knock = np.sin(2 * np.pi * 300 * np.arange(2000) / SAMPLE_RATE) * np.exp(-np.arange(2000) / 300)
    for at in rng.integers(0, samples - 2000, spikes):
        waveform[:, at : at + 2000] += 0.9 * rng.random() * knock
    return waveform.clip(-1, 1).astype(np.float32)


def kept(folder: Path, name: str, waveform: Waveform) -> MixSegment:
    """Store a waveform as a clip is stored and return all of it as a segment."""
    path = folder / f"{name}.flac"
    path.write_bytes(flac_bytes(waveform))
    return MixSegment(path, 0, waveform.shape[1])


def stitched(
    folder: Path, clips: Sequence[Waveform], scenes: Sequence[int], tail: int
) -> list[MixSegment]:
    """Lay clips out as a story does: bodies are slices of the clips, seams are files.

    Each clip has its scene's samples and, but for the last, `tail` more.
    """
    segments: list[MixSegment] = []
    opening = 0
    for k, (clip, samples) in enumerate(zip(clips, scenes, strict=True)):
        whole = kept(folder, f"clip{k}", clip)
        segments.append(MixSegment(whole.path, opening, samples - opening))
        if k + 1 < len(clips):
            opening = overlap_samples(tail, samples, scenes[k + 1])
            seam = crossfade(clip[:, samples : samples + opening], clips[k + 1][:, :opening])
            path = folder / f"seam{k}.au"
            path.write_bytes(au_bytes(seam))
            segments.append(MixSegment(path, 0, opening))
    return segments


def independent_peak_dbtp(waveform: Waveform) -> float:
    """True peak at four times the rate through a filter of 128 samples, not the limiter's."""
    taps = signal.firwin(4 * 128 + 1, 1 / 4, window=("kaiser", 8.0))
    upsampled = signal.resample_poly(waveform.astype(np.float64), 4, 1, axis=1, window=taps)
    return float(20 * np.log10(np.abs(upsampled).max()))
