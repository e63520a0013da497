"""Beds: textures without an end, as pure functions of a seed and an absolute sample.

A bed is rendered in blocks on a fixed grid that starts at its sample 0, so that it can be entered
anywhere and two scenes that overlap hold the same samples of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from audiostory_core.engines.foley.progress import advance, checkpoint
from audiostory_core.engines.foley.scene import levels, work
from audiostory_core.engines.foley.scene.space import FAR_DB, WHOLE, Single, Stretch, place_in_space
from audiostory_core.engines.foley.sound import Kind, Shape, Sound, Trim
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.story.plan import SAMPLE_RATE

HOP = 6 * SAMPLE_RATE  # from one block to the next
OVERLAP = SAMPLE_RATE // 2
ENTRANCE_S = 0.3  # a bed's very first samples fade in
INTENSITY_DB = 6.0  # of intensity 1
ENDS = 2  # blocks kept of a bed: a scene's tail is shorter than both
BEDS = 4  # whose ends are kept; a scene seldom has more

_Texture = tuple[str, int, Shape]  # what a bed's blocks depend on, but for their number

# Mono kinds of these families surround the listener: each ear gets its own texture.
_SURROUNDING = frozenset({"weather", "water", "fire", "crowd"})


@dataclass(frozen=True)
class Bed:
    """A texture under a scene."""

    kind: str
    seed: int
    start: int = 0  # absolute sample of the bed at the scene's first sample
    gain_db: float = 0.0
    shape: Shape = field(default_factory=Shape)
    trim: Trim = field(default_factory=Trim)


def blocks_of(bed: Bed, samples: int) -> range:
    """Return which blocks of a bed are heard in so many samples from `bed.start` on."""
    first = max(0, (bed.start - OVERLAP) // HOP)
    return range(first, (bed.start + samples - 1) // HOP + 1)


def natural_db(bed: Bed, kind: Kind) -> float:
    """Return the level of a bed where it is, in dBFS."""
    level_db = kind.level_db + bed.gain_db + INTENSITY_DB * bed.shape.intensity
    return level_db + FAR_DB * bed.shape.distance


def trimmed(bed: Single, trim: Trim, end: int) -> Single:
    """Return a bed, [2, N], as its layer has it in a scene that ends at a sample."""
    if trim == Trim():
        return bed
    start = min(dsp.seconds(trim.start_s or 0.0), end)
    heard = bed[:, start : end if trim.fade_out_s else None]
    envelope = dsp.fade(np.ones(heard.shape[1]), trim.fade_in_s, trim.fade_out_s)
    gain = (10 ** (trim.gain_db / 20) * envelope).astype(np.float32)
    shaped = np.zeros_like(bed)
    shaped[:, start : start + heard.shape[1]] = heard * gain
    return shaped


class BedRenderer:
    """Renders beds; remembers how loud each is, so that every block of it has the same gain.

    It keeps the last blocks of the latest beds too: the scene that follows begins within them.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._gain = lru_cache(maxsize=256)(self._measure_gain)
        self._block = lru_cache(maxsize=1)(_block)  # the first one gives the gain as well
        self._ends: dict[_Texture, dict[int, Single]] = {}  # blocks by number

    def render(self, bed: Bed, samples: int, stretch: Stretch = WHOLE) -> Single:
        """Return the bed's samples from `bed.start` on, [2, samples]."""
        kind = self._kinds[bed.kind]
        gain = self._gain(bed.kind, bed.seed, _dry_shape(bed.shape)) * 10 ** (bed.gain_db / 20)
        canvas = self._joined_blocks(kind, bed, samples)
        checkpoint()
        canvas *= np.float32(gain)  # in place, blocks and all: pages anew cost more than samples
        skip = bed.start - blocks_of(bed, samples).start * HOP
        dry = levels.softened(canvas, self._ceiling(kind, bed))[:, skip : skip + samples]
        return place_in_space(dry, bed.shape, bed.trim.pan or 0.0, stretch=stretch).direct

    def _joined_blocks(self, kind: Kind, bed: Bed, samples: int) -> Single:
        blocks = self._blocks(kind, bed, samples)
        checkpoint()
        canvas = np.concatenate([block[:, :HOP] for block in blocks], axis=1)
        for at, (before, after) in enumerate(pairwise(blocks), start=1):
            canvas[:, at * HOP : at * HOP + OVERLAP] = _joined(before[:, HOP:], after[:, :OVERLAP])
        if blocks_of(bed, samples).start == 0:
            entrance = dsp.seconds(ENTRANCE_S)
            canvas[:, :entrance] *= np.linspace(0, 1, entrance, dtype=np.float32)
        return canvas

    def _blocks(self, kind: Kind, bed: Bed, samples: int) -> list[Single]:
        texture = (bed.kind, bed.seed, _dry_shape(bed.shape))
        known = self._ends.pop(texture, {})
        blocks: dict[int, Single] = {}
        for at in blocks_of(bed, samples):
            blocks[at] = known[at] if at in known else self._block(kind, *texture[1:], at)
            advance(work.BED_BLOCK)
        self._ends[texture] = dict(list(blocks.items())[-ENDS:])
        if len(self._ends) > BEDS:
            del self._ends[next(iter(self._ends))]
        return list(blocks.values())

    def _ceiling(self, kind: Kind, bed: Bed) -> float:
        level_db = natural_db(replace(bed, shape=_dry_shape(bed.shape)), kind)
        return float(min(levels.BED_PEAK, 10 ** ((level_db + levels.MAX_BED_CREST_DB) / 20)))

    def _measure_gain(self, name: str, seed: int, shape: Shape) -> float:
        kind = self._kinds[name]
        loudest = dsp.loudest_rms(self._block(kind, seed, shape, 0))
        level_db = kind.level_db + INTENSITY_DB * shape.intensity
        return float(10 ** (level_db / 20) / max(loudest, 1e-9))


def _dry_shape(shape: Shape) -> Shape:
    return replace(shape, distance=0.0, motion=None, room=None, position=None)


def _block(kind: Kind, seed: int, shape: Shape, at: int) -> Single:
    left = _render_block(kind, seed, shape, at, 0)
    if left.ndim == 2:
        return left.astype(np.float32)
    if kind.family in _SURROUNDING:
        right = _render_block(kind, seed, shape, at, 1)
        return (np.stack([left, right]) * np.sqrt(0.5)).astype(np.float32)
    return (np.stack([left, left]) * np.sqrt(0.5)).astype(np.float32)


def _render_block(kind: Kind, seed: int, shape: Shape, at: int, channel: int) -> Array:
    constants = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    texture = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1, at, channel])))
    length = HOP + OVERLAP
    return kind.render(Sound(length, constants, texture, at * HOP, shape))


def _joined(before: Single, after: Single) -> Single:
    """Crossfade at constant power whether the two blocks are alike or not."""
    cosine, sine, sine_twice = _fades()
    power = float(np.sum(before**2, dtype=float) * np.sum(after**2, dtype=float))
    product = float(np.sum(before * after, dtype=float))
    alike = max(0.0, product / np.sqrt(power)) if power > 0 else 0.0
    gain = np.sqrt(1 + alike * sine_twice)
    return ((before * cosine + after * sine) / gain).astype(np.float32)


@lru_cache(maxsize=1)
def _fades() -> tuple[Array, Array, Array]:
    """Return the fade out, the fade in, and twice their product, [OVERLAP] each."""
    theta = (np.arange(OVERLAP) + 0.5) * (np.pi / 2 / OVERLAP)
    return np.cos(theta), np.sin(theta), np.sin(2 * theta)
