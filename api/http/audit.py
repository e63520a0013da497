"""Writes down every request that may have changed something."""

import asyncio
import logging
import re

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access import NOBODY
from api.http.limits import SAFE_METHODS
from storage import keys
from storage.database import Database
from storage.errors import StoreError
from storage.models import Json

PREFIX = "/v1"
TARGETS = ("story_id", "key_id", "webhook_id")
PLAIN = re.compile(r"[\w-]{1,64}", re.ASCII)

log = logging.getLogger(__name__)


class Audited:
    """Adds a row of the audit once the status is known, before the client hears of it.

    Rows that come while others are being written go together, in one commit. What cannot be
    written is logged with what it would have said: the change has been made by then, and an error
    would have the client make it again.
    """

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self.app = app
        self._database = database
        self._waiting: list[Json] = []
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write down what became of it."""
        is_watched = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if not is_watched or scope["state"]["caller"] is NOBODY:
            await self.app(scope, receive, send)
            return

        async def send_audited(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._write(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_audited)
        except Exception:
            await self._write(scope, 500)
            raise

    async def _write(self, scope: Scope, status: int) -> None:
        """Return once a row about a request is in the audit, or in the log."""
        row: Json = {
            "key_id": scope["state"]["caller"].key_id,
            "action": _action(scope),
            "target": _target(scope),
            "status": status,
        }
        self._waiting.append(row)
        if len(self._waiting) == 1:  # the first sees to those that come until its turn
            self._writing = asyncio.create_task(self._write_all(self._writing))
        assert self._writing is not None
        await asyncio.shield(self._writing)

    async def _write_all(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        rows, self._waiting = self._waiting, []
        try:
            async with self._database.write() as session:
                await keys.audit_all(session, rows)
        except (StoreError, SQLAlchemyError):
            for row in rows:
                log.exception("not in the audit: key %s, %s, %s, %s", *row.values())


def _action(scope: Scope) -> str:
    """Return method and route, such as "POST /v1/stories": no text of the client's own."""
    route = scope.get("route")
    path = "(no route)" if route is None else f"{PREFIX}{route.path}"
    return f"{scope['method']} {path}" if PLAIN.fullmatch(scope["method"]) else f"(odd) {path}"


def _target(scope: Scope) -> str | None:
    parameters = scope.get("path_params", {})
    named = next((parameters[name] for name in TARGETS if name in parameters), None)
    return named if named is None or PLAIN.fullmatch(named) else "(no id)"
