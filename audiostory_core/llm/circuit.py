"""When a server that fails is left alone for a while."""

import time
from collections.abc import Callable
from threading import Lock


class Circuit:
    """Counts failures in a row; after too many, no request is sent until a rest is over.

    Then one caller may try; the others go on resting until that one has an answer.

    Args:
        most: failures in a row that are borne.
        rest_s: how long the server is left alone then.
        clock: seconds that only grow.
    """

    def __init__(
        self, most: int, rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0
        self._lock = Lock()

    def enter(self) -> float:
        """Return 0 if a request may be sent now, else the seconds until it may."""
        with self._lock:
            now = self._clock()
            if self._failures < self._most:
                return 0.0
            if now < self._rests_until:
                return self._rests_until - now
            self._rests_until = now + self._rest_s
            return 0.0

    def succeed(self) -> None:
        """Note that the server answered, whatever it said."""
        with self._lock:
            self._failures = 0

    def fail(self) -> None:
        """Note that the server did not answer, or answered that it cannot."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._most:
                self._rests_until = self._clock() + self._rest_s
