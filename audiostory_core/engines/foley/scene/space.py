"""Where a sound is and where it goes: distance, motion, position and the room around it.

A source near the listener is dry, bright and loud; far away it loses 18 dB and its highs, and the
room takes over. Knows nothing of scenes or words.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.sound import Shape
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.convolution import Convolution
from audiostory_core.engines.foley.synthesis.dsp import Array, Real
from audiostory_core.story.plan import SAMPLE_RATE

Single = NDArray[np.float32]
RoomName = Literal["outdoor", "small", "room", "hall", "cave"]

FAR_DB = -18.0  # direct sound at distance 1
FAR_SEND_DB = -8.0  # what reaches the walls falls more slowly, so that far sounds are wet
NEAR_HZ, FAR_HZ = 18_000.0, 800.0  # low-pass of the air at distance 0 and 1
FADE_DB = -36.0  # where fading sounds come from and go to
FAR_START = 0.85  # least distance at which something that approaches begins
WIDEST_DELAY_S = 0.0004  # between the ears, of a source at the side
SOUND_MPS = 343.0
CONTROL = 100  # samples between two points of a curve
_LEAST_FILTERED = 0.02  # nearer than this the air takes nothing away


@dataclass(frozen=True)
class Room:
    """A space as statistics of its reverberation.

    Attributes:
        decay_s: time to -60 dB of low, middle and high frequencies.
        predelay_s: before the first reflection.
        echoes: (delay_s, gain) of single reflections.
        wet_db: reverberation of a near source relative to its direct sound.
        tail_gain: of the diffuse tail against the echoes.
    """

    seed: int
    decay_s: tuple[float, float, float]
    predelay_s: float
    echoes: tuple[tuple[float, float], ...]
    wet_db: float
    tail_gain: float = 1.0

    @cached_property
    def impulse_response(self) -> Single:
        """Stereo impulse response of unit energy per channel, [2, N]."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        samples = dsp.seconds(max(self.decay_s) + self.predelay_s)
        return np.stack([self._channel(rng, samples) for _ in range(2)]).astype(np.float32)

    @cached_property
    def answer(self) -> Convolution:
        """Makes of what the room hears what it answers."""
        return Convolution(self.impulse_response)

    def _channel(self, rng: np.random.Generator, samples: int) -> Array:
        low, middle, high = self.decay_s
        noise = dsp.white(rng, samples)
        response = self.tail_gain * (
            dsp.lowpass(noise, 400.0) * dsp.decay(samples, low, 0.004)
            + dsp.bandpass(noise, 400.0, 3500.0) * dsp.decay(samples, middle, 0.004)
            + dsp.highpass(noise, 3500.0) * dsp.decay(samples, high, 0.004)
        )
        response = np.concatenate([np.zeros(dsp.seconds(self.predelay_s)), response])
        burst = dsp.lowpass(dsp.white(rng, 64) * np.hanning(64), 5000.0)
        for delay_s, gain in self.echoes:
            jittered_s = delay_s * (1 + 0.06 * rng.uniform(-1, 1))
            dsp.place(response, burst, dsp.seconds(jittered_s), gain)
        return response / np.sqrt(np.sum(response**2))


ROOMS: dict[RoomName, Room] = {
    "outdoor": Room(11, (0.5, 0.35, 0.15), 0.02, ((0.085, 0.9), (0.19, 0.5)), -28.0, 0.2),
    "small": Room(12, (0.35, 0.3, 0.2), 0.002, ((0.004, 1.0), (0.009, 0.8), (0.013, 0.6)), -11.0),
    "room": Room(13, (0.7, 0.55, 0.35), 0.006, ((0.011, 1.0), (0.019, 0.8), (0.027, 0.6)), -10.0),
    "hall": Room(14, (2.4, 2.0, 1.0), 0.02, ((0.031, 0.8), (0.047, 0.7), (0.068, 0.5)), -7.0),
    "cave": Room(15, (3.6, 2.8, 1.0), 0.03, ((0.12, 0.7), (0.23, 0.5), (0.37, 0.35)), -4.0),
}


@dataclass(frozen=True)
class Stretch:
    """Which part of a motion falls into this sound: from `first` to `last` of 0 … 1."""

    first: float = 0.0
    last: float = 1.0


WHOLE = Stretch()


@dataclass(frozen=True)
class Placed:
    """A sound put into space."""

    direct: Single  # [2, N]
    heard: Real  # [N] or [2, N], through the air but from everywhere
    send_gain: Array  # of what reaches the walls: [1], or [K] control points

    @property
    def send(self) -> Single:
        """What the room hears of it, [N]; made when it is wanted, for beds send nothing."""
        heard = self.heard
        mono = heard if heard.ndim == 1 else 0.5 * (heard[0] + heard[1])
        return (mono * _stretched(self.send_gain, mono.size)).astype(np.float32)


def place_in_space(
    dry: Real, shape: Shape, position: float, speed_mps: float = 2.0, stretch: Stretch = WHOLE
) -> Placed:
    """Put a dry sound at the distance, motion and position of its shape.

    Args:
        dry: [N] or [2, N].
        shape: its distance and motion are read.
        position: -1 left … 1 right.
        speed_mps: how fast the source passes, if it does.
        stretch: part of the motion that this sound covers.
    """
    samples = dry.shape[-1]
    if shape.motion == "passing":
        dry, distance, pan = _pass_by(dry, position, speed_mps * shape.pace, stretch)
    else:
        distance = distance_curve(shape, samples, stretch)
        pan = np.array([position])
    gain_db = fade_curve(shape, samples, stretch)
    heard = _through_air(dry, distance)
    direct = _pan(heard, pan, 10 ** ((FAR_DB * distance + gain_db) / 20))
    return Placed(direct, heard, 10 ** ((FAR_SEND_DB * distance + gain_db) / 20))


