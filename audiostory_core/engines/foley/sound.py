"""The types that the parts of foley share: what was read, and what a kind of sound has to make.

words/ finds `Mention`s in text; kinds/ turns a `Sound` into dry samples; scene/ places,
moves and mixes them. Distance, motion, room and position are the scene's work: a kind makes its
sound dry and near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:  # planners read words, and need no numpy for it
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = (
    "NDArray[np.float64]"  # [N] mono or [2, N] stereo, any scale; the scene levels it
)


class Role(StrEnum):
    """How a kind of sound fills time."""

    BED = "bed"  # statistically steady texture without an end: rain, crowd, refrigerator hum
    SUSTAINED = "sustained"  # one continuous source that lasts as long as its slot: siren, engine
    ONESHOT = "oneshot"  # has a length of its own, `count` included: knocks, glass, bark
    MUSIC = "music"  # fills its slot, in the story's key and tempo


@dataclass(frozen=True)
class Shape:
    """How the words around a sound shape it."""

    count: int | None = None  # "three knocks"; None: the kind's own habit
    intensity: float = 0.0  # -1 gentle … 0 … 1 violent
    pace: float = 1.0  # 0.5 slow … 1 … 2 fast
    size: float = 0.0  # -1 small (higher pitch) … 0 … 1 large (lower pitch)
    distance: float = 0.0  # 0 near … 1 far
    motion: Literal["approaching", "receding", "passing", "fading_in", "fading_out"] | None = None
    room: Literal["outdoor", "small", "room", "hall", "cave"] | None = None
    position: float | None = None  # -1 left … 1 right; None: the scene's choice


@dataclass(frozen=True)
class Trim:
    """What a layer asks of the mix, whatever its sound is; the scene sees to it."""

    gain_db: float = 0.0
    pan: float | None = None  # -1 left … 1 right; None: where the sound would be
    start_s: float | None = None  # from the start of the scene; None: when its turn comes
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    is_placed: bool = False  # its distance is the layer's own, however near

    @property
    def is_steady(self) -> bool:
        """Whether it is the same from the start of a scene to its end."""
        return not (self.start_s or self.fade_in_s or self.fade_out_s)


@dataclass(frozen=True)
class Mention:
    """A sound that a text names."""

    kind: str  # Kind.name
    text: str  # the words that matched, verbatim
    start: int  # of the match in its text, in characters
    end: int
    shape: Shape = Shape()
    trim: Trim = Trim()


@dataclass(frozen=True)
class Sound:
    """What a kind has to make.

    A bed is made in blocks so that it can start anywhere: block at `start` has the same
    `constants` draws as every other block of that sound, and its own `texture`.
    """

    samples: int  # length wanted (bed, sustained, music) or the most that fits (one-shot)
    constants: np.random.Generator  # pitch, size, rate: equal in every block of one sound
    texture: np.random.Generator  # everything that never repeats
    start: int = 0  # absolute sample of the block; phases of regular things come from it
    shape: Shape = field(default_factory=Shape)
    tonic: int = 60  # MIDI note of the story's key (music only)
    minor: bool = False
    tempo_bpm: float = 92.0


@dataclass(frozen=True)
class Kind:
    """One kind of sound.

    Attributes:
        name: as in the lexicon, snake_case.
        family: weather, water, fire, animal, vehicle, signal, machine, tool, object, step, body,
            crowd or music.
        render: makes the dry sound. [N] or [2, N]; exactly `sound.samples` long, or shorter for
            a one-shot.
        level_db: loudness when near and of medium intensity: RMS in dBFS over the loudest 400 ms
            of the sound. The scene sets it; a kind need not care about scale.
    """

    name: str
    family: str
    role: Role
    render: Callable[[Sound], Samples]
    level_db: float
