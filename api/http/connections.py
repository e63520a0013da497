"""Connections to the HTTP process: how many there may be, and for how long one may say nothing.

All of it comes before any key is asked for: whoever can reach the port can open connections.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from api.operations.log_rate import log_seldom

HEADER_S = 10.0  # for the head of a request to come, from the connection or the answer before it
BACKLOG = 64  # connections that are accepted in one go
OWN_FILES = 64  # descriptors for databases, audio and pipes to workers


class PatientProtocol(H11Protocol):
    """One connection: closed when no request comes, or when there are too many like it.

    Where there are too many, the one goes that has waited longest for a request: whoever asks is
    answered, however many there are that say nothing.
    """

    most = 512

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        self.waiting: asyncio.TimerHandle | None = None  # until a request must have come
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a request whose head is complete is waited for no more."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        self.waiting = self.loop.call_later(HEADER_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def _make_room(self) -> None:
        log_seldom(f"{self.most} connections are open, the most there may be: idle ones are closed")
        idle = [
            (other.waiting.when(), other)
            for other in self.connections
            if isinstance(other, PatientProtocol) and other.waiting is not None
        ]
        _, stalest = min(idle, key=lambda waiting: waiting[0])
        self.connections.discard(stalest)
        stalest.transport.abort()


def limited(most: int) -> type[PatientProtocol]:
    """Return the protocol for at most so many connections, or as many as there are files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(most, max(files - BACKLOG - OWN_FILES, 1))
    return type("LimitedProtocol", (PatientProtocol,), {"most": most})


def report_seldom(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in the event loop; that there are no descriptors, once a minute."""
    error = context.get("exception")
    if isinstance(error, OSError) and "accept" in context["message"]:
        log_seldom(f"No connection can be accepted: {error.strerror}")
    else:
        loop.default_exception_handler(context)
