"""A receiver of webhooks: a real HTTP server that answers as it is told and keeps what it got."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Got:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict:
        return json.loads(self.body)

    @property
    def number(self) -> int:
        return self.told["data"]["number"]


Answering = Callable[[Got], str | bytes]  # status line and headers to answer with
OK = "204 No Content"


@dataclass
class Receiver:
    """What came in, and how to answer it."""

    answer: Answering = lambda got: OK
    raw: bytes | None = None  # what is sent instead of an answer, as it is
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def numbers(self) -> list[int]:
        return [request.number for request in self.got]

    async def wait_for(self, count: int, patience_s: float = 10.0) -> None:
        deadline = time.monotonic() + patience_s
        while len(self.got) < count:
            assert time.monotonic() < deadline, f"got {len(self.got)} of {count}"
            await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            pairs = (line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Got(first.split(" ")[1], headers, body)
            self.got.append(request)
            told = "" if self.raw is not None else self.answer(request)
            if self.raw:
                writer.write(self.raw)
                await writer.drain()
            if told:
                head = f"HTTP/1.1 {told}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
