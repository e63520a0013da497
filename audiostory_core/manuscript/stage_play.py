"""Stage and radio plays: names before what is said, labels before sounds, tags."""

import re
from collections.abc import Iterator, Sequence

from audiostory_core.manuscript.dialogue import read_speech
from audiostory_core.manuscript.elements import (
    Action,
    Cue,
    Element,
    Format,
    Heading,
    Manuscript,
    Note,
    Pause,
    blanked,
    compose,
)
from audiostory_core.manuscript.fountain import HEADING, TRANSITION
from audiostory_core.manuscript.labels import pause_s, sound_of
from audiostory_core.manuscript.openings import (
    LONGEST_ALONE,
    NUMBER,
    Opening,
    names_in,
    opening_of,
)
from audiostory_core.manuscript.rows import Row, carries_on, end_of_paragraph, read_rows

_TAG = re.compile(
    r"\[(?P<name>S\d{1,2}|[^\W\d_][\w .'’-]{0,30})\]:?(?=\s*\S)|<(?P<element>[A-Z][\w.-]{0,30})>"
)
_DIRECTION = re.compile(r"[\[(](?P<words>[^\W\dA-Z][^\[\]()\n]{0,60})[\])]\s*")  # "[laughs] [S1]"
_CLOSING = re.compile(r"</[A-Z][\w.-]{0,30}>")
_LABELED = re.compile(rf"{NUMBER}(?P<label>[^\n:：()\[\]]{{1,24}}?)\s*[:：]\s*(?=\S)")
_BRACKETED = re.compile(r"[\[(（](?P<inner>[^\[\]]*?)[\])）]\.?")
_STAGING = re.compile(
    r"(?:exit|exeunt|enter|re-enter|entra|entran|sale|salen|entre|sort|sortent|tritt|ab)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?;]+[.!?;]*")
_ACT = re.compile(
    r"(?:(?:act|scene|acto|escena|acte|scène|akt|szene|prologue|epilogue)\b[^a-z\n]{0,40}"
    r"|(?:act|scene|acto|escena|acte|scène|akt|szene)\s+(?:\d+|[ivxlc]+|[a-z]+)\b[.:]?.{0,60})",
    re.IGNORECASE,
)


def _end_of_directions(row: Row) -> int:
    """Return where directions in small letters end that a row begins with."""
    end = 0
    while match := _DIRECTION.match(row.text, end):
        end = match.end()
    return end


def read_stage_play(source: str) -> Manuscript:
    """Read a play."""
    closings = [match.span() for match in _CLOSING.finditer(source)]
    text = blanked(source, closings)
    rows = read_rows(text)
    elements = PlayReader(text, rows, names_in(rows)).read()
    return compose(source, text, Format.STAGE_PLAY, elements, closings)


