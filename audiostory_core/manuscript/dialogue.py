"""What a speech is made of: words, the way they are said, and sounds and rests between them."""

import re
from collections.abc import Iterator

from audiostory_core.manuscript.elements import Cue, Element, Line, Note, Pause
from audiostory_core.manuscript.labels import SSML_BREAK, break_s, pause_s, sound_of

_BRACKET = re.compile(r"\[(?P<square>[^\[\]\n]{1,200})\]|[(（](?P<round>[^()（）\n]{1,120})[)）]")
_PIECE = re.compile(f"{_BRACKET.pattern}|{SSML_BREAK.pattern}", re.IGNORECASE)
_LABELED = re.compile(r"\s*(?P<label>[^:：\n]{1,24}?)\s*[:：]\s*(?=\S)")
_SENTENCE_ENDS = re.compile(r"(?:[.!?…。！？,;:—–-][\"”»」』]?)\s*$")
_HOW = re.compile(  # "to Marin", "aside", "off, calling", "laughing", "softly": of the words after it
    r"(?:to|aside|off|within|from|into|at|under|over|in|as|on|a parte|aparte|à part|beiseite)\b.*"
    r"|.*(?:ing|ly|ando|endo|mente|ment|ant|end|nd)\b.*|[^\W\d_]+",
    re.IGNORECASE | re.DOTALL,
)
_FOOTNOTE = re.compile(r"\d{1,3}")
_TIME = re.compile(r"(?:for |at |at second )?[\d:.,–-]+\s*[^\W\d]{0,8}", re.IGNORECASE)  # "(10 s)"


def read_speech(
    text: str, begin: int, start: int, end: int, speaker: str | None, manner: str | None = None
) -> Iterator[Element]:
    """Yield a speech's lines, and the cues, rests and notes between them.

    Args:
        text: with markup blanked.
        begin: where the name stands that the speech begins with.
        start: where its words begin.
        end: where they end.
        speaker: who says them.
        manner: how, until a direction says otherwise.
    """
    at = start
    for match in _PIECE.finditer(text, start, end):
        read = _read_piece(text, match, at, end)
        if read is None:
            continue
        if text[at : match.start()].strip():
            yield _line(text, begin, at, match.start(), speaker, manner)
            begin = match.start()
        if isinstance(read, str):
            manner = read
        else:
            yield read
            begin = match.end()
        at = match.end()
    if text[at:end].strip():
        yield _line(text, begin, at, end, speaker, manner)
    elif begin < at and text[begin:at].strip():
        yield Note(begin, at, why="a name or a direction without words")


def _line(
    text: str, begin: int, start: int, end: int, speaker: str | None, manner: str | None
) -> Line:
    while end > start and text[end - 1].isspace():
        end -= 1
    while text[start].isspace():
        start += 1
    return Line(begin, end, start, speaker=speaker, manner=manner)


def _read_piece(text: str, match: re.Match[str], at: int, end: int) -> Element | str | None:
    """Return the element in a speech's brackets, the manner they tell, or None for spoken words."""
    span = match.span()
    if match["square"] is None and match["round"] is None:
        return Pause(*span, seconds=break_s(match))
    inner = (match["square"] or match["round"]).strip()
    rest = pause_s(inner)
    if rest is not None:
        return Pause(*span, seconds=rest)
    labeled = _LABELED.match(inner)
    sound = sound_of(labeled["label"]) if labeled else None
    if labeled and sound:
        words_start = text.index(inner, span[0]) + labeled.end()
        return Cue(span[0], span[1] - 1, words_start, sound=sound)
    if _TIME.fullmatch(inner) and not _FOOTNOTE.fullmatch(inner):
        return None
    if match["square"] is None:
        return inner if _stands_apart(text, match, at, end) else None
    if _FOOTNOTE.fullmatch(inner):
        return Note(*span, why="a footnote mark")
    if _HOW.fullmatch(inner) or not _stands_apart(text, match, at, end):
        return inner
    return Cue(span[0], span[1] - 1, span[0] + 1)


def _stands_apart(text: str, match: re.Match[str], at: int, end: int) -> bool:
    """Say whether brackets stand between sentences; within one they are spoken."""
    before, after = text[at : match.start()], text[match.end() : end].lstrip()
    if before.strip() and not _SENTENCE_ENDS.search(before):
        return False
    return not after or not after[0].islower()
