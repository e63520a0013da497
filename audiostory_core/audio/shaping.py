"""What the studio does to a clip whose engine cannot: level, position, start and fades.

    engine's clip           │▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁│
    shaped      │  start_s  │╱ fade_in_s      fade_out_s ╲│ tail │

The engine makes what is heard, and the rest is silence: so a sound begins at its own beginning,
at the very sample.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audiostory_core.audio.pcm import Waveform
from audiostory_core.engines.protocol import ClipRequest, ClipResult, Engine, ProgressListener
from audiostory_core.story.plan import SHORTEST_SUB_EVENT_S, samples_of
from audiostory_core.story.shape import ClipShape

CEILING = np.float32(10 ** (-0.1 / 20))  # full scale counts as clipped


def synthesize(
    engine: Engine, requests: Sequence[ClipRequest], watch: ProgressListener
) -> list[ClipResult]:
    """Have an engine make clips, and give them the shapes that it does not honor.

    Raises:
        EngineFailed: if a clip cannot be made.
        Cancelled: if `watch` says so.
    """
    results = engine.synthesize([bare(request) for request in requests], watch)
    return [shaped(made, request) for made, request in zip(results, requests, strict=True)]


def bare(request: ClipRequest) -> ClipRequest:
    """Return what the engine gets to make: the clip from its start on."""
    if request.shape is None:
        return request
    left = request.samples - _start(request.shape)
    shortest = min(samples_of(SHORTEST_SUB_EVENT_S), request.samples)
    return replace(request, samples=max(left, shortest), shape=None)


def shaped(made: ClipResult, request: ClipRequest) -> ClipResult:
    """Return an engine's clip with the shape of its request.

    A clip that is not finite or too short stays so, for the check to see.
    """
    shape = request.shape
    if shape is None:
        return made
    start = _start(shape)
    tail = int(request.parameters.get("tail_samples", 0))
    end = request.samples - tail  # of the scene
    if start >= end:
        silence = np.zeros((2, request.samples), np.float32)
        return replace(made, waveform=silence, is_silence=True)
    leveled, lost_db = _limited(made.waveform, _panned(made.waveform * _gain(shape), shape.pan))
    beyond = start + bare(request).samples - request.samples
    heard = leveled[:, : max(leveled.shape[1] - beyond, 0)]
    waveform = np.pad(heard, ((0, 0), (start, 0)))
    _fade(waveform, shape, start, end)
    warnings = made.warnings
    if lost_db:
        problem = f"gain and position would exceed full scale; it is {lost_db:.1f} dB quieter"
        warnings = (*warnings, problem)
    return replace(made, waveform=waveform, warnings=warnings)


def _start(shape: ClipShape) -> int:
    return samples_of(shape.start_s or 0.0)


def _gain(shape: ClipShape) -> np.float32:
    return np.float32(10 ** ((shape.gain_db or 0.0) / 20))


def _panned(waveform: Waveform, pan: float | None) -> Waveform:
    """Move the middle of a clip at equal power; at a side, all of it comes from there."""
    if not pan:
        return waveform
    angle = (pan + 1) * np.pi / 4
    left, right = np.sqrt(2) * np.cos(angle), np.sqrt(2) * np.sin(angle)
    middle = (waveform[0] + waveform[1]) / 2
    side = np.float32(left * right) * (waveform[0] - waveform[1]) / 2
    return np.stack([np.float32(left) * middle + side, np.float32(right) * middle - side])


def _limited(before: Waveform, after: Waveform) -> tuple[Waveform, float]:
    """Return a clip turned down as far as its shape took it beyond full scale, and the dB lost."""
    peaks = [np.max(np.abs(waveform), initial=0.0) for waveform in (before, after)]
    most = max(peaks[0], CEILING)
    if not peaks[1] > most:  # nor if it is not a number
        return after, 0.0
    return after * (most / peaks[1]), float(20 * np.log10(peaks[1] / most))


def _fade(waveform: Waveform, shape: ClipShape, start: int, end: int) -> None:
    """Fade a clip in from `start` and out to `end`, in place; raised cosines, as foley's are."""
    heard = waveform[:, start:end]
    length = heard.shape[1]
    if shape.fade_in_s:
        rise = _rise(min(samples_of(shape.fade_in_s), length))
        heard[:, : rise.size] *= rise
    if shape.fade_out_s:
        rise = _rise(min(samples_of(shape.fade_out_s), length))
        heard[:, length - rise.size :] *= rise[::-1]
        waveform[:, end:] = 0.0


def _rise(samples: int) -> NDArray[np.float32]:
    at = (np.arange(samples) + 0.5) / max(samples, 1)
    return (0.5 - 0.5 * np.cos(np.pi * at)).astype(np.float32)
