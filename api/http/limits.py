"""Limits on where a request may come from, on how often, and on how much."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import problem, unusable
from storage.errors import StoreError

MAX_BODY_BYTES = 4 << 20  # the longest instruction as JSON, and a plan beside it
MAX_READ_BYTES = 256 << 20  # of a body that is refused
MAX_HELD_BYTES = 32 << 20  # of all bodies that are being received or answered together,
FREE_BYTES = 64 << 10  # beyond so many of each
BODY_S = 60.0  # for a body to come,
PIECE_S = 10.0  # and for the next piece of it
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BUCKETS = 10_000
MINUTE_S = 60.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LoopbackOnly:
    """Keeps pages of other sites out: the loopback address alone does not.

    A name of theirs may be made to resolve to it (DNS rebinding), and a form of theirs may be
    posted to it. Where a key is needed the service has any name: pages of others lack the key.

    Args:
        app: what is behind this.
        is_key_needed: tells so.
    """

    def __init__(self, app: ASGIApp, is_key_needed: Callable[[], Awaitable[bool]]) -> None:
        self.app = app
        self._is_key_needed = is_key_needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless a page of another site made it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _foreign(scope)
        if answer is not None:
            try:
                if await self._is_key_needed():
                    answer = None
            except StoreError as error:
                answer = unusable(error)
        await (self.app if answer is None else answer)(scope, receive, send)


class Buckets:
    """Counts requests per name: a minute's worth at once, then evenly; idle names are forgotten.

    Args:
        per_minute: how many a name may send.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_s = per_minute / MINUTE_S
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def __len__(self) -> int:
        return len(self._left)

    def take(self, name: str, now: float) -> float:
        """Take one for `name`, if there is one.

        Args:
            name: who sends the request.
            now: in seconds; must not go back.

        Returns:
            0.0, or the seconds until there is one again.
        """
        left, at = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        wait_s = 0.0 if left >= 1.0 else (1.0 - left) / self._per_s
        self._left[name] = (left if wait_s else left - 1.0, now)
        self._left.move_to_end(name)
        self._forget(now)
        return wait_s

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full again, and the stalest ones beyond `MAX_BUCKETS`."""
        while self._left:
            stalest = next(iter(self._left))
            if len(self._left) <= MAX_BUCKETS and now - self._left[stalest][1] < MINUTE_S:
                return
            del self._left[stalest]


class BodyLimit:
    """Receives bodies before anything looks at them; refuses what is too large or too slow.

    What all clients together have sent and not been answered yet is kept within bounds, too, so
    that bodies which never end hold little memory. Small bodies are received in any case.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._held = 0  # bytes beyond `FREE_BYTES` of each body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _announced(Headers(scope=scope)) > MAX_BODY_BYTES:
            await refuse(_too_large(), scope, receive, send)
            return
        body = bytearray()
        try:
            refusal, has_more = await self._read(body, receive)
            if refusal is None:
                await self.app(scope, _replayed(bytes(body), receive), send)
            elif has_more:
                await refuse(refusal, scope, receive, send)
            else:
                await refusal(scope, receive, send)
        finally:
            self._held -= _beyond_free(body)

    async def _read(self, body: bytearray, receive: Receive) -> tuple[ASGIApp | None, bool]:
        """Read a body; return what to answer instead of passing it on, and whether more comes."""
        has_more = True
        try:
            async with asyncio.timeout(BODY_S):
                while has_more:
                    message = await _receive(receive)
                    self._held -= _beyond_free(body)
                    body += message.get("body", b"")
                    self._held += _beyond_free(body)
                    has_more = message.get("more_body", False)
                    refusal = self._refusal(body, has_more=has_more)
                    if refusal is not None:
                        self._held -= _beyond_free(body)
                        body.clear()  # it is not kept while the rest of it comes
                        return refusal, has_more
        except TimeoutError:
            return _too_slow(), False
        except ClientDisconnect:
            return _nothing, False
        return None, False

    def _refusal(self, body: bytearray, *, has_more: bool) -> ASGIApp | None:
        if len(body) > MAX_BODY_BYTES:
            return _too_large()
        if has_more and len(body) > FREE_BYTES and self._held > MAX_HELD_BYTES:
            return _too_many()
        return None


async def refuse(answer: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, then receive what the client still sends, up to `MAX_READ_BYTES`, unkept.

    Many a client looks for an answer only once it has sent everything, and never finds it if it is
    cut off before. One that asks first (`Expect`, as curl does) has sent nothing, and will not.
    """

    async def send_unfinished(message: Message) -> None:
        await send({**message, "more_body": True} if "body" in message else message)

    await answer(scope, receive, send_unfinished)
    has_more = Headers(scope=scope).get("expect", "").lower() != "100-continue"
    length = 0
    with suppress(ClientDisconnect, TimeoutError):
        async with asyncio.timeout(BODY_S):
            while has_more and length <= MAX_READ_BYTES:
                message = await _receive(receive)
                length += len(message.get("body", b""))
                has_more = message.get("more_body", False)
    await send({"type": "http.response.body", "body": b""})


def _foreign(scope: Scope) -> ASGIApp | None:
    """Return what to answer a page of another site; None to everybody else."""
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if _name_of(host) not in LOOPBACK_NAMES:
        return problem(
            400,
            f"This service does not answer to the name {host[:80]!r}.",
            field="Host",
            value=host[:80],
            remedy="Use http://127.0.0.1 or http://localhost.",
        )
    if scope["method"] not in SAFE_METHODS and headers.get("sec-fetch-site") == "cross-site":
        return problem(
            403,
            "A page of another site sent this.",
            field="Sec-Fetch-Site",
            value="cross-site",
            remedy="Send it from a page of this service, or from a program.",
        )
    return None


async def _receive(receive: Receive) -> Message:
    """Receive the next piece of a body.

    Raises:
        ClientDisconnect: if the client has gone.
        TimeoutError: if it does not come.
    """
    async with asyncio.timeout(PIECE_S):
        message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nobody."""


def _beyond_free(body: bytearray) -> int:
    return max(len(body) - FREE_BYTES, 0)


def _too_large() -> ASGIApp:
    return problem(
        413,
        f"The body is larger than {MAX_BODY_BYTES >> 20} MiB.",
        {"Connection": "close"},
        field="body",
        value=f"more than {MAX_BODY_BYTES} bytes",
        remedy="Make several stories of it.",
    )


def _too_many() -> ASGIApp:
    headers = {"Connection": "close", "Retry-After": str(int(PIECE_S))}
    detail = "Too many large bodies are being sent at once."
    return problem(503, detail, headers, field="body", remedy=f"Send it again in {PIECE_S:g} s.")


def _too_slow() -> ASGIApp:
    detail = f"The body did not come within {BODY_S:g} s, or a piece of it within {PIECE_S:g} s."
    remedy = "Send it again, over a quicker connection."
    return problem(408, detail, {"Connection": "close"}, field="body", remedy=remedy)


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


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
