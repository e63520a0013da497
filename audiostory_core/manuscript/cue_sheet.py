"""Cue sheets: a time, then what is heard from then on, in columns."""

import re
from collections.abc import Iterator
from dataclasses import replace

from audiostory_core.manuscript.dialogue import read_speech
from audiostory_core.manuscript.elements import Cue, Element, Format, Manuscript, Note, compose
from audiostory_core.manuscript.labels import sound_of
from audiostory_core.manuscript.openings import opening_of
from audiostory_core.manuscript.rows import Row, read_rows
from audiostory_core.manuscript.subtitles import seconds_of

_TIME = r"\d{1,3}:[0-5]\d(?::[0-5]\d)?(?:[.,]\d{1,3})?"
TIMED = re.compile(
    rf"[\[(]?(?P<from>{_TIME})[\])]?(?:\s*(?:-->|[-–—]|to|\t|\|)\s*[\[(]?(?P<to>{_TIME})[\])]?)?"
    r"\s*(?:\t|\||[;,](?=\s)| {2,})[\s|]*"
)
_COLUMN = re.compile(r"\s*(?:\t|\|)\s*")
_LABELED = re.compile(r"(?P<label>[^:：\t|\n]{1,24}?)\s*(?:[:：]|\t|\|)\s*(?=\S)")


def read_cue_sheet(source: str) -> Manuscript:
    """Read a cue sheet."""
    elements = [element for row in read_rows(source) for element in _row(source, row)]
    return compose(source, source, Format.CUE_SHEET, elements)


def _row(source: str, row: Row) -> Iterator[Element]:
    timed = TIMED.match(row.text)
    if not timed:
        yield Note(row.start, row.end, why="has no time")
        return
    begin_s = seconds_of(timed["from"])
    until_s = seconds_of(timed["to"]) if timed["to"] else None
    for element in _heard(source, row, row.start + timed.end()):
        yield (
            element
            if isinstance(element, Note)
            else replace(element, start_s=begin_s, until_s=until_s)
        )


def _heard(source: str, row: Row, start: int) -> Iterator[Element]:
    words = source[start : row.end]
    labeled = _LABELED.match(words)
    sound = sound_of(labeled["label"]) if labeled else None
    if labeled and sound:
        yield Cue(row.start, row.end, start + labeled.end(), sound=sound)
        return
    opening = opening_of(_COLUMN.sub(": ", words, count=1), frozenset(), has_dots=False)
    column = _COLUMN.search(words)
    if opening and column and ":" not in words[: column.start()]:
        yield from read_speech(source, row.start, start + column.end(), row.end, opening.name)
    elif opening:
        at = start + opening.end
        yield from read_speech(source, row.start, at, row.end, opening.name, opening.manner)
    elif words.strip():
        yield Cue(row.start, row.end, start)
