"""Screenplays in Fountain 1.1, and those that look like it.

Source:
    https://fountain.io/syntax. Differs: a heading needs no empty line after it; INT. and EXT. in
    German and Chinese; transitions in four languages; a name may hold small letters in brackets.
"""

import re
from collections.abc import Iterator

from audiostory_core.manuscript.dialogue import read_speech
from audiostory_core.manuscript.elements import (
    Action,
    Cue,
    Element,
    Format,
    Heading,
    Line,
    Manuscript,
    Note,
    Pause,
    Transition,
    blanked,
    compose,
    enclosed,
)
from audiostory_core.manuscript.labels import pause_s, sound_of
from audiostory_core.manuscript.openings import opening_of
from audiostory_core.manuscript.rows import Row, end_of_paragraph, read_rows

_EMPHASIS = re.compile(
    r"\*{1,3}(?=\S)|(?<=\S)\*{1,3}|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)|(?<=\s)\*+(?=\s)"
)
TITLE_KEY = re.compile(
    r"(?:title|credit|authors?|source|draft date|date|contact|copyright|notes?|revision|format"
    r"|episode|based on|written by|language)\s*:",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"#[^#\n]{1,12}#\s*$")
HEADING = re.compile(
    r"(?:(?P<number>[A-Z]?\d{1,4}[A-Z]?)[.)]?\s+)?"
    r"(?P<place>(?:(?:INT|EXT|EST|INNEN|AUSSEN|AUßEN|INTERIOR|EXTERIOR)\b[./ ]|I/E\b|[内內外]景"
    r"|(?i:int|ext|est|i/e)\.)[^\n]*)"
)
TRANSITION = re.compile(
    r"(?:(?:FADE|CUT|SMASH CUT|MATCH CUT|JUMP CUT|DISSOLVE|WIPE)(?: IN| OUT| TO| TO BLACK| BACK TO)?"
    r"|CORTE A|FUNDIDO(?: A)?|COUPEZ|FONDU|SCHNITT(?: AUF)?|ABBLENDE|AUFBLENDE)\s?[.:]?"
    r"|[A-Z0-9ÄÖÜÉÈÑ' ]{1,40} TO:"
)
_FOR_THE_EYE = re.compile(
    r"(?:SUPER(?:IMPOSE)?|TITLE|TITLES|CHYRON|SUBTITLE|CARD|TITLE CARD)\s*[:\-–—].*"
    r"|(?:INSERT|MONTAGE|SERIES OF SHOTS|INTERCUT|FLASHBACK|BACK TO|CLOSE ON|ANGLE ON)\b[^a-z]*"
    r"|END (?:OF )?(?:MONTAGE|INSERT|INTERCUT|FLASHBACK|CREDITS|TITLES|SERIES OF SHOTS)[^a-z]*"
    r"|\(?\s*(?:CONTINUED|CONT['’]D|MORE)\s*:?\s*(?:\(\d+\))?\)?(?:\s+\d+\.?)?|\d{1,4}\."
    r"|(?:THE )?END|FIN|FINIS|ENDE|LA FIN|(?:THE )?END OF (?:ACT|PART|EPISODE)\b[^a-z]*"
    r"|(?:COLD OPEN|TEASER|ACT [A-Z]+|ROLL CREDITS|MAIN TITLES)"
)
_SHOT = re.compile(r"\b(?:SHOT|ON|POV|ANGLE|VIEW|CAMERA|SCREEN|LATER|SERIES|CUT|CARD)\b")
_EXTENSION = re.compile(r"\s*[(（](?P<inner>[^()（）\n]{1,40})[)）]")
_NAME = re.compile(
    r"@(?P<forced>[^\n(（^]{1,60}?)(?P<rest1>(?:\s*[(（][^()（）\n]{1,40}[)）])*)\s*(?P<dual1>\^?)"
    r"|(?P<name>[^\n:!?.,;()（）\[\]\"“^][^\n:!?;()（）\[\]\"“^]{0,50}?)"
    r"(?P<rest>(?:\s*[(（][^()（）\n]{1,40}[)）])*)\s*(?P<dual>\^?)"
)
_PRODUCTION = re.compile(  # extensions that say where a voice is, not how it speaks
    r"(?:V\.?\s?O\.?|O\.?\s?S\.?|O\.?\s?C\.?|CONT['’]?D|CONTINUED|OFF|MORE|SUBTITLED?)\.?",
    re.IGNORECASE,
)
_SMALL = re.compile(r"^(?:Mc|Mac|O['’]|D['’]|De|Van|von|St)(?=[A-Z])|(?<=\d)(?:st|nd|rd|th)\b")
_PARENTHETICAL = re.compile(r"[(（]([^()（）\n]{1,120})[)）]")
_LABELED = re.compile(r"(?P<label>[^:：\n]{1,24}?)\s*[:：]\s*(?=\S)")
_BRACKETED = re.compile(r"[\[(]([^\[\]()]*)[\])]")


