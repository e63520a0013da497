"""What is measured of a seam: does it sound like the two scenes it joins.

Levels are RMS over 400 ms, both channels, in dBFS before any master gain.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.crossfade import correlation
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE, seconds_of

WINDOW = round(0.4 * SAMPLE_RATE)
HOP = WINDOW // 4
FRAME = round(0.05 * SAMPLE_RATE)
SILENT_DBFS = -60.0  # a 50 ms frame below is a gap that is heard
FLOOR_DB = -120.0  # stands for silence; below any level that matters
MAX_EXCESS_DB = 3.0  # a seam further outside its sides is heard as one
MAX_SILENCE_S = 0.15  # a pause in speech is longer; a hole in a bed is heard from here


@dataclass(frozen=True)
class SeamFigures:
    """Measures of one seam.

    Attributes:
        rho: correlation of the overlap, 0 … 1, that the gains were made for.
        before_db, after_db: level of the 400 ms on either side.
        in_db: level of the 400 ms in the middle of the seam.
        step_db: `after_db - before_db`.
        excess_db: how far the level of any 400 ms in the seam lies outside the levels of its two
            sides: what each clip plays there by itself, and what is heard before and after it.
            0 where none does.
        silence_s: silence inside the seam where both sides around it are heard: a hole.
        centroid_step_octaves: how much brighter the sound after is than before; 0 where either
            is silent.
    """

    overlap_s: float
    rho: float
    before_db: float
    in_db: float
    after_db: float
    step_db: float
    excess_db: float
    silence_s: float
    centroid_step_octaves: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; `SeamFigures(**kept)` reads them."""
        return asdict(self)


def measure_seam(
    left: Waveform, right: Waveform, seam: Waveform, before: Waveform, after: Waveform
) -> SeamFigures:
    """Measure a seam against the two sides it was made of.

    Args:
        left: [2, overlap], the tail of the clip that ends.
        right: [2, overlap], the head of the clip that begins.
        seam: [2, overlap], their crossfade.
        before: [2, n] what is heard before the seam; its last 400 ms are used.
        after: [2, n] what is heard after it; its first 400 ms are used.
    """
    before, after = before[:, -WINDOW:], after[:, :WINDOW]
    before_db, after_db = _level_db(before), _level_db(after)
    middle = max((seam.shape[1] - WINDOW) // 2, 0)
    return SeamFigures(
        overlap_s=seconds_of(seam.shape[1]),
        rho=correlation(left, right),
        before_db=before_db,
        in_db=_level_db(seam[:, middle : middle + WINDOW]),
        after_db=after_db,
        step_db=after_db - before_db,
        excess_db=_excess_db(left, right, seam, (before_db, after_db)),
        silence_s=_silence_s(seam, (before_db, after_db)),
        centroid_step_octaves=_centroid_step(before, after),
    )


def remarks(figures: SeamFigures) -> tuple[str, ...]:
    """Say what an author may hear of a seam; empty if nothing."""
    heard = []
    if figures.excess_db > MAX_EXCESS_DB:
        heard.append(f"its level lies {figures.excess_db:.1f} dB outside its two sides")
    if figures.silence_s > MAX_SILENCE_S:
        heard.append(f"it has a gap of {figures.silence_s:.1f} s")
    return tuple(heard)


def _excess_db(
    left: Waveform, right: Waveform, seam: Waveform, around_db: tuple[float, float]
) -> float:
    excess = 0.0
    for at in range(0, max(seam.shape[1] - WINDOW, 0) + 1, HOP):
        level, *alone = (_level_db(w[:, at : at + WINDOW]) for w in (seam, left, right))
        sides = (*alone, *around_db)
        excess = max(excess, level - max(sides), min(sides) - level)
    return excess


def _silence_s(seam: Waveform, around_db: tuple[float, float]) -> float:
    if min(around_db) < SILENT_DBFS:
        return 0.0
    starts = range(0, seam.shape[1], FRAME)
    silent = sum(_level_db(seam[:, at : at + FRAME]) < SILENT_DBFS for at in starts)
    return silent * FRAME / SAMPLE_RATE


def _centroid_step(before: Waveform, after: Waveform) -> float:
    first, second = _centroid_hz(before), _centroid_hz(after)
    return math.log2(second / first) if first > 0 and second > 0 else 0.0


def _centroid_hz(waveform: Waveform) -> float:
    """Mean frequency by power; 0 of silence."""
    if _level_db(waveform) <= FLOOR_DB:
        return 0.0
    taper = np.hanning(waveform.shape[1])
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(waveform * taper))).sum(axis=0)
    hertz = np.fft.rfftfreq(waveform.shape[1], 1 / SAMPLE_RATE)
    total = float(power.sum())
    return float((hertz * power).sum()) / total if total > 0 else 0.0


def _level_db(waveform: Waveform) -> float:
    power = float(np.square(waveform, dtype=np.float64).mean()) if waveform.size else 0.0
    return max(10 * math.log10(power), FLOOR_DB) if power > 0 else FLOOR_DB