class PlayReader:
    """Walks the lines of a play.

    Args:
        text: with markup blanked.
        rows: its lines.
        names: that are believed in small letters too.
        has_dots: whether "NAME." names a speaker.
    """

    def __init__(
        self, text: str, rows: Sequence[Row], names: frozenset[str], *, has_dots: bool = True
    ) -> None:
        self._text = text
        self._rows = rows
        self._names = names
        self._has_dots = has_dots
        self._at = 0

    def read(self) -> Iterator[Element]:
        """Yield the elements of the play."""
        while self._at < len(self._rows):
            row = self._rows[self._at]
            opening = opening_of(row.text, self._names, has_dots=self._has_dots)
            if opening:
                yield from self._speech(row, opening)
            elif self._is_tagged(row):
                yield from self._tagged(row)
            else:
                self._at += 1
                yield from self._other(row)

    def _speech(self, row: Row, opening: Opening) -> Iterator[Element]:
        start, end = row.start + opening.end, row.end
        is_alone = opening.end >= len(row.text)
        is_dotted = not is_alone and row.text[: opening.end].rstrip()[-1:] not in ":："
        self._at += 1
        while self._at < len(self._rows):
            below, before = self._rows[self._at], self._rows[self._at - 1]
            joins = is_alone or is_dotted or carries_on(before, below)
            if below.is_apart or not joins or self._begins_anew(below):
                break
            end = below.end
            self._at += 1
        if not self._text[start:end].strip():
            yield Note(row.start, row.end, why="a name without words")
            return
        yield from read_speech(self._text, row.start, start, end, opening.name, opening.manner)

    def _begins_anew(self, row: Row) -> bool:
        labeled = _LABELED.match(row.text)
        return bool(
            opening_of(row.text, self._names, has_dots=self._has_dots)
            or (labeled and sound_of(labeled["label"]))
            or _BRACKETED.fullmatch(row.text)
            or HEADING.fullmatch(row.text)
        )

    def _is_tagged(self, row: Row) -> bool:
        tag = _TAG.match(row.text, _end_of_directions(row))
        if tag is None:
            return False
        return tag["element"] is not None or (
            sound_of(tag["name"]) is None
            and pause_s(tag["name"]) is None
            and len(tag["name"].split()) <= LONGEST_ALONE
            and tag["name"][0].isupper()
        )

    def _tagged(self, row: Row) -> Iterator[Element]:
        self._at += 1
        end = row.end
        begin = row.start + _end_of_directions(row)
        for bracketed in _DIRECTION.finditer(self._text, row.start, begin):
            yield from self._staged(bracketed.start("words"), bracketed["words"])
        while self._at < len(self._rows):
            below = self._rows[self._at]
            if below.is_apart or self._is_tagged(below) or self._begins_anew(below):
                break
            end = below.end
            self._at += 1
        tags = [
            tag for tag in _TAG.finditer(self._text, begin, end)
            if tag["element"] or (pause_s(tag["name"]) is None and tag["name"][0].isupper())
        ]  # fmt: skip
        ends = [tag.start() for tag in tags[1:]] + [end]
        for tag, until in zip(tags, ends, strict=True):
            name = tag["name"] or tag["element"]
            if self._text[tag.end() : until].strip():
                yield from read_speech(self._text, tag.start(), tag.end(), until, name)

    def _other(self, row: Row) -> Iterator[Element]:
        bracketed = _BRACKETED.fullmatch(row.text)
        inner = bracketed["inner"] if bracketed else row.text
        start = row.start + (bracketed.start("inner") if bracketed else 0)
        end = start + len(inner)
        rest = pause_s(inner)
        if rest is not None:
            yield Pause(row.start, row.end, seconds=rest)
            return
        labeled = _LABELED.match(inner)
        sound = sound_of(labeled["label"]) if labeled else None
        if labeled and sound:
            while self._at < len(self._rows) and carries_on(
                self._rows[self._at - 1], self._rows[self._at]
            ):
                end = self._rows[self._at].end
                self._at += 1
            yield Cue(row.start, end, start + labeled.end(), sound=sound)
        elif bracketed:
            yield from self._staged(start, inner)
        else:
            yield self._plain(row)

    def _staged(self, start: int, inner: str) -> Iterator[Element]:
        """Yield the sounds of a direction in brackets; who comes and goes is not heard."""
        for match in _SENTENCE.finditer(inner):
            sentence = match[0].strip()
            begin = start + match.start() + len(match[0]) - len(match[0].lstrip())
            end = begin + len(sentence)
            if not sentence:
                continue
            if _STAGING.match(sentence):
                yield Note(begin, end, why="a direction for the stage")
            else:
                yield Cue(begin, end)

    def _plain(self, row: Row) -> Element:
        if HEADING.fullmatch(row.text) or _ACT.fullmatch(row.text):
            return Heading(row.start, row.end)
        if TRANSITION.fullmatch(row.text):
            return Note(row.start, row.end, why="for the eye")
        self._at = end_of_paragraph(self._rows, self._at)
        return Action(row.start, self._rows[self._at - 1].end)