def read_fountain(source: str) -> Manuscript:
    """Read a screenplay."""
    remarks = enclosed(source, ("/*", "*/"), ("[[", "]]"))
    text = blanked(source, remarks)
    emphasis = [match.span() for match in _EMPHASIS.finditer(text)]
    text = blanked(text, emphasis)
    elements: list[Element] = [Note(*span, why="not printed") for span in remarks]
    reader = _Reader(text)
    elements += reader.read()
    return compose(source, text, Format.FOUNTAIN, elements)


def is_heading(row: str) -> bool:
    """Say whether a line is the heading of a scene."""
    return HEADING.fullmatch(row.strip("* _")) is not None


class _Reader:
    """Walks the lines of a screenplay.

    Args:
        text: with notes and emphasis blanked.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._rows = read_rows(text)
        self._at = 0
        self._speaker: str | None = None
        names = [self._name(number) for number in range(len(self._rows))]
        self._names = {(match["forced"] or match["name"]).strip() for match in names if match}

    def read(self) -> Iterator[Element]:
        yield from self._title_page()
        while self._at < len(self._rows):
            yield from self._next()

    def _title_page(self) -> Iterator[Element]:
        rows = self._rows
        if not rows or not TITLE_KEY.match(rows[0].text):
            return
        while self._at < len(rows) and (self._at == 0 or not rows[self._at].is_apart):
            yield Note(rows[self._at].start, rows[self._at].end, why="on the title page")
            self._at += 1

    def _next(self) -> Iterator[Element]:
        row = self._rows[self._at]
        name = self._name(self._at)
        if name is not None:
            yield from self._speech(row, name)
            return
        self._at += 1
        yield from self._forced(row) or self._plain(row)

    def _forced(self, row: Row) -> list[Element]:
        first, span, inner = row.text[0], (row.start, row.end), row.start + 1
        if first == "." and row.text[1:2].isalnum():
            return [self._heading(row, inner)]
        if first == ">":
            if row.text.endswith("<"):
                return [Note(*span, why="centered on the page")]
            return [Transition(*span, inner)]
        if first == "=":
            return [Note(*span, why="a synopsis")]
        if first == "#":
            return [Note(*span, why="a section")]
        if first == "!":
            return [Action(*span, inner)]
        if first == "~":
            return [Line(inner, row.end, inner, speaker=self._speaker, manner="singing")]
        return []

    def _heading(self, row: Row, start: int) -> Element:
        number = _NUMBER.search(row.text)
        end = row.start + number.start() if number else row.end
        self._speaker = None
        return Heading(start, end)

    def _plain(self, row: Row) -> list[Element]:
        heading = HEADING.fullmatch(row.text)
        if heading:
            end = row.end
            number = heading["number"]
            if number and row.text.endswith(f" {number}"):
                end -= len(number)
            place = self._heading(row, row.start + heading.start("place"))
            return [Heading(place.start, min(place.end, end))]
        if TRANSITION.fullmatch(row.text):
            return [Transition(row.start, row.end)]
        if _FOR_THE_EYE.fullmatch(row.text):
            return [Note(row.start, row.end, why="for the eye")]
        cue = self._cue(row)
        if cue:
            return [cue]
        return self._inline(row) or [self._action(row)]

    def _inline(self, row: Row) -> list[Element]:
        """Read "KEEPER (whispering): …", which some write in screenplays too."""
        opening = opening_of(row.text, frozenset(), has_dots=False)
        if opening is None or opening.end >= len(row.text):
            return []
        is_shot = bool(self._names) and opening.name not in self._names and not opening.manner
        if is_shot or _SHOT.search(opening.name):
            return []
        start = row.start + opening.end
        return list(
            read_speech(self._text, row.start, start, row.end, opening.name, opening.manner)
        )

    def _cue(self, row: Row) -> Element | None:
        bracketed = _BRACKETED.fullmatch(row.text)
        inner = bracketed[1] if bracketed else row.text
        start, end = row.start + bool(bracketed), row.end - bool(bracketed)
        rest = pause_s(inner)
        if rest is not None:
            return Pause(row.start, row.end, seconds=rest)
        labeled = _LABELED.match(inner)
        sound = sound_of(labeled["label"]) if labeled else None
        if labeled and sound:
            return Cue(row.start, end, start + labeled.end(), sound=sound)
        return None

    def _action(self, row: Row) -> Element:
        self._at = end_of_paragraph(self._rows, self._at)
        return Action(row.start, self._rows[self._at - 1].end)

    def _name(self, number: int) -> re.Match[str] | None:
        """Return the match of a line that names who speaks below it."""
        row = self._rows[number]
        following = number + 1 < len(self._rows) and not self._rows[number + 1].is_apart
        match = _NAME.fullmatch(row.text) if row.is_apart and following else None
        if match is None or match["forced"]:
            return match
        name = _SMALL.sub("", match["name"])
        if name.upper() != name or name.lower() == name or name.endswith((".", "-", "–", ",")):
            return None
        is_other = (
            HEADING.fullmatch(row.text)
            or TRANSITION.fullmatch(row.text)
            or _FOR_THE_EYE.fullmatch(row.text)
            or row.text[0] in ".>=#!~"
        )
        return None if is_other else match

    def _speech(self, row: Row, match: re.Match[str]) -> Iterator[Element]:
        self._speaker = (match["forced"] or match["name"]).strip()
        extensions = match["rest1"] or match["rest"] or ""
        manners = [m["inner"].strip() for m in _EXTENSION.finditer(extensions)]
        manners = [manner for manner in manners if not _PRODUCTION.fullmatch(manner)]
        manner = ", ".join(manners) or None
        is_dual = bool(match["dual1"] or match["dual"])
        begin = row.start
        self._at += 1
        rows: list[Row] = []
        spoken: list[Element] = []
        while self._at < len(self._rows) and not self._rows[self._at].is_apart:
            below = self._rows[self._at]
            directed = _PARENTHETICAL.fullmatch(below.text)
            if not directed and HEADING.fullmatch(below.text):
                break
            self._at += 1
            if not directed:
                rows.append(below)
                continue
            spoken += self._said(begin, rows, manner)
            begin = below.start if rows else begin
            rows = []
            rest = pause_s(directed[1])
            if rest is not None:
                spoken.append(Pause(below.start, below.end, seconds=rest))
            elif not _FOR_THE_EYE.fullmatch(below.text):
                manner = directed[1].strip()
        spoken += self._said(begin, rows, manner)
        last = rows[-1].end if rows else self._rows[self._at - 1].end
        if not rows and begin < last:
            spoken.append(Note(begin, last, why="a name or a direction without words"))
        for element in spoken:
            if is_dual and isinstance(element, Line):
                element = Line(
                    element.start, element.end, element.words_start,
                    speaker=element.speaker, manner=element.manner, is_dual=True,
                )  # fmt: skip
            yield element

    def _said(self, begin: int, rows: list[Row], manner: str | None) -> Iterator[Element]:
        if not rows:
            return
        start = rows[0].start + (rows[0].text[0] == "~")
        yield from read_speech(self._text, begin, start, rows[-1].end, self._speaker, manner)
