"""Sounds of foley rendered alone, dry and near, and the plainest measures of a waveform."""

from functools import cache
from typing import Any

import numpy as np

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.sound import Kind, Samples, Shape, Sound
from audiostory_core.story.plan import SAMPLE_RATE

FAMILIES = (
    "animal",
    "body",
    "crowd",
    "fire",
    "machine",
    "music",
    "object",
    "signal",
    "step",
    "tool",
    "vehicle",
    "water",
    "weather",
)


@cache
def kinds() -> dict[str, Kind]:
    """Return the whole catalog by name; it is loaded when the first test needs it."""
    return load_kinds()


def kinds_of(family: str) -> list[Kind]:
    """Return the kinds of a family."""
    return [kind for kind in kinds().values() if kind.family == family]


def render(
    name: str,
    duration_s: float = 4.0,
    seed: int = 1,
    *,
    start: int = 0,
    block: int = 0,
    score: dict[str, Any] | None = None,
    **shape: Any,
) -> Samples:
    """Render one kind.

    Args:
        name: of the kind.
        duration_s: length of its slot.
        seed: of what is equal in every block, and with `block` of what never repeats.
        start: first sample of the block.
        block: number of the block of a bed.
        score: `tonic`, `minor` and `tempo_bpm`, where they are not the usual ones.
        shape: fields of `Shape`.
    """
    sound = Sound(
        samples=round(duration_s * SAMPLE_RATE),
        constants=np.random.default_rng([seed, 1]),
        texture=np.random.default_rng([seed, 2, block]),
        start=start,
        shape=Shape(**shape),
        **(score or {}),
    )
    return kinds()[name].render(sound)


def mono(waveform: Samples) -> Samples:
    """Return the mean of the channels, [N]."""
    return waveform.mean(axis=0) if waveform.ndim == 2 else waveform


def level_db(waveform: Samples) -> float:
    """Return the mean power of all channels together in dB."""
    power = np.sum(np.square(np.atleast_2d(waveform), dtype=float), axis=0)
    return float(10 * np.log10(np.mean(power) + 1e-20))
