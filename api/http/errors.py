"""Errors over HTTP: problem+json (RFC 9457); of bad input with field, value and remedy."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.operations.log_rate import log_seldom
from audiostory_core.errors import BadInput, StudioError, UnreadableAudio, nearest
from storage.errors import BadText, Conflict, NotFound, StoreError

SHOWN = 200  # characters of an offending value that are sent back
MEDIA_TYPE = "application/problem+json"
RETRY_S = 5  # when to ask again for what the store could not do
UNUSABLE = "The store cannot be used now."  # why is in the log: it names places of this machine
FIELDS = {"duration": "duration_s"}  # where JSON says it otherwise than the command line
REMEDIES = {
    "extra_forbidden": "Leave it out; /docs lists the fields there are.",
    "missing": "Give it; /docs tells what it may be.",
    "json_invalid": "Send valid JSON.",
    "model_attributes_type": "Send a JSON object as Content-Type: application/json.",
}
HTTP_REMEDIES = {
    400: "Send JSON encoded as UTF-8.",
    403: "Use a key that may, or have one made: `audiostory keys create`.",
    404: "See /docs for what there is.",
    405: "See /docs for what can be asked of it.",
    429: "Wait a little, or send fewer.",
}


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None  # the offending one
    value: str | None = None  # what was given, shortened
    remedy: str | None = None


_CONTENT = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be met as it is", "content": _CONTENT},
    "5XX": {"description": "The studio cannot do its work", "content": _CONTENT},
}


def problem_response(description: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the description of a problem in the API's document."""
    described = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in (headers or {}).items()
    }
    return {"description": description, "headers": described, "content": _CONTENT}


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **fields: str | None
) -> JSONResponse:
    """Return a problem+json response.

    Args:
        status: of HTTP.
        detail: a sentence.
        headers: further ones.
        fields: `field`, `value` and `remedy`, where there are such.
    """
    title = HTTPStatus(status).phrase
    body = Problem(title=title, status=status, detail=detail, **fields).model_dump(
        exclude_none=True
    )
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def explain_errors(app: FastAPI) -> None:
    """Answer every error as a problem; one that nobody foresaw is logged besides."""
    app.add_exception_handler(BadInput, _bad_input)
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unforeseen)


async def _bad_input(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BadInput)
    field = FIELDS.get(error.field, error.field)
    return problem(
        422, _text(error), field=field, value=_shown(error.value), remedy=_text(error.remedy)
    )


async def _studio_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UnreadableAudio):
        remedy = "`audiostory resume ID` makes again what is missing or damaged."
        detail = str(error).replace(str(error.path), error.path.name)
        return problem(503, _text(detail), remedy=remedy)
    return problem(500, _text(error), remedy="`audiostory doctor` tells what is wrong here.")


async def _store_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, BadText):
        named = (name for name, text in request.path_params.items() if text == error.text)
        field, value = next(named, "text"), _shown(error.text)
        return problem(422, _text(error), field=field, value=value, remedy=error.remedy)
    if isinstance(error, NotFound):
        remedy = _way_to(error)
        return problem(404, _text(error), field=error.what, value=_shown(error.name), remedy=remedy)
    if isinstance(error, Conflict):
        return problem(409, _text(error))
    return unusable(error, is_operator=request.state.caller.is_admin)


def unusable(error: Exception, *, is_operator: bool = False) -> JSONResponse:
    """Answer that the store cannot be used, and log why; who is no operator is not told."""
    log_seldom(str(error))
    remedy = f"Ask again in {RETRY_S} s; the operator finds the reason in the log."
    detail = _text(error) if is_operator else UNUSABLE
    return problem(503, detail, {"Retry-After": str(RETRY_S)}, remedy=remedy)


def _way_to(missing: NotFound) -> str:
    """Say where to find what there is instead."""
    what, _, of = missing.what.partition(" of story")
    story = f"/v1/stories/{_text(of.split()[0] if of else missing.name)}"
    match what:
        case "mix":
            return f"GET {story} tells how far it is; a mix is there once all clips are made."
        case "stem of the mix":
            lists = f"GET {story}/sub-events lists the stems of each sub-event"
            return f"{lists}; a story with `engines` is made of dialogue, music and effects."
        case "sub-event" | "clip":
            return f"GET {story}/sub-events lists them by number, and tells how far each clip is."
        case "take" if of:
            return f"GET {story}/sub-events/{of.split()[-1]}/takes lists them."
        case "revision":
            return f"GET {story}/revisions lists them by number and name."
        case "export":
            return f"GET {story}/exports lists them; POST there has one made."
        case "file of the export":
            return f"GET {story}/exports/{_text(missing.name)} tells how far it is."
        case "audio format":
            return "Ask for .wav or .flac."
        case _:
            return "GET /v1/stories lists the stories; a story's status tells how far it is."


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    path, first = nearest(error.errors())
    source, *inner = (str(part) for part in path)
    is_json = first["type"] != "json_invalid"  # else the rest of loc is a position in the text
    where = (".".join(inner) if is_json else "") or source
    message = first["msg"].removeprefix("Value error, ")
    return problem(
        422,
        _text(f"{where}: {message}"),
        field=_shown(where),
        value=_shown(first.get("input")),
        remedy=REMEDIES.get(first["type"], "Correct it; /docs tells what it may be."),
    )


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    remedy = HTTP_REMEDIES.get(error.status_code)
    return problem(error.status_code, _text(error.detail), error.headers, remedy=remedy)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    return problem(500, "This is a fault of the studio.", remedy="Its log tells more.")


def _shown(value: object) -> str:
    return _text(value if isinstance(value, str) else repr(value))[:SHOWN]


def _text(value: object) -> str:
    """Return text that UTF-8 can encode: lone surrogates come in as JSON escapes."""
    return str(value).encode("utf-8", "replace").decode()
