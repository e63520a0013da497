"""Who may do what: API keys, what they give leave to, and whose a story is.

Without any key the service is for this machine alone and asks for none. From the first key on,
every request needs one, except for /v1/health/* and the pages that say what there is: a client is
written before it has a key, and they are the same for everybody. Unknown routes need one, too.
A story belongs to the key that asked for it; to other keys, admin ones excepted, it does not
exist. Stories of the command line, and those from before the first key, belong to nobody.
"""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from anyio import BrokenResourceError
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.body_check import acceptable
from api.http.deps import AppState, AppStateDep
from api.http.errors import problem, unusable
from api.http.limits import SAFE_METHODS, Buckets, refuse
from api.keys.schemas import KeyScope
from storage import keys
from storage.database import Database
from storage.errors import NotFound, StoreError

HEALTH = "/v1/health/"
OPEN_PAGES = frozenset({"/", "/docs", "/openapi.json"})
STARTING_PATHS = "/v1/stories"  # a POST there has something made,
STARTING_NOTHING = "/preview"  # but for this one
FRESH_S = 1.0  # for so long nobody looks again whether there are keys
STORY_ID = re.compile(r"[0-9a-z]{1,40}", re.ASCII)
LOOKS_ITSELF = frozenset({"get_story"})  # routes that check the story as they read it
STREAM_RETRY_S = 5


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    key_id: str | None  # None: somebody on this machine, while there are no keys
    scopes: frozenset[KeyScope]

    @property
    def is_admin(self) -> bool:
        """Whether everybody's stories are there for this caller, and the keys."""
        return KeyScope.ADMIN in self.scopes

    @property
    def sees_only(self) -> str | None:
        """The key whose stories alone exist for this caller; None: all do."""
        return None if self.is_admin else self.key_id

    def may(self, scope: KeyScope) -> bool:
        """Tell whether this caller has leave to do it."""
        return self.is_admin or scope in self.scopes


ANYONE_HERE = Caller(None, frozenset(KeyScope))
NOBODY = Caller(None, frozenset())


class Keyring:
    """What the service knows of keys.

    Args:
        database: holds them.
        is_public: others can reach the service: a key is needed even after the last was revoked.
    """

    def __init__(self, database: Database, *, is_public: bool) -> None:
        self._database = database
        self._is_public = is_public
        self._exists = False
        self._looked_at: float | None = None

    async def is_needed(self) -> bool:
        """Tell whether requests need a key, as of at most `FRESH_S` ago.

        Raises:
            StoreUnusable: if the store cannot be read; one that had keys is taken to have them.
        """
        if self._is_public:
            return True
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at > FRESH_S:
            try:
                async with self._database.read() as session:
                    self._exists = await keys.count_valid(session) > 0
            except StoreError:
                if not self._exists:
                    raise
            self._looked_at = now
        return self._exists

    async def identify(self, headers: Headers) -> Caller | None:
        """Return who sends these headers; None if that is unknown and has to be known.

        A key that was given is looked up even where none is needed: a wrong one is a mistake.
        """
        key_text = _given_key(headers)
        if key_text is None:
            return None if await self.is_needed() else ANYONE_HERE
        async with self._database.read() as session:
            key = await keys.find(session, key_text)
        if key is None or key.revoked_at is not None:
            return None
        return Caller(key.id, frozenset(KeyScope(scope) for scope in key.scopes))

    def forget(self) -> None:
        """Look again at the next request: this process has just made or revoked a key."""
        self._looked_at = None