def distance_curve(shape: Shape, samples: int, stretch: Stretch = WHOLE) -> Array:
    """Return the distance 0 … 1 at control points along the sound: [1] if it stays, else [K]."""
    far, near = max(FAR_START, shape.distance), 0.3 * shape.distance
    if shape.motion == "approaching":
        return far + (near - far) * _course(samples, stretch)
    if shape.motion == "receding":
        return near + (far - near) * _course(samples, stretch)
    return np.array([shape.distance])


def fade_curve(shape: Shape, samples: int, stretch: Stretch = WHOLE) -> Array:
    """Return the gain in dB of a sound that fades in or out: [1] if it does not, else [K]."""
    if shape.motion == "fading_in":
        return FADE_DB * (1 - _course(samples, stretch))
    if shape.motion == "fading_out":
        return FADE_DB * _course(samples, stretch)
    return np.zeros(1)


def end_of_motion(shape: Shape) -> float:
    """Return the distance at which a sound of this shape ends up."""
    if shape.motion == "approaching":
        return 0.3 * shape.distance
    if shape.motion == "receding":
        return max(FAR_START, shape.distance)
    return shape.distance


def reverberate(send: Single, room: RoomName) -> Single:
    """Return the room's answer to what it heard, [2, N], cut at the end of the input."""
    checkpoint()
    wet = ROOMS[room].answer(send)
    return np.asarray(wet * np.float32(10 ** (ROOMS[room].wet_db / 20)), np.float32)


def _course(samples: int, stretch: Stretch) -> Array:
    points = max(2, samples // CONTROL)
    return np.linspace(stretch.first, stretch.last, points)


def _stretched(curve: Array, samples: int) -> Single:
    checkpoint()
    if curve.size == 1:
        return curve.astype(np.float32)
    at = np.arange(samples, dtype=np.float64)
    return np.interp(at, np.linspace(0, samples - 1, curve.size), curve).astype(np.float32)


def _pass_by(
    dry: Real, position: float, speed_mps: float, stretch: Stretch
) -> tuple[Array, Array, Array]:
    checkpoint()
    samples = dry.shape[-1]
    whole_s = samples / SAMPLE_RATE / max(stretch.last - stretch.first, 1e-6)
    along_m = speed_mps * whole_s * (_course(samples, stretch) - 0.5)
    nearest_m = max(0.36 * speed_mps, 0.5)
    range_m = np.hypot(along_m, nearest_m)
    lead = (range_m.max() - range_m) / SOUND_MPS * SAMPLE_RATE
    at = np.arange(samples, dtype=np.float64)
    heard_at = at + np.interp(at, np.linspace(0, samples - 1, lead.size), lead)
    if dry.ndim == 1:
        shifted = np.interp(heard_at, at, dry)
    else:
        shifted = np.stack([np.interp(heard_at, at, channel) for channel in dry])
    distance = np.minimum(np.log(range_m / nearest_m) / np.log(40.0), 1.0)
    side = 1.0 if position >= 0 else -1.0
    return shifted, distance, side * 0.9 * along_m / range_m


def _through_air(dry: Real, distance: Array) -> Real:
    checkpoint()
    if distance.size == 1:
        if distance[0] < _LEAST_FILTERED:
            return dry
        return dsp.lowpass(dry, _air_hz(float(distance[0])))
    # At most one of the two weights is above 0 at a time, so that one may follow the other.
    heard = dsp.lowpass(dry, _air_hz(0.5))
    _blend(heard, dry, np.clip(1 - 2 * distance, 0, 1))
    _blend(heard, dsp.lowpass(dry, _air_hz(1.0)), np.clip(2 * distance - 1, 0, 1))
    return heard


def _blend(heard: Array, other: Real, weight: Array) -> None:
    """Move what is heard toward another sound, in place; long scenes have no room for copies."""
    checkpoint()
    difference = other - heard
    difference *= _stretched(weight, heard.shape[-1])
    heard += difference


def _air_hz(distance: float) -> float:
    return float(NEAR_HZ * (FAR_HZ / NEAR_HZ) ** distance)


def _pan(heard: Real, pan: Array, gain: Array) -> Single:
    samples = heard.shape[-1]
    panned = np.empty((2, samples), np.float32)
    angle = (np.clip(pan, -1, 1) + 1) * np.pi / 4
    # Stereo sources are balanced, mono ones panned: both keep their power in the middle.
    middle_gain = np.float32(1.0 if heard.ndim == 1 else np.sqrt(2))
    for channel, weight in enumerate((np.cos(angle), np.sin(angle))):
        source = heard if heard.ndim == 1 else heard[channel]
        weights = _stretched(weight * gain, samples)
        np.multiply(source, weights, out=panned[channel], casting="same_kind")
        panned[channel] *= middle_gain
    if pan.size == 1 and heard.ndim == 1:
        _delay_far_ear(panned, float(pan[0]))
    return panned


def _delay_far_ear(panned: Single, position: float) -> None:
    late = dsp.seconds(abs(position) * WIDEST_DELAY_S)
    if 0 < late < panned.shape[1]:
        ear = 0 if position > 0 else 1
        panned[ear, late:] = panned[ear, :-late].copy()
        panned[ear, :late] = 0.0
