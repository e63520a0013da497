"""Sending what is on its way to webhooks; runs inside `serve` and inside nothing else.

Requests are signed as Standard Webhooks 1.0 has it, so that its libraries verify them.

Source:
    https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
    Differs: up to three redirects are followed, each checked like the first address.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import httpcore

from api.settings import Settings
from api.terminal.shown import shown
from api.webhooks.addresses import Judge, Resolver, check_url, find_addresses, judge, resolve
from audiostory_core.errors import BadInput
from storage import webhooks
from storage.database import Database
from storage.errors import StoreError
from storage.webhooks import Outgoing

TIMEOUT_S = 10.0  # of an attempt, from resolving the name to the end of the answer
LEASE_S = 30.0  # nobody else sends what is being sent
MAX_AT_ONCE = 8
MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 307, 308})  # 303 would be fetched, not posted to
GONE = 410
MAX_READ_BYTES = 4096  # of an answer
JITTER = 0.25  # a wait is longer by up to this share of it
LONGEST_WAIT_S = 6 * 3600.0  # that an answer may ask for
LOOK_S = 0.1  # between two looks for what is due, at least
LONGEST_REST_S = 30.0  # and at most
STORE_WAIT_S = 5.0  # before the store is asked again after it failed
RESTART_S = 1.0  # before sending begins again after it broke off
STABLE_S = 30.0  # what was sent for this long begins again with a short wait
LONGEST_RESTART_S = 60.0
LONGEST_ERROR = 500  # characters that are noted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """How an attempt ended."""

    status: int | None  # of HTTP; None if there was no answer
    error: str | None = None  # None: it arrived
    wait_s: float = 0.0  # at least, before the next attempt


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, each the very one that was checked.

    TLS still verifies the name that the URL has, for httpcore takes that from the URL.

    Args:
        is_allowed: tells which addresses are.
        resolver: of host names; called once a connection.
    """

    def __init__(self, is_allowed: Judge, resolver: Resolver) -> None:
        self._is_allowed = is_allowed
        self._resolver = resolver
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            BadInput: if one of its addresses is refused.
            ConnectError: if none answers.
        """
        *others, last = await find_addresses(host, port, self._is_allowed, self._resolver)
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)


class Sender:
    """Sends deliveries as they fall due; several may run beside each other on one database.

    Args:
        database: where they are.
        settings: how long to wait between attempts, and whether private targets will do.
        is_allowed: tells which addresses may be connected to; None: the settings do.
        resolver: of host names.
        tls: verifies servers; None trusts the usual authorities.
        restart_s: until sending begins again after it broke off; twice as long each time.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        is_allowed: Judge | None = None,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        restart_s: float = RESTART_S,
    ) -> None:
        self._sending: asyncio.Task[None] | None = None
        self._restart_s = restart_s
        self._database = database
        self._allow_private = settings.webhook_allow_private
        self._waits_s: Sequence[float] = settings.webhook_waits_s
        self._tls = tls or httpcore.default_ssl_context()
        self._network = CheckedNetwork(
            is_allowed or judge(allow_private=self._allow_private), resolver
        )

    @property
    def is_running(self) -> bool:
        """Whether what falls due is sent; False between a failure and the next beginning."""
        return self._sending is not None and not self._sending.done()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send for the duration of the block; what is then on its way is sent again later."""
        keeping = asyncio.create_task(self._keep_sending())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep_sending(self) -> None:
        """Send for ever; what nobody foresaw is logged, and sending begins again after a wait."""
        loop = asyncio.get_running_loop()
        wait_s = self._restart_s
        while True:
            started = loop.time()
            self._sending = asyncio.create_task(self.send_forever())
            error = await _outcome(self._sending)
            if loop.time() - started > STABLE_S:
                wait_s = self._restart_s
            log.error("webhooks are not sent; beginning again in %g s", wait_s, exc_info=error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_RESTART_S)

    async def send_forever(self) -> None:
        """Send what falls due until cancelled."""
        busy: set[asyncio.Task[None]] = set()
        try:
            while True:
                seen = self._database.changes()
                claimed, wait_s = await self._claim(MAX_AT_ONCE - len(busy))
                busy |= {asyncio.create_task(self.send(outgoing)) for outgoing in claimed}
                if not claimed:
                    busy -= await self._rest(busy, seen, wait_s)
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    async def send(self, outgoing: Outgoing) -> None:
        """Make one attempt at a claimed delivery and note how it ended, whatever it raised."""
        answer = await self._attempt(outgoing)
        try:
            await self._note(outgoing, answer)
        except StoreError as error:  # its lease runs out, and it is sent once more
            log.warning("delivery %d could not be noted: %s", outgoing.id, error)

    async def _claim(self, most: int) -> tuple[list[Outgoing], float]:
        """Return what was claimed, and the seconds until something else falls due."""
        try:
            async with self._database.read() as session:
                wait_s = await webhooks.next_due_s(session)
            if not most or wait_s is None or wait_s > 0.0:
                return [], LONGEST_REST_S if wait_s is None else wait_s
            async with self._database.write() as session:
                return await webhooks.claim(session, most, LEASE_S), 0.0
        except StoreError as error:
            log.warning("webhooks are not sent: %s", error)
            return [], STORE_WAIT_S

    async def _rest(
        self, busy: set[asyncio.Task[None]], seen: int, wait_s: float
    ) -> set[asyncio.Task[None]]:
        """Wait until there may be something to claim; return the tasks that have ended."""
        waking = asyncio.create_task(self._wake(seen, min(wait_s, LONGEST_REST_S)))
        done, _ = await asyncio.wait({waking, *busy}, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()
        ended = done & busy
        for task in ended:
            if error := task.exception():  # of noting it: its lease runs out, and it is sent again
                log.error("a delivery could not be noted", exc_info=error)
        return ended

    async def _wake(self, seen: int, wait_s: float) -> None:
        await asyncio.sleep(LOOK_S)  # commits come in swarms
        await self._database.wait_for_change(seen, max(0.0, wait_s - LOOK_S))

    async def _note(self, outgoing: Outgoing, answer: Answer) -> None:
        async with self._database.write() as session:
            if answer.error is None and answer.status is not None:
                await webhooks.settle_delivered(session, outgoing, answer.status)
                return
            await webhooks.settle_failed(
                session,
                outgoing,
                answer.status,
                answer.error or "no answer",
                self._wait_s(outgoing.attempt, answer),
            )
            if answer.status == GONE:
                await webhooks.disable(session, outgoing.webhook_id, "its address is gone")

    def _wait_s(self, attempt: int, answer: Answer) -> float | None:
        if attempt > len(self._waits_s):
            return None
        jitter = 1.0 + JITTER * random.random()
        return max(self._waits_s[attempt - 1] * jitter, answer.wait_s)

    async def _attempt(self, outgoing: Outgoing) -> Answer:
        delivering = asyncio.create_task(self._deliver(outgoing))
        error = await _outcome(delivering)
        return delivering.result() if error is None else Answer(None, _explanation(error))

    async def _deliver(self, outgoing: Outgoing) -> Answer:
        body = body_of(outgoing)
        headers = sign(outgoing, body, round(time.time()))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(outgoing.url, headers, body)
        except TimeoutError:
            return Answer(None, f"no answer within {TIMEOUT_S:g} s")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            check_url(url, allow_private=self._allow_private)
            status, answered = await self._post_once(url, headers, body)
            location = answered.get("location")
            if status not in REDIRECTS or location is None:
                return _judge(status, answered)
            url = urljoin(url, location)
        return Answer(status, f"more than {MAX_REDIRECTS} redirects")

    async def _post_once(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str]]:
        # A pool a request: an address that was checked is used once.
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._network
            ) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
        ):
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > MAX_READ_BYTES:
                    break
            answered = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            return response.status, answered


async def _outcome(task: asyncio.Task[Any]) -> BaseException | None:
    """Wait for a task, cancelled with its waiter; return what it raised instead of raising it."""
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _explanation(error: BaseException) -> str:
    """Return what an attempt raised in words that any database keeps and any terminal shows."""
    words = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return shown(words)[:LONGEST_ERROR]


def body_of(outgoing: Outgoing) -> bytes:
    """Return the body of a delivery: an event as Standard Webhooks specifies."""
    data = {"story_id": outgoing.story_id, "number": outgoing.number} | outgoing.data
    at = datetime.fromtimestamp(outgoing.at, UTC).isoformat().replace("+00:00", "Z")
    payload = {"type": outgoing.kind, "timestamp": at, "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sign(outgoing: Outgoing, body: bytes, timestamp: int) -> dict[str, str]:
    """Return the headers of an attempt.

    Args:
        outgoing: what is sent; its identity stays the same through all attempts.
        body: as it goes out.
        timestamp: of this attempt, in seconds since 1970.
    """
    identity = f"evt_{outgoing.story_id or outgoing.webhook_id}_{outgoing.number}"
    key = base64.b64decode(outgoing.secret.removeprefix("whsec_"))
    signed = f"{identity}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "audiostory-studio",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }


def _judge(status: int, headers: dict[str, str]) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    seconds = headers.get("retry-after", "")
    wait_s = float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0
    return Answer(status, f"answered {status}", min(wait_s, LONGEST_WAIT_S))
