"""The lines of a text file as readers walk them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ROW = re.compile(r"[^\n\r\u2028\u2029]+")


@dataclass(frozen=True)
class Row:
    """A line of the file that is not empty."""

    start: int
    end: int
    text: str  # stripped
    is_apart: bool  # an empty line, or nothing, stands before it
    indent: int  # of white space


def read_rows(text: str) -> list[Row]:
    """Return the lines of a text that hold anything but white space."""
    rows: list[Row] = []
    last_end = 0
    for match in _ROW.finditer(text):
        stripped = match[0].strip()
        if not stripped:
            continue
        start = match.start() + match[0].index(stripped[0])
        is_apart = not rows or text.count("\n", last_end, start) > 1
        rows.append(Row(start, start + len(stripped), stripped, is_apart, start - match.start()))
        last_end = start + len(stripped)
    return rows


def carries_on(before: Row, row: Row) -> bool:
    """Say whether a line only carries on the one before it, as in hard-wrapped text."""
    if row.is_apart or len(before.text) < 50:  # a shorter line was ended on purpose
        return False
    return before.text[-1] not in ".!?:;。！？：；…" and row.text[0].islower()


def end_of_paragraph(rows: Sequence[Row], at: int) -> int:
    """Return the first of the rows from `at` on that does not carry on the one before it."""
    while at < len(rows) and carries_on(rows[at - 1], rows[at]):
        at += 1
    return at
