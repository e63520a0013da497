"""How loud each stem is in the mix, sample by sample: gains, and ducking under speech.

    music      ─────╲____________╱─────      0 dB, and depth_db less while somebody speaks
    dialogue         ▐ a line ▌
                    ←─ attack   ─→ release

The gain at a sample depends on where that sample is and on nothing else that is read with it, so
every stretch equals the same stretch of the whole, to the bit. All ramps are straight lines in dB.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audiostory_core.errors import BadInput, first_problem
from audiostory_core.stem import Stem
from audiostory_core.story.mix import Ducking
from audiostory_core.story.plan import samples_of

DUCKED = (Stem.MUSIC, Stem.EFFECTS)
QUIETEST_DB, LOUDEST_DB = -120.0, 24.0  # a story's and a scene's gain together
UNITY = np.float32(1.0)
RAMP_BLOCK = 1 << 15  # samples of a ramp that are worked out at once

_place = _start = itemgetter(0)
_stop = itemgetter(1)

Gain = np.float32 | NDArray[np.float32]  # of every sample alike, or [N]
Sample = Annotated[int, Field(ge=0)]
Interval = tuple[Sample, Sample]  # [start, stop), in samples
GainPoint = tuple[Sample, Annotated[float, Field(ge=QUIETEST_DB, le=LOUDEST_DB)]]  # sample, dB


class Balance(BaseModel):
    """The gain of every stem over a story.

    Attributes:
        gains: points between which a stem's gain is a straight line in dB, rising in time; the
            gain is constant before the first and after the last. Of two at one sample the later
            counts from there on. A stem without any is heard as it is.
        ducking: of music and effects under speech; None is none.
        spoken: where somebody speaks, rising and apart; see `merged`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    gains: dict[Stem, tuple[GainPoint, ...]] = {}
    ducking: Ducking | None = None
    spoken: tuple[Interval, ...] = ()

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for stem, points in self.gains.items():
            if any(at > after for (at, _), (after, _) in pairwise(points)):
                raise ValueError(f"the gains of {stem} go back in time")
        if any(start >= stop for start, stop in self.spoken):
            raise ValueError("something is spoken that takes no time")
        if any(stop >= start for (_, stop), (start, _) in pairwise(self.spoken)):
            raise ValueError("what is spoken overlaps or goes back in time")
        return self

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `as_json` wrote.

        Raises:
            BadInput: if it is anything else.
        """
        try:
            return cls.model_validate_json(json.dumps(value))
        except ValidationError as error:
            where, bad, problem = first_problem(error)
            field = f"balance.{where}" if where else "balance"
            raise BadInput(field, bad, problem, "Make the mix again.") from error

    def as_json(self) -> dict[str, Any]:
        """Return the balance for JSON."""
        return self.model_dump(mode="json")

    def gain(self, stem: Stem, start: int, stop: int) -> Gain:
        """Return the linear gain of a stem from sample `start` to `stop` of the story.

        Returns:
            A scalar where it is the same all over, otherwise [stop - start].
        """
        return self._level(stem, start, stop) * self._ducked(stem, start, stop)

    def around(self, start: int, stop: int, stems: Iterable[Stem]) -> dict[str, Any]:
        """Return what decides the gains of some stems from `start` to `stop`, for JSON and keys.

        It is counted from `start`: what is equal sounds equal, wherever it lies in a story.
        """
        heard = sorted(set(stems))
        gains = {stem.value: self._described(stem, start, stop) for stem in heard}
        spoken = [
            [min(max(first, start), last) - start, max(min(last, stop), first) - start]
            for first, last in (self._near(start, stop) if set(heard) & set(DUCKED) else ())
        ]
        return {
            "gains": {
                stem: lines for stem, lines in gains.items() if lines not in ([], [[0, 0.0]])
            },
            "ducking": self.ducking.model_dump() if self.ducking and spoken else None,
            "spoken": spoken,
        }

    def _described(self, stem: Stem, start: int, stop: int) -> list[list[float]]:
        """Describe a stem's gain without ducking; a constant loses where it begins and ends."""
        described: list[list[float]] = []
        for line in self._lines(stem, start, stop):
            if line.is_ramp:
                ramp = [line.begin - start, line.from_db, line.end - start, line.to_db]
                described.append([value + 0 for value in ramp])  # -0.0 becomes 0.0
            elif not described or len(described[-1]) > 2 or described[-1][1] != line.from_db:
                described.append([line.start - start, line.from_db + 0.0])
        return described

    def _level(self, stem: Stem, start: int, stop: int) -> Gain:
        """Return the gain without ducking."""
        lines = list(self._lines(stem, start, stop))
        if not lines:
            return UNITY
        if len({gain_db for line in lines for gain_db in (line.from_db, line.to_db)}) == 1:
            return _linear(lines[0].from_db)
        gains = np.empty(stop - start, np.float32)
        for line in lines:
            gains[line.start - start : line.stop - start] = (
                _ramp(line.begin, line.end, line.from_db, line.to_db, line.start, line.stop)
                if line.is_ramp
                else _linear(line.from_db)
            )
        return gains

    def _lines(self, stem: Stem, start: int, stop: int) -> Iterator["_Line"]:
        """Yield the straight lines of a stem's gain from `start` to `stop`, in order."""
        points = self.gains.get(stem, ())
        index = bisect_right(points, start, key=_place)
        while points and start < stop:
            begin, from_db = points[max(index - 1, 0)]
            end, to_db = points[index] if index < len(points) else (stop, from_db)
            until = min(end, stop)
            if start < until:
                yield _Line(start, until, begin, end, from_db if index else to_db, to_db)
            start, index = max(start, until), index + 1

    def _ducked(self, stem: Stem, start: int, stop: int) -> Gain:
        """Return the gain by ducking alone."""
        near = self._near(start, stop) if stem in DUCKED else ()
        if not near or self.ducking is None:
            return UNITY
        depth_db = self.ducking.depth_db
        attack, release = samples_of(self.ducking.attack_s), samples_of(self.ducking.release_s)
        if near[0][0] <= start and stop <= near[0][1]:
            return _linear(-depth_db)
        gains = np.ones(stop - start, np.float32)
        for first, last in near:
            ramps = (
                (first - attack, first, 0.0, -depth_db),
                (last, last + release, -depth_db, 0.0),
            )
            for begin, end, from_db, to_db in ramps:
                at, until = max(begin, start), min(end, stop)
                if at < until:
                    heard = gains[at - start : until - start]
                    np.minimum(heard, _ramp(begin, end, from_db, to_db, at, until), out=heard)
        for first, last in near:
            gains[max(first - start, 0) : max(last - start, 0)] = _linear(-depth_db)
        return gains

    def _near(self, start: int, stop: int) -> tuple[Interval, ...]:
        """Return what is spoken so near that it ducks something between `start` and `stop`."""
        if self.ducking is None or self.ducking.depth_db == 0 or start >= stop:
            return ()
        attack, release = samples_of(self.ducking.attack_s), samples_of(self.ducking.release_s)
        first = bisect_right(self.spoken, start - release, key=_stop)
        last = bisect_left(self.spoken, stop + attack - 1, key=_start)
        # Of what is over before, or begins after, all but the nearest is drowned by that.
        before = bisect_right(self.spoken, start, key=_stop) - 1
        after = bisect_left(self.spoken, stop, key=_start)
        return self.spoken[max(first, before) : min(last, after + 1)]


