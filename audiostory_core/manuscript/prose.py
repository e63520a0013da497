"""Prose that is read aloud: a narrator tells it, and quotes are spoken by who says them."""

import re
from collections.abc import Iterator, Sequence

from audiostory_core.manuscript.dashes import DashTurn, read_dashes
from audiostory_core.manuscript.elements import (
    Element,
    Format,
    Heading,
    Line,
    Manuscript,
    Narration,
    Note,
    blanked,
    compose,
    has_content,
)
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.speech import Quote, Voice, find_quotes, read_voices

Voiced = tuple[Quote, Voice | None]
_PARAGRAPH = re.compile(r"[^\n]+(?:\n(?![ \t]*\n)[^\n]+)*")
_CHAPTER = re.compile(
    r"#{1,6}[ \t]+(?P<words>[^\n]+)"
    r"|(?:chapter|part|book|prologue|epilogue|capítulo|parte|chapitre|partie|kapitel|teil)\b"
    r"[^\n]{0,80}|第[\d一二三四五六七八九十百]{1,5}[章回部][^\n]{0,60}",
    re.IGNORECASE,
)
_FOOTNOTE_MARK = re.compile(
    r"\[\d{1,3}\]|(?<=[^\W\d]|[.,;!?”\"])[¹²³⁴⁵⁶⁷⁸⁹⁰]+|\u00ad|\[\^[\w-]{1,20}\]"
)
_FOOTNOTE = re.compile(r"\s*(?:\[\^?\w{1,20}\]:?|[¹²³⁴⁵⁶⁷⁸⁹⁰]+)\s+\S")
_RULE = re.compile(r"[\s*#_~=·•-]+")


def read_prose(source: str) -> Manuscript:
    """Read prose."""
    languages = Languages.load()
    language = languages.named(languages.detect(source))
    marks = [
        match.span()
        for match in _FOOTNOTE_MARK.finditer(source)
        if source[source.rfind("\n", 0, match.start()) + 1 : match.start()].strip()
    ]
    text = blanked(source, marks)
    dashes = read_dashes(text, [match.span() for match in re.finditer(r"[^\n]+", text)])
    quotes = find_quotes(text)
    voiced = list(zip(quotes, read_voices(text, quotes, language), strict=True))
    elements: list[Element] = []
    number = 0
    for match in _PARAGRAPH.finditer(text):
        first = number
        while number < len(quotes) and quotes[number].start < match.end():
            number += 1
        elements += _paragraph(text, match, voiced[first:number], dashes)
    return compose(source, text, Format.PROSE, elements, marks)


def _paragraph(
    text: str,
    match: re.Match[str],
    voiced: Sequence[Voiced],
    dashes: dict[int, DashTurn],
) -> Iterator[Element]:
    words = match[0].strip()
    if not words or _RULE.fullmatch(words):
        return
    chapter = _CHAPTER.fullmatch(words)
    if chapter and "\n" not in words:
        lead = match.start() + match[0].index(words)
        yield Heading(lead, lead + len(words), lead + max(chapter.start("words"), 0))
        return
    if _FOOTNOTE.match(match[0]):
        yield Note(match.start(), match.end(), why="a footnote")
        return
    at = match.start()
    for row in re.finditer(r"[^\n]+", match[0]):
        start = match.start() + row.start() + len(row[0]) - len(row[0].lstrip())
        turn = dashes.get(start)
        if turn:
            yield from _narrated(text, at, turn.start, voiced)
            yield from _turn(text, turn)
            at = turn.end
    yield from _narrated(text, at, match.end(), voiced)


def _turn(text: str, turn: DashTurn) -> Iterator[Element]:
    at = turn.start
    for start, end in turn.spoken:
        if has_content(text[at:start]):
            yield Narration(at, start)
        yield Line(start, end, speaker=turn.speaker, manner=turn.manner)
        at = end
    if has_content(text[at : turn.end]):
        yield Narration(at, turn.end)


def _narrated(text: str, start: int, end: int, voiced: Sequence[Voiced]) -> Iterator[Element]:
    at = start
    for quote, voice in voiced:
        if voice is None or not start <= quote.start < end:
            continue
        if has_content(text[at : quote.start]):
            yield Narration(_past_marks(text, at), quote.start)
        start_of_words, end_of_words = quote.inner
        yield Line(
            quote.start, end_of_words, start_of_words, speaker=voice.speaker, manner=voice.manner
        )
        at = quote.end
    if has_content(text[at:end]):
        yield Narration(_past_marks(text, at), end)


def _past_marks(text: str, at: int) -> int:
    """Return where words begin behind a quote and the comma that parts it from who says it."""
    while text[at].isspace() or text[at] in ",，;":
        at += 1
    return at
