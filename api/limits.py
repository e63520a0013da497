"""Limits on who may send a request, and on how much."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem

MOST_BODY_BYTES = 4 << 20  # the longest instruction as JSON, and a plan beside it
MOST_READ_BYTES = 64 << 20  # of a body that is refused: a client reads an answer once it has sent
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LoopbackOnly:
    """Keeps pages of other sites out: the loopback address alone does not.

    A name of theirs may be made to resolve to it (DNS rebinding), and a form of theirs may be
    posted to it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless a page of another site made it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        answer: ASGIApp = self.app
        if _name_of(host) not in LOOPBACK_NAMES:
            answer = problem(
                400,
                f"This service does not answer to the name {host[:80]!r}.",
                field="Host",
                value=host[:80],
                remedy="Use http://127.0.0.1 or http://localhost.",
            )
        elif scope["method"] not in SAFE_METHODS and headers.get("sec-fetch-site") == "cross-site":
            answer = problem(
                403,
                "A page of another site sent this.",
                field="Sec-Fetch-Site",
                value="cross-site",
                remedy="Send it from a page of this service, or from a program.",
            )
        await answer(scope, receive, send)


class BodyLimit:
    """Refuses bodies over `MOST_BODY_BYTES`, announced or not, before anything looks at them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body read, unless that is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, length, has_more = bytearray(), 0, True
        while has_more and length <= MOST_READ_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunk = message.get("body", b"")
            length += len(chunk)
            has_more = message.get("more_body", False)
            if length <= MOST_BODY_BYTES:
                body += chunk
        if length <= MOST_BODY_BYTES:
            await self.app(scope, _replayed(bytes(body), receive), send)
            return
        answer = problem(
            413,
            f"The body is larger than {MOST_BODY_BYTES >> 20} MiB.",
            {"Connection": "close"},
            field="body",
            value=f"more than {MOST_BODY_BYTES} bytes",
            remedy="Make several stories of it.",
        )
        await answer(scope, receive, send)


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Give the body as one message, then whatever else is received."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
