"""Bodies that are made on the way, any byte range of them (RFC 9110, 13 and 14)."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Send

from api.operations.log_rate import log_seldom
from audiostory_core.errors import UnreadableAudio

SINGLE = re.compile(r"bytes=\s*(\d{0,40})-(\d{0,40})\s*", re.IGNORECASE | re.ASCII)
OPENING = 2  # chunks read before the answer begins: what cannot be read is then still an error


@dataclass(frozen=True)
class Body:
    """A file as HTTP sees it, whether or not there is one."""

    media_type: str
    etag: str  # strong, with its quotes
    name: str  # for whoever saves it
    length: int  # bytes
    read: Callable[[int, int], Iterator[bytes]]  # from the first byte to the last, inclusive


class _Stream(StreamingResponse):
    """Ends early where the rest cannot be read: the server closes the connection then."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except UnreadableAudio as error:
            log_seldom(f"A body was broken off: {error}")


async def respond(request: Request, body: Body) -> Response:
    """Answer GET or HEAD: the whole, the range asked for, or that the client has it.

    Raises:
        HTTPException: 416 if the range lies beyond the body.
    """
    headers = {
        "ETag": body.etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{body.name}"',
    }
    if _is_unchanged(request, body.etag):
        return Response(status_code=304, headers=headers)
    wanted = wanted_range(request, body.etag, body.length)
    first, last = wanted or (0, body.length - 1)
    headers["Content-Length"] = str(last - first + 1)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{body.length}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=body.media_type)
    chunks = body.read(first, last)
    opening = await asyncio.to_thread(lambda: list(islice(chunks, OPENING)))
    return _Stream(chain(opening, chunks), status, headers, body.media_type)


def wanted_range(request: Request, etag: str, length: int) -> tuple[int, int] | None:
    """Return the first and last byte that are asked for; None is the whole body.

    Several ranges at once, another unit, a method other than GET, or an If-Range that does not
    match give the whole, as RFC 9110 allows or demands.

    Raises:
        HTTPException: 416 if the range lies beyond the body.
    """
    match = SINGLE.fullmatch(request.headers.get("range", ""))
    if match is None or request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        start, stop = max(length - int(last), 0), length - 1
    else:
        start, stop = int(first), min(int(last or length), length - 1)
        if last and int(last) < start:
            return None
    if start >= length:
        raise HTTPException(
            416,
            f"The body has {length} bytes; ask for a range within it.",
            {"Content-Range": f"bytes */{length}"},
        )
    return start, stop


def _is_unchanged(request: Request, etag: str) -> bool:
    tags_header = request.headers.get("if-none-match")
    if tags_header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in tags_header.split(",")]
    return "*" in tags or etag in tags
