"""What a manuscript is made of: elements, each a span of the text it was read from.

A reader blanks what is only markup, letter for letter, so that spans of the blanked text are
spans of the source. Whatever holds a letter or a digit is in an element; notes are elements too.
"""

import html
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Sound = Literal["sfx", "music", "ambience"]
Span = tuple[int, int]


class Format(StrEnum):
    """What a manuscript is written in."""

    FOUNTAIN = "fountain"
    FINAL_DRAFT = "final_draft"  # of files; read as the Fountain text it is turned into
    STAGE_PLAY = "stage_play"  # and radio play
    MARKDOWN = "markdown"
    SRT = "srt"
    WEBVTT = "webvtt"
    CUE_SHEET = "cue_sheet"
    EPUB = "epub"  # of files; read as the prose of its chapters
    PROSE = "prose"  # read aloud by a narrator
    INSTRUCTION = "instruction"  # tells what is to be heard


@dataclass(frozen=True)
class Element:
    """A span of the manuscript."""

    start: int
    end: int
    words_start: int = -1  # where what is heard begins; -1: at the start
    start_s: float | None = field(default=None, kw_only=True)  # when it is heard, if the text says
    until_s: float | None = field(default=None, kw_only=True)

    @property
    def kind(self) -> str:
        """The name of its kind, as an author reads it."""
        return type(self).__name__.lower()

    @property
    def words(self) -> Span:
        """The span without what stands before the words, such as a name or a label."""
        return (self.start if self.words_start < 0 else self.words_start), self.end


@dataclass(frozen=True)
class Heading(Element):
    """Where the scene takes place, or what the chapter is called."""


@dataclass(frozen=True)
class Action(Element):
    """What happens, in prose."""


@dataclass(frozen=True)
class Line(Element):
    """Words that somebody speaks."""

    speaker: str | None = None
    manner: str | None = None
    is_dual: bool = False  # spoken at the same time as the line before


@dataclass(frozen=True)
class Narration(Element):
    """Words that a narrator reads aloud."""


@dataclass(frozen=True)
class Cue(Element):
    """A sound that the manuscript asks for by name."""

    sound: Sound = "sfx"


@dataclass(frozen=True)
class Pause(Element):
    """A rest."""

    seconds: float = 1.0


@dataclass(frozen=True)
class Transition(Element):
    """How one scene leads to the next; nothing of it is heard."""


@dataclass(frozen=True)
class Note(Element):
    """What is neither spoken nor heard, and why."""

    why: str = "not read"


@dataclass(frozen=True)
class Manuscript:
    """A text and its elements, in order; an element may lie within the one before it."""

    source: str
    text: str  # the source, markup and notes within lines blanked
    format: Format
    reason: str  # why it was read as that format, a clause
    elements: tuple[Element, ...]
    markup: tuple[Span, ...] = ()  # what was blanked and is no note

    def words_of(self, element: Element) -> str:
        """Return what is heard, told or noted of an element, as one line."""
        text = self.source if isinstance(element, Note) else self.text
        return html.unescape(" ".join(text[slice(*element.words)].split()))

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is spoken by somebody."""
        return tuple(element for element in self.elements if isinstance(element, Line))

    def spoken_by(self) -> dict[str, int]:
        """Return how many lines each speaker has, by name, in the order they first speak."""
        counts: dict[str, int] = {}
        for line in self.lines:
            name = line.speaker or ""
            counts[name] = counts.get(name, 0) + 1
        return counts


def compose(
    source: str,
    text: str,
    format_: Format,
    elements: Iterable[Element],
    markup: Sequence[Span] = (),
) -> Manuscript:
    """Return a manuscript of elements in order; what none of them holds becomes a note.

    Args:
        source: as the author wrote it.
        text: the same, of equal length, blanked where it is only markup.
        format_: what it was read as.
        elements: in any order; those without a letter, a digit or a symbol are left out.
        markup: what was blanked and is no note.
    """
    kept = [e for e in elements if isinstance(e, Pause) or has_content(source[e.start : e.end])]
    kept.sort(key=lambda e: (e.start, -e.end))
    notes = [Note(*gap) for gap in _gaps(text, kept) if has_content(text[slice(*gap)])]
    whole = sorted([*kept, *notes], key=lambda e: (e.start, -e.end))
    shown = tuple(span for span in markup if has_content(source[slice(*span)]))
    return Manuscript(source, text, format_, "", tuple(whole), shown)


def _gaps(text: str, elements: Sequence[Element]) -> Iterator[Span]:
    at = 0
    for element in elements:
        if element.start > at:
            yield at, element.start
        at = max(at, element.end)
    yield at, len(text)


def has_content(text: str) -> bool:
    """Say whether a text has anything but white space, punctuation and controls."""
    return any(unicodedata.category(letter)[0] not in "PZC" for letter in text)


def blanked(text: str, spans: Iterable[Span]) -> str:
    """Return a text of equal length with spaces in place of the spans; line ends stay."""
    letters = list(text)
    for start, end in spans:
        letters[start:end] = ["\n" if letter == "\n" else " " for letter in text[start:end]]
    return "".join(letters)


def enclosed(text: str, *marks: tuple[str, str]) -> list[Span]:
    """Return the spans between pairs of marks, marks included, in order and disjoint; linear.

    A mark that is never closed encloses nothing.
    """
    spans: list[Span] = []
    opened = {mark: text.find(mark[0]) for mark in marks}
    while reachable := {mark: at for mark, at in opened.items() if at >= 0}:
        mark = min(reachable, key=lambda key: reachable[key])
        start = opened[mark]
        closed = text.find(mark[1], start + len(mark[0]))
        if closed < 0:
            opened[mark] = -1
            continue
        end = closed + len(mark[1])
        spans.append((start, end))
        for other, at in reachable.items():
            opened[other] = at if at >= end else text.find(other[0], end)
    return spans
