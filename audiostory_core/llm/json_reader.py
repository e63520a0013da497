"""Finding JSON in what a language model writes: at the end, and while it writes."""

import json
import re
from typing import Any

MAX_BRACES = 64  # tried as the beginning of the object

_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)  # weak models put line ends into strings


def find_object(text: str, field: str) -> dict[str, Any]:
    """Return the first JSON object of a text that has a field.

    Args:
        text: an object, or one within prose, a code fence, or after the model's thoughts.
        field: by which the object is recognized.

    Raises:
        ValueError: if there is none.
    """
    bare = _THINKING.sub(" ", text)
    at = bare.find("{")
    for _ in range(MAX_BRACES):
        if at < 0:
            break
        try:
            candidate, end = _DECODER.raw_decode(bare, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if field in candidate:
                return candidate
        at = bare.find("{", end)
    raise ValueError(f"has no JSON object with {field}")


class ItemReader:
    """Reads the objects of one array while its text comes in, in pieces of any size.

    The array is a field of the outermost object. What is not JSON is passed over; `find_object`
    judges the whole.

    Args:
        field: name of the array.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._open: list[str] = []  # brackets
        self._is_string = self._is_escaped = False
        self._string: list[str] = []  # of the outermost object, the last one
        self._key = ""
        self._item: list[str] | None = None

    def feed(self, piece: str) -> list[dict[str, Any]]:
        """Return the objects that are complete with this piece."""
        items = []
        for letter in piece:
            if self._item is not None:
                self._item.append(letter)
            if self._is_string:
                self._read_string(letter)
            elif self._open or letter == "{":
                item = self._read_mark(letter)
                if item is not None:
                    items.append(item)
        return items

    def _read_string(self, letter: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif letter == "\\":
            self._is_escaped = True
        elif letter == '"':
            self._is_string = False
            return
        if len(self._open) == 1 and len(self._string) <= len(self._field):
            self._string.append(letter)

    def _read_mark(self, letter: str) -> dict[str, Any] | None:
        if letter == '"':
            self._is_string = True
            self._string = []
        elif letter == ":" and len(self._open) == 1:
            self._key = "".join(self._string)
        elif letter in "{[":
            self._open.append(letter)
            if self._open == ["{", "[", "{"] and self._key == self._field:
                self._item = ["{"]
        elif letter in "}]":
            self._open.pop()
            if self._item is not None and len(self._open) == 2:
                text, self._item = "".join(self._item), None
                return _object(text)
        return None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
