"""Scripts in Markdown: names in bold, sounds in brackets, headings."""

import re
from collections.abc import Iterator

from audiostory_core.manuscript.elements import (
    Element,
    Format,
    Heading,
    Manuscript,
    Note,
    blanked,
    compose,
    enclosed,
)
from audiostory_core.manuscript.openings import names_in
from audiostory_core.manuscript.rows import read_rows
from audiostory_core.manuscript.stage_play import PlayReader

BOLD_NAME = re.compile(
    r"^[ \t>*-]{0,6}(?:\*\*|__)(?P<name>[^*_\n:：]{1,40}?)\s*(?:[:：](?:\*\*|__)|(?:\*\*|__)\s*[:：])",
    re.MULTILINE,
)
_MARK = re.compile(
    r"^[ \t]{0,3}(?:>[ \t]?)+|^[ \t]*[-*+][ \t]+(?=\S)|\*{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|`+|~~"
    r"|^[ \t]*(?:-{3,}|\*{3,}|_{3,})[ \t]*$|\\(?=[*_#\[\]`])",
    re.MULTILINE,
)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(?P<words>[^\n]*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FRONT = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*(?:\n|\Z)", re.DOTALL)


def read_markdown(source: str) -> Manuscript:
    """Read a script in Markdown."""
    front = _FRONT.match(source)
    begin = front.end() if front else 0
    comments = enclosed(source[begin:], ("<!--", "-->"))
    remarks = [(start + begin, end + begin) for start, end in comments]
    remarks = [*([front.span()] if front else []), *remarks]
    headings = [match.span("words") for match in _HEADING.finditer(blanked(source, remarks))]
    hidden = blanked(source, remarks)
    text = blanked(hidden, [match.span() for match in _MARK.finditer(hidden)])
    elements: list[Element] = [Note(*span, why="not printed") for span in remarks]
    elements += [Heading(*span) for span in headings]
    body = blanked(text, [match.span() for match in _HEADING.finditer(hidden)])
    elements += _body(body, hidden)
    return compose(source, text, Format.MARKDOWN, elements)


def _body(body: str, marked: str) -> Iterator[Element]:
    rows = read_rows(body)
    bold = {match["name"].strip() for match in BOLD_NAME.finditer(marked)}
    yield from PlayReader(body, rows, frozenset(bold) | names_in(rows), has_dots=False).read()
