"""How loud things are: transients in bounds, quiet scenes raised, loud ones limited.

A story is brought to one loudness at its end with little limiting. That works only where no
sound's peak stands far above its loudness and no scene lies far below the others. What follows
narrows both and keeps their order: the louder of two sounds stays the louder one.

Gains are computed on blocks of a millisecond and move in straight lines between them.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.scene.space import Single
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.dsp import Array, F, Real
from audiostory_core.story.plan import SAMPLE_RATE

MAX_CREST_DB = 12.0  # of a sound: its peak over the RMS of its loudest 400 ms
MAX_LASTING_CREST_DB = 10.0  # of one that goes on: steps upon steps set a scene's loudness
MAX_BENT_DB = 3.0  # by which the shortest peaks are bent; what exceeds this is turned down
TAMINGS = 3  # passes: what is taken from peaks is missing in the RMS
MAX_BED_CREST_DB = 14.0
SOUND_PEAK = 10 ** (-8 / 20)  # of one sound before it is placed
BED_PEAK = 10 ** (-10 / 20)
SCENE_PEAK = 10 ** (-10 / 20)  # of a scene, unless its beds and music alone exceed it
LEAST_HEADROOM = 0.4  # of the events' amplitude that stays where beds are loud

EVEN_DB = -20.0  # sounds of this level keep it; others come nearer to it
SOUND_RATIO = 0.6  # by which levels differ less than their sources would
SCENE_LUFS = -20.0  # of what happens in a scene that needs no gain
SCENE_RATIO = 0.45
MAX_LIFT_DB, MAX_DROP_DB, MAX_LIMITING_DB = 8.0, 6.0, 4.0
SUBJECT_DB = -24.0  # of a bed that is all there is to hear
SUBJECT_RATIO = 0.4
MAX_SUBJECT_LIFT_DB = 8.0

ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU, OFFSET_LUFS = -70.0, -10.0, -0.691  # of BS.1770
FRAME = 2 * SAMPLE_RATE // 5  # 400 ms
FRAMES_AT_ONCE = 16  # which one transform takes in step, four times as fast as one by one
BLOCK = 44  # samples
HOLD = 3  # blocks either side of a peak over which the gain stays down
RELEASE_DB = 0.25  # a block: 6 dB in 24 ms, too slow to follow the waves of a bass
BENT_AT_ONCE = 1 << 16  # samples; their magnitudes fit a processor's cache
KNEE = 0.75  # of the ceiling: where a soft ceiling begins to bend


def evened(level_db: float) -> float:
    """Return the level in dBFS at which a sound of a natural level is mixed."""
    return EVEN_DB + SOUND_RATIO * (level_db - EVEN_DB)


def leveled(dry: Array, level_db: float, most_crest_db: float = MAX_CREST_DB) -> Array:
    """Return a sound at a level, its transients tamed.

    Args:
        dry: [N] or [2, N], any scale.
        level_db: RMS in dBFS of its loudest 400 ms, kept where the peak allows.
        most_crest_db: peak over that RMS.

    Returns:
        A copy whose crest is near the given one at most, and whose peak is at most `SOUND_PEAK`.
    """
    loudest = dsp.loudest_rms(dry)
    if loudest < 1e-9:
        return np.zeros_like(dry)
    for _ in range(TAMINGS):
        ceiling = loudest * 10 ** (most_crest_db / 20)
        if np.max(np.abs(dry)) <= ceiling:
            break
        turned_down = limited(dry, np.full(1, ceiling * 10 ** (MAX_BENT_DB / 20)))
        dry = softened(np.array(turned_down), ceiling)
        loudest = dsp.loudest_rms(dry)
    gain = 10 ** (level_db / 20) / loudest
    return dry * min(gain, SOUND_PEAK / float(np.max(np.abs(dry))))


def limited(waveform: NDArray[F], ceiling: Array) -> NDArray[F]:
    """Limit a waveform by one gain for all channels that looks ahead.

    Args:
        waveform: [N] or [C, N].
        ceiling: the highest peak, above 0: [1], or [K] one for each block of `BLOCK` samples.

    Returns:
        The waveform itself where nothing exceeds the ceiling, else a limited copy.
    """
    checkpoint()
    peaks = block_peaks(waveform)
    if np.all(peaks <= ceiling):
        return waveform
    needed_db = 20 * np.log10(np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9)))
    slope = RELEASE_DB * np.arange(needed_db.size)
    released = np.minimum.accumulate(needed_db - slope) + slope
    # The mean of what is held, and the line from block to block, stay below what every sample
    # of the block needs.
    lowest_db = ndimage.minimum_filter1d(released, 2 * HOLD + 1, mode="nearest")
    smooth = ndimage.uniform_filter1d(lowest_db, 2 * HOLD - 1, mode="nearest")
    gain = _on_samples(10 ** (smooth / 20), waveform.shape[-1])
    return np.asarray(waveform * gain, waveform.dtype)


def softened(waveform: NDArray[F], ceiling: float) -> NDArray[F]:
    """Bend what exceeds `KNEE` of a ceiling so that it never reaches it, in place.

    Each sample by itself: a bed that two scenes share stays the same in both.

    Args:
        waveform: [N] or [C, N], contiguous.
        ceiling: above 0.
    """
    checkpoint()
    knee = KNEE * ceiling
    room = ceiling - knee
    flat = waveform.reshape(-1)
    for first in range(0, flat.size, BENT_AT_ONCE):
        part = flat[first : first + BENT_AT_ONCE]
        at = np.flatnonzero(np.abs(part) > knee)
        over = np.abs(part[at]) - knee
        part[at] = np.sign(part[at]) * (knee + room * np.tanh(over / room))
    return waveform


def under_one_ceiling(events: Single, under: Single, peak: float = SCENE_PEAK) -> Single:
    """Return what happens on top of what lies under it, [2, N], peaks at most `peak`.

    Only the events give way: a bed that changed its level would be heard at the seams.
    """
    least = LEAST_HEADROOM * peak
    ceiling = np.maximum(peak - block_peaks(under), least)
    return np.asarray(under + limited(events, ceiling), np.float32)


def lift_db(happening: Single) -> float:
    """Return the gain in dB that brings what happens in a scene, [2, N], nearer to `SCENE_LUFS`.

    No higher than the limiter can follow without taking motions their rise.
    """
    loudness_lufs = gated_lufs(happening)
    if loudness_lufs is None:
        return 0.0
    wanted_db = (1 - SCENE_RATIO) * (SCENE_LUFS - loudness_lufs)
    room_db = 20 * np.log10(SCENE_PEAK / block_peaks(happening).max()) + MAX_LIMITING_DB
    return float(np.clip(min(wanted_db, room_db), -MAX_DROP_DB, MAX_LIFT_DB))


def subject_lift_db(level_db: float) -> float:
    """Return the gain of a bed that is all there is to hear; none for loud ones."""
    wanted_db = (1 - SUBJECT_RATIO) * (SUBJECT_DB - level_db)
    return float(np.clip(wanted_db, 0.0, MAX_SUBJECT_LIFT_DB))


def gated_lufs(waveform: Single) -> float | None:
    """Return the loudness of [2, N], gated as in BS.1770; None where nothing is heard.

    Of frames of 400 ms that do not overlap: within half an LU of a meter, at a tenth of its work.
    """
    power = frame_power(waveform)
    heard = power[_lufs(power) > ABSOLUTE_GATE_LUFS]
    if not heard.size:
        return None
    gate = _lufs(heard.mean()) + RELATIVE_GATE_LU
    return float(_lufs(heard[_lufs(heard) > gate].mean()))


def frame_power(waveform: Single) -> Array:
    """Return the K-weighted mean square of each 400 ms, channels added; a short rest counts."""
    checkpoint()
    count = -(-waveform.shape[-1] // FRAME)
    power = np.zeros(count)
    weight = _k_power()
    frames = np.zeros((count, FRAME), np.float32)
    for channel in waveform:
        frames.reshape(-1)[: channel.size] = channel
        heard = np.flatnonzero((frames.max(axis=1) != 0) | (frames.min(axis=1) != 0))
        for at in range(0, heard.size, FRAMES_AT_ONCE):
            part = heard[at : at + FRAMES_AT_ONCE]
            spectrum = fft.rfft(frames[part])
            square = spectrum.real**2 + spectrum.imag**2
            power[part] += 2 * np.sum(square * weight, axis=1, dtype=float) / FRAME**2
    return power


def block_peaks(waveform: Real) -> Array:
    """Return the highest peak of any channel in each block of `BLOCK` samples."""
    checkpoint()
    starts = np.arange(0, waveform.shape[-1], BLOCK)
    channels = waveform[None, :] if waveform.ndim == 1 else waveform
    highest = np.abs(channels[0])
    for channel in channels[1:]:
        np.maximum(highest, np.abs(channel), out=highest)
    return np.maximum.reduceat(highest, starts).astype(np.float64)


@lru_cache(maxsize=1)
def _k_power() -> NDArray[np.float32]:
    """Power response of K-weighting from its analog prototypes, [FRAME // 2 + 1]."""
    s = 1j * fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    shelf, rumble = s / 1682.0, s / 38.1
    high = 10 ** (4 / 20)
    head = high * shelf**2 + np.sqrt(high) * shelf / 0.707 + 1
    response = head / (shelf**2 + shelf / 0.707 + 1) * rumble**2 / (rumble**2 + 2 * rumble + 1)
    return (np.abs(response) ** 2).astype(np.float32)


def _lufs(power: Array | np.float64) -> Array:
    return np.asarray(OFFSET_LUFS + 10 * np.log10(np.maximum(power, 1e-20)))


def _on_samples(gain: Array, samples: int) -> Single:
    edges = np.empty(gain.size + 1, np.float32)
    edges[0], edges[-1] = gain[0], gain[-1]
    edges[1:-1] = 0.5 * (gain[:-1] + gain[1:])
    along = np.arange(BLOCK, dtype=np.float32) / BLOCK
    lines = edges[:-1, None] + np.diff(edges)[:, None] * along
    return np.asarray(lines.reshape(-1)[:samples], np.float32)