class Door:
    """Lets in those who are known and do not come too often; a route finds out who it was.

    What is refused here is not in the audit: nobody without a key shall fill the database. What is
    sent by `NOBODY`, to the paths that are open, is not either.
    """

    def __init__(self, app: ASGIApp, state: AppState, keyring: Keyring) -> None:
        self.app = app
        self._keyring = keyring
        self._requests = Buckets(state.settings.rate_per_minute)
        self._starts = Buckets(state.settings.starts_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            is_open = scope["path"].startswith(HEALTH) or scope["path"] in OPEN_PAGES
            caller = NOBODY if is_open else await self._keyring.identify(headers)
        except StoreError as error:
            answer: ASGIApp | None = unusable(error)
        else:
            answer = self._too_often(scope, caller)
            if answer is None and caller is None:
                answer = _unknown(_given_key(headers) is not None)
            scope.setdefault("state", {})["caller"] = caller
        if answer is not None:
            await refuse(answer, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _too_often(self, scope: Scope, caller: Caller | None) -> ASGIApp | None:
        name = name_of(scope, caller)
        now = time.monotonic()
        wait_s = self._requests.take(name, now)
        if wait_s == 0.0 and _starts_work(scope):
            wait_s = self._starts.take(name, now)
        return None if wait_s == 0.0 else _later(wait_s)


def name_of(scope: Scope, caller: Caller | None) -> str:
    """Return what a caller's requests are counted under: the key, or else the address."""
    if caller is not None and caller.key_id is not None:
        return caller.key_id
    client = scope.get("client")
    return f"@{client[0] if client else ''}"


async def caller_of(request: Request) -> Caller:
    """Return who sent the request."""
    caller: Caller = request.state.caller
    return caller


HasCaller = Annotated[Caller, Depends(caller_of)]


async def known_story(request: Request, state: AppStateDep, caller: HasCaller) -> None:
    """Make sure that a route about a story is about one that exists for the caller.

    Raises:
        NotFound: if it does not exist, or is another's.
    """
    story_id = request.path_params.get("story_id")
    if story_id is not None and request.scope["route"].name not in LOOKS_ITSELF:
        await check_story(state.store.database, caller, story_id)


async def check_story(database: Database, caller: Caller, story_id: str) -> None:
    """Make sure that a story exists for the caller.

    Raises:
        NotFound: if it does not exist, or is another's.
    """
    check_story_id(story_id)
    async with database.read() as session:
        if not await keys.may_touch(session, story_id, caller.sees_only):
            raise NotFound("story", story_id)


def check_story_id(story_id: str) -> None:
    """Make sure that a story may have this id.

    Raises:
        NotFound: if none can.
    """
    if not STORY_ID.fullmatch(story_id):
        raise NotFound("story", story_id)


async def needs_scope(request: Request, caller: HasCaller) -> None:
    """Make sure that the caller may read, or change something where that is what is asked.

    Raises:
        HTTPException: 403 if not.
    """
    scope = KeyScope.READ if request.method in SAFE_METHODS else KeyScope.WRITE
    _require(caller, scope)


async def needs_admin(caller: HasCaller) -> None:
    """Make sure that the caller is an operator.

    Raises:
        HTTPException: 403 if not.
    """
    _require(caller, KeyScope.ADMIN)


async def one_stream(
    request: Request, state: AppStateDep, caller: HasCaller
) -> AsyncIterator[None]:
    """Count a response without end for as long as it goes on; a client may leave at any time.

    Raises:
        HTTPException: 429 if the caller has as many open as a key may have.
    """
    streams: Counter[str] = request.app.state.streams
    name = name_of(request.scope, caller)
    most = state.settings.streams_per_key
    if streams[name] >= most:
        raise HTTPException(
            429,
            f"{most} streams are open with this key already.",
            {"Retry-After": str(STREAM_RETRY_S)},
        )
    streams[name] += 1
    try:
        yield
    except* BrokenResourceError:
        pass  # FastAPI's keep-alive was sending when the client left
    finally:
        streams[name] -= 1
        if streams[name] == 0:
            del streams[name]


_BEARER = HTTPBearer(
    scheme_name="bearer",
    description="`Authorization: Bearer as_…`, a key made by `audiostory keys create`.",
    auto_error=False,
)
_HEADER = APIKeyHeader(
    name="X-API-Key", scheme_name="header", description="The same key.", auto_error=False
)
# The two schemes only document what the door has checked; either will do.
GUARDS = [
    Security(_BEARER),
    Security(_HEADER),
    Depends(needs_scope),
    Depends(acceptable),
    Depends(known_story),
]


def _given_key(headers: Headers) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("x-api-key")


def _starts_work(scope: Scope) -> bool:
    path: str = scope["path"]
    is_starting = path.startswith(STARTING_PATHS) and not path.endswith(STARTING_NOTHING)
    return is_starting and scope["method"] == "POST"


def _require(caller: Caller, scope: KeyScope) -> None:
    if not caller.may(scope):
        raise HTTPException(403, f"This key gives no leave for that: its scopes lack {scope}.")


def _unknown(is_given: bool) -> ASGIApp:
    detail = "This key is unknown, or was revoked." if is_given else "This needs a key."
    error = ', error="invalid_token"' if is_given else ""
    return problem(
        401,
        detail,
        {"WWW-Authenticate": f'Bearer realm="audiostory"{error}'},
        remedy="Send Authorization: Bearer as_…; `audiostory keys create` makes such a key.",
    )


def _later(wait_s: float) -> ASGIApp:
    seconds = int(wait_s) + 1
    return problem(
        429,
        "These are too many requests.",
        {"Retry-After": str(seconds)},
        remedy=f"Wait {seconds} s.",
    )
