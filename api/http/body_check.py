"""What is checked of any request that comes in, whatever its route: text, and how much of it."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from api.http.deps import AppStateDep
from audiostory_core.errors import BadInput
from storage.text import fault_of

# What may be text that nobody can store, as bytes of JSON: NUL, or half a surrogate pair.
SUSPECT = re.compile(rb"\x00|\\u0000|\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
ENTRIES_PER_SCENE = 5  # of all lists of a body together: layers, cast, notes


async def acceptable(request: Request, state: AppStateDep) -> None:
    """Make sure that a request's text can be stored, and that none is so long that others wait.

    The model of the body is checked afterwards: that takes the longer the more there is in it, and
    nobody is answered meanwhile.

    Raises:
        BadInput: naming the field.
    """
    for name, text in request.query_params.multi_items():  # what a path names is looked up
        _check_text(name, text)
    body = await request.body()
    most = state.settings.max_scenes
    if len(body) > 2 * most or SUSPECT.search(body):
        try:
            content = await request.json()
        except (ValueError, RecursionError):
            return  # the route tells of it
        await asyncio.to_thread(_check_content, content, most)


def _check_content(content: Any, most: int) -> None:
    left = most * ENTRIES_PER_SCENE
    for path, value in _walk(content):
        if isinstance(value, str):
            _check_text(path, value)
        elif isinstance(value, list):
            left -= len(value)
            if len(value) > most or left < 0:
                _refuse(path, len(value), most)


def _walk(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield every value, and every name, with the path to it."""
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        path, value = waiting.pop()
        yield path or "body", value
        before = f"{path}." if path else ""
        if isinstance(value, dict):
            for name in value:
                yield path or "body", name
            waiting += [(f"{before}{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{before}{place}", inner) for place, inner in enumerate(value)]


def _refuse(path: str, count: int, most: int) -> None:
    problem = f"has more entries than the most scenes of a plan, {most:,}, leave room for"
    remedy = "Make several stories of it, or ask the operator: AUDIOSTORY_MAX_SCENES."
    raise BadInput(path, f"{count:,} entries", problem, remedy)


def _check_text(name: str, text: str) -> None:
    fault = fault_of(text)
    if fault is not None:
        raise BadInput(name, text, *fault)
