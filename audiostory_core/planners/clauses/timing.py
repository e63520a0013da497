"""How the total is shared: natural lengths, merging, splitting, whole samples."""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from audiostory_core.planners.clauses.clause_splitter import Bond
from audiostory_core.story.plan import SAMPLE_RATE, SHORTEST_SUB_EVENT_S, samples_of, whole_samples

COMFORTABLE_SHORTEST_S = 2.5  # shorter events merge with a neighbor
_LONGER_SHORTEST_S = 6.0  # the same, of stories long enough for it
SEAM_S, SEAM_SHARE = 2.0, 0.2  # what foley leaves before the first turn of a scene, at most
OVER_SEAM_S = 1.0  # where lines go on after a seam of 3 s: -6 dB, and no pause that is too long
OPENING_S, ENDING_S = 0.5, 1.2  # before and after the lines of a story
_HURRIED = 0.03  # the error of an estimate
_REST_S = 0.5  # of what is left after a line
_MOST_NUMBERED = 100  # clauses of one numbered scene; a plan bounds the layers of a scene
_MANY = 12  # sub-events of that length
COMFORTABLE_LONGEST_S = 20.0  # longer ones are parted where they only hang together weakly
_LONGEST_ACCOMPANIED_S = 30.0  # the same, where other events make the story


@dataclass
class Share:
    """A run of clauses that share one sub-event, and its part of the total, in seconds."""

    first: int  # index of the first clause
    last: int  # of the last, included
    target_s: float
    spoken: float = 0.0
    bond: Bond = Bond.BLOCK  # before it
    is_timed: bool = False  # the text gives its time
    enters: bool = False  # begins elsewhere than where the one before ends
    is_talk: bool = False  # nothing is heard in it but lines
    goes_on: bool = False  # its lines follow on those before it
    scene: int = 0  # the numbered line it is part of; 0: none


def spread(weights: Sequence[float], floors: Sequence[float], total: float) -> list[float]:
    """Share a total in proportion to weights, but give each at least its floor.

    Floors that do not fit are scaled down together.
    """
    needed = math.fsum(floors)
    if needed >= total:
        return [floor * total / needed for floor in floors]
    by_need = sorted(range(len(weights)), key=lambda i: (-floors[i] / max(weights[i], 1e-9), i))
    left_weight, left_total = math.fsum(weights), total
    shares = [0.0] * len(weights)
    for position, i in enumerate(by_need):
        if left_weight * floors[i] <= left_total * weights[i]:
            rate = left_total / left_weight
            for j in by_need[position:]:
                shares[j] = rate * weights[j]
            break
        shares[i] = floors[i]
        left_weight -= weights[i]
        left_total -= floors[i]
    return shares


def merge(shares: Sequence[Share], total_s: float, longest_s: float) -> list[Share]:
    """Merge neighbors until each is comfortable and all fit the total, in order.

    Events of stated times, and events either side of a stated time, merge only where the total
    forces it.
    """
    most = max(1, math.floor(total_s / SHORTEST_SUB_EVENT_S))
    chain = _Chain(shares)
    shortest_s = _comfortable_shortest_s(total_s)
    chain.merge_while(lambda left, right: _may_merge(left, right, longest_s, shortest_s), 1)
    chain.merge_while(
        lambda left, right: _accompanies(left, right, min(longest_s, _LONGEST_ACCOMPANIED_S)), 2
    )
    chain.merge_while(lambda left, right: True, most)
    return list(chain)


def _comfortable_shortest_s(total_s: float) -> float:
    """Return below what length an event merges with a neighbor in a story of this length."""
    return min(max(total_s / _MANY, COMFORTABLE_SHORTEST_S), _LONGER_SHORTEST_S)


def _may_merge(left: Share, right: Share, longest_s: float, shortest_s: float) -> bool:
    if left.is_timed or right.is_timed or right.bond is Bond.STAMP or left.scene != right.scene:
        return False
    whole_s = left.target_s + right.target_s
    if left.scene:
        return (
            right.last - left.first < _MOST_NUMBERED
            and max(whole_s, left.spoken + right.spoken + SEAM_S) <= longest_s
        )
    if right.enters:
        return False
    if whole_s > longest_s or left.spoken + right.spoken > longest_s:
        return False
    if left.is_talk and right.is_talk:  # a seam between two lines takes time
        return max(whole_s, left.spoken + right.spoken) <= longest_s - SEAM_S
    if whole_s > COMFORTABLE_LONGEST_S:
        return False
    return right.bond <= Bond.WEAK or min(_full_s(left), _full_s(right)) < shortest_s


def _full_s(share: Share) -> float:
    """Return how long an event is with all that it gets; a line is never too short for a scene."""
    return max(share.target_s + SEAM_S, _LONGER_SHORTEST_S) if share.is_talk else share.target_s


