"""Writes down every request that may have changed something."""

import logging
import re

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access import NOBODY
from api.http.limits import SAFE_METHODS
from storage import keys
from storage.database import Database
from storage.errors import StoreError

PREFIX = "/v1"
TARGETS = ("story_id", "key_id", "webhook_id")
PLAIN = re.compile(r"[\w-]{1,64}", re.ASCII)

log = logging.getLogger(__name__)


class Audited:
    """Adds a row of the audit once the status is known, before the client hears of it.

    A row that cannot be written is logged with what it would have said: the change has been made
    by then, and an error would have the client make it again.
    """

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self.app = app
        self._database = database

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
        key_id, action, target = scope["state"]["caller"].key_id, _action(scope), _target(scope)
        try:
            async with self._database.write() as session:
                await keys.audit(
                    session, key_id=key_id, action=action, target=target, status=status
                )
        except (StoreError, SQLAlchemyError):
            log.exception("not in the audit: key %s, %s, %s, %s", key_id, action, target, status)


def _action(scope: Scope) -> str:
    """Return method and route, such as "POST /v1/stories": no text of the client's own."""
    route = scope.get("route")
    path = "(no route)" if route is None else f"{PREFIX}{route.path}"
    return f"{scope['method']} {path}" if PLAIN.fullmatch(scope["method"]) else f"(odd) {path}"


def _target(scope: Scope) -> str | None:
    given = scope.get("path_params", {})
    named = next((given[name] for name in TARGETS if name in given), None)
    return named if named is None or PLAIN.fullmatch(named) else "(no id)"
