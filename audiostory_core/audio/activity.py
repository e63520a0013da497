"""Where somebody speaks in a clip of dialogue, by its level."""

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.balance import Interval, merged
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE

FRAME = round(0.02 * SAMPLE_RATE)  # samples
RANGE_DB = 30.0  # the faintest consonants below the loudest vowel
FLOOR_DBFS = -55.0  # what is below is no speech that anybody hears
HANGOVER = round(0.3 * SAMPLE_RATE)  # samples; shorter pauses are within speech
SHORTEST = 3 * FRAME  # no word is shorter; a click is


def speech_activity(waveform: Waveform) -> tuple[Interval, ...]:
    """Find where somebody speaks in a [2, N] clip that holds speech and nothing else.

    Returns:
        [start, stop) in samples of the clip, to whole frames of 20 ms, rising and apart by at
        least `HANGOVER`; empty if nobody speaks.
    """
    samples = waveform.shape[1]
    levels = _frame_powers(waveform)
    lasting = np.minimum.reduce([levels[:-2], levels[1:-1], levels[2:]]).max(initial=0.0)
    threshold = max(lasting * 10 ** (-RANGE_DB / 10), 10 ** (FLOOR_DBFS / 10))
    active = np.concatenate([[False], levels > threshold, [False]])
    edges = np.flatnonzero(active[1:] != active[:-1]).reshape(-1, 2) * FRAME
    bridged = merged((int(start), int(stop) + HANGOVER - 1) for start, stop in edges)
    heard = ((start, min(stop - HANGOVER + 1, samples)) for start, stop in bridged)
    return tuple((start, stop) for start, stop in heard if stop - start >= SHORTEST)


def _frame_powers(waveform: Waveform) -> NDArray[np.float64]:
    """Return the mean square of each frame over both channels; the last may be shorter."""
    samples = waveform.shape[1]
    if samples == 0:
        return np.zeros(0)
    starts = np.arange(0, samples, FRAME)
    power = np.square(waveform, dtype=np.float64).mean(axis=0)
    return np.add.reduceat(power, starts) / np.diff(np.append(starts, samples))