def _accompanies(left: Share, right: Share, longest_s: float) -> bool:
    """Return whether the right one only says what is heard beside the left one."""
    if left.is_timed or right.is_timed or right.bond > Bond.WEAK:
        return False
    return left.target_s + right.target_s <= longest_s


_Allowed = Callable[[Share, Share], bool]


class _Chain:
    """Shares in a linked list, so that merging the cheapest pair takes logarithmic time."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares: list[Share | None] = list(shares)
        self._after = [*range(1, len(shares)), -1]
        self._before = list(range(-1, len(shares) - 1))
        self._count = len(shares)

    def __iter__(self) -> Iterator[Share]:
        return (share for share in self._shares if share is not None)

    def merge_while(self, allowed: _Allowed, fewest: int) -> None:
        heap = [entry for i in range(len(self._shares)) if (entry := self._entry(i, allowed))]
        heapq.heapify(heap)
        while heap and self._count > fewest:
            entry = heapq.heappop(heap)
            left = entry[1]
            if self._entry(left, allowed) != entry:
                continue
            self._join(left, entry[2])
            for changed in (self._before[left], left):
                fresh = self._entry(changed, allowed)
                if fresh:
                    heapq.heappush(heap, fresh)

    def _entry(self, left: int, allowed: _Allowed) -> tuple[float, int, int] | None:
        first = self._shares[left] if left >= 0 else None
        right = self._after[left] if first else -1
        second = self._shares[right] if right >= 0 else None
        if first is None or second is None or not allowed(first, second):
            return None
        firmness = (1.0 + second.bond) * (4.0 if first.is_timed or second.is_timed else 1.0)
        return (first.target_s + second.target_s) * firmness, left, right

    def _join(self, left: int, right: int) -> None:
        first, second = self._shares[left], self._shares[right]
        assert first is not None
        assert second is not None
        self._shares[left] = Share(
            first.first, second.last, first.target_s + second.target_s,
            first.spoken + second.spoken, first.bond, first.is_timed or second.is_timed, first.enters,
            first.is_talk and second.is_talk, scene=first.scene,
        )  # fmt: skip
        self._shares[right] = None
        self._after[left] = self._after[right]
        if self._after[right] >= 0:
            self._before[self._after[right]] = left
        self._count -= 1


def with_leads(shares: Sequence[Share]) -> list[Share]:
    """Return shares that have time for what foley leaves before the first turn of a scene.

    Where lines go on over a seam, those after it start sooner than foley would have them, and
    those before it are said a little faster, lest the estimate leave a pause.
    """
    led: list[Share] = []
    for before, share in zip([None, *shares], shares, strict=False):
        goes_on = before is not None and _goes_on(before, share)
        need = share.spoken
        if goes_on:
            led[-1] = _closed(led[-1])
            need += OVER_SEAM_S
        elif before is not None and need:
            need = min(need + SEAM_S, need / (1 - SEAM_SHARE))
        if need and before is None:
            need += OPENING_S
        if need and share is shares[-1]:
            need += ENDING_S
        target_s = share.target_s if share.is_timed else max(share.target_s, need)
        led.append(replace(share, spoken=need, target_s=target_s, goes_on=goes_on))
    return led


def _closed(share: Share) -> Share:
    """Return a share without a rest after its lines."""
    need = share.spoken * (1 - _HURRIED) - _REST_S
    return replace(share, spoken=need, target_s=need)


def _goes_on(before: Share, share: Share) -> bool:
    if before.is_timed or share.is_timed or share.enters or share.bond is Bond.STAMP:
        return False
    return before.is_talk and share.is_talk


def samples_for(shares: Sequence[Share], total_s: float) -> list[int]:
    """Return the samples of each share: at least the shortest sub-event, adding up exactly."""
    least = samples_of(SHORTEST_SUB_EVENT_S)
    floors = [
        max(SHORTEST_SUB_EVENT_S, 0.0 if share.is_timed else share.spoken) for share in shares
    ]
    seconds = spread([share.target_s for share in shares], floors, total_s)
    extra = [max(0.0, second - SHORTEST_SUB_EVENT_S) for second in seconds]
    free = samples_of(total_s) - least * len(shares)
    if not any(extra):
        extra = [1.0] * len(shares)
    return [least + more for more in whole_samples(extra, free)]


def parts_of(samples: int, longest_s: float, spoken: float) -> list[int]:
    """Split a stretch into the fewest clips within the limit; speech fits the first if it can."""
    longest = math.floor(longest_s * SAMPLE_RATE)
    count = -(-samples // longest)
    if count == 1:
        return [samples]
    least = samples_of(SHORTEST_SUB_EVENT_S)
    even = samples // count
    first = min(longest, max(even, samples_of(spoken)), samples - least * (count - 1))
    rest = samples - first
    ends = [rest * i // (count - 1) for i in range(count)]
    return [first, *(end - start for start, end in pairwise(ends))]
