"""The seam between two clips: how long it is and how one becomes the other."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.pcm import Waveform

Gains = NDArray[np.float64]

SILENT_POWER = 1e-14  # mean square, -140 dB: nothing left to correlate with


def overlap_samples(tail: int, left_samples: int, right_samples: int) -> int:
    """Return the length of a seam: the tail, but at most half of either scene.

    Args:
        tail: samples rendered beyond the end of the left scene.
        left_samples: length of the left scene, its tail not counted.
        right_samples: length of the right scene, its tail not counted.
    """
    return min(tail, left_samples // 2, right_samples // 2)


def correlation(left: Waveform, right: Waveform) -> float:
    """Measure how alike two [C, N] waveforms are where a crossfade mixes them.

    One number over all channels, weighted by sin 2θ of the crossfade: what only one side plays,
    at either end of the seam, says nothing about how the two add up in its middle.

    Returns:
        0 (unrelated, or either is silent, or they oppose each other) … 1 (equal but for level).
    """
    weight = _weight(left.shape[1])
    a, b = left.astype(np.float64), right.astype(np.float64)
    left_power = float(np.sum(weight * a * a))
    right_power = float(np.sum(weight * b * b))
    if min(left_power, right_power) <= SILENT_POWER * max(left.size, 1):
        return 0.0
    together = float(np.sum(weight * a * b)) / np.sqrt(left_power * right_power)
    return float(np.clip(together, 0.0, 1.0))


def seam_gains(overlap: int, rho: float) -> tuple[Gains, Gains]:
    """Return the gains of the left and of the right clip over a seam, [overlap] each.

    cos θ and sin θ over √(1 + ρ sin 2θ). The power of the mix is then a weighted mean of the
    powers of both sides and of their geometric mean: constant where they are equal, otherwise
    moving from one to the other without overshoot, whatever they have in common.
    """
    theta = _angles(overlap)
    norm = np.sqrt(1 + rho * _weight(overlap))
    fade_out: Gains = np.cos(theta) / norm
    fade_in: Gains = np.sin(theta) / norm
    return fade_out, fade_in


def crossfade(left: Waveform, right: Waveform) -> Waveform:
    """Fade from one waveform to the other, keeping the level whatever their correlation.

    Args:
        left: [C, overlap], the tail of the clip that ends.
        right: [C, overlap], the head of the clip that begins.

    Returns:
        [C, overlap]; may exceed ±1.

    Raises:
        ValueError: if the shapes differ.

    Source:
        AudioStory's release fades linearly over 3 s (`smooth_concatenate`), arXiv:2508.20088.
        Differs: a linear fade of unrelated clips dips by 3 dB in the middle of the seam.
    """
    if left.shape != right.shape:
        raise ValueError(f"the sides of a seam differ: {left.shape} and {right.shape}")
    fade_out, fade_in = seam_gains(left.shape[1], correlation(left, right))
    seam: Waveform = (left * fade_out + right * fade_in).astype(np.float32)
    return seam


@lru_cache(maxsize=1)  # nearly all seams of a story are as long as its tail
def _weight(overlap: int) -> Gains:
    """Return sin 2θ of a crossfade."""
    return np.sin(2 * _angles(overlap))


def _angles(overlap: int) -> Gains:
    return (np.arange(overlap, dtype=np.float64) + 0.5) * (np.pi / 2 / max(overlap, 1))
