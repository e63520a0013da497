"""What a worker leaves alone for a while because it cannot be done now."""

import math
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

LONGEST_REST_S = 60.0

Key = TypeVar("Key", bound=Hashable)


class Resting(Generic[Key]):
    """Keys that rest, the next one for twice as long as the last, until something is done again.

    Args:
        first_s: how long the first rests.
    """

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._rest_s = 0.0
        self._until: dict[Key, float] = {}  # by the monotonic clock

    def let_rest(self, key: Key) -> None:
        """Leave a key alone for a while."""
        self._rest_s = min(max(self._first_s, 2 * self._rest_s), LONGEST_REST_S)
        self._until[key] = time.monotonic() + self._rest_s

    def keys(self) -> list[Key]:
        """List what rests now."""
        now_s = time.monotonic()
        self._until = {key: until for key, until in self._until.items() if until > now_s}
        return list(self._until)

    def until_next_s(self, most_s: float) -> float:
        """Return how long to wait at most: for the first that rests, if it is sooner."""
        soonest_s = min(self._until.values(), default=math.inf) - time.monotonic()
        return max(min(most_s, soonest_s), 0.0)

    def reset(self) -> None:
        """Begin with short rests again."""
        self._rest_s = 0.0
