"""The text that every database of ours can hold."""

from typing import NamedTuple

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from storage.errors import BadText


class Fault(NamedTuple):
    """Why a text cannot be stored."""

    problem: str
    remedy: str


def fault_of(text: str) -> Fault | None:
    """Return why a text cannot be stored; None if it can be."""
    if "\x00" in text:
        return Fault("has a NUL character", "Take it out.")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Fault("is not valid Unicode text", "Send or save it as UTF-8.")
    return None


class StoredText(TypeDecorator[str]):
    """Text without NUL characters and halves of surrogate pairs: no Postgres can hold those.

    Refused here, such text is the fault of its sender, wherever it came in, and whether it was to
    be stored or looked for.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as it was given.

        Raises:
            BadText: if no database can hold it.
        """
        fault = None if value is None else fault_of(value)
        if value is not None and fault is not None:
            raise BadText(value, *fault)
        return value