class _Line(NamedTuple):
    """A stretch in which a gain goes straight: from `start` to `stop`, of all of the line."""

    start: int
    stop: int
    begin: int
    end: int
    from_db: float
    to_db: float

    @property
    def is_ramp(self) -> bool:
        return self.from_db != self.to_db


def gain_points(levels: Iterable[tuple[int, int, float]]) -> tuple[GainPoint, ...]:
    """Return the points of a gain that changes from scene to scene.

    Args:
        levels: of each scene in order, its first sample, over how many samples from there its
            gain takes over, and that gain in dB.
    """
    points: list[GainPoint] = []
    for start, ramp, gain_db in levels:
        if not points:
            points.append((start, gain_db))
        elif points[-1][1] != gain_db:
            points += [(start, points[-1][1]), (start + ramp, gain_db)]
    return tuple(points)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return what intervals cover: rising, apart, none empty."""
    covered: list[Interval] = []
    for start, stop in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if covered and start <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(stop, covered[-1][1]))
        else:
            covered.append((start, stop))
    return tuple(covered)


def _ramp(
    begin: int, end: int, from_db: float, to_db: float, start: int, stop: int
) -> NDArray[np.float32]:
    """Return a ramp from `begin` to `end` where it lies between `start` and `stop`."""
    first = (start - begin) // RAMP_BLOCK
    blocks = [
        _ramp_block(end - begin, from_db, to_db, block)
        for block in range(first, -(-(stop - begin) // RAMP_BLOCK))
    ]
    ramp = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    skipped = begin + first * RAMP_BLOCK
    return ramp[start - skipped : stop - skipped]


@lru_cache(maxsize=32)  # 4 MiB; attack and release are the same for every word of a story
def _ramp_block(samples: int, from_db: float, to_db: float, block: int) -> NDArray[np.float32]:
    at = np.arange(block * RAMP_BLOCK, min((block + 1) * RAMP_BLOCK, samples))
    gains = 10 ** ((from_db + (to_db - from_db) * (at / samples)) / 20)
    return gains.astype(np.float32)


def _linear(gain_db: float) -> np.float32:
    return np.float32(10 ** (gain_db / 20))
