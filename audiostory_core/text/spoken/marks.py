"""Marks in a text that nobody says: entities, tags, soft hyphens, footnote marks."""

import html
import re
import unicodedata

_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{2,6}|#[xX][\dA-Fa-f]{2,5});")
_TAG = re.compile(r"</?(?:br|p|i|b|em|strong|u|s|sup|sub|span)\b[^<>\n]{0,200}>", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200b\u200c\u2060\ufeff]")
_FOOTNOTE_MARK = re.compile(
    r"(?<=\S)\[(?:\^?\d{1,3}|\^[\w-]{1,20}|[*†‡])\]"  # word.[1]
    r"|(?<=[^\W\d_][^\W\d_])[¹²³⁴-⁹⁰]+(?!\w)"  # word²; m² is a unit
    r"|(?<=[.,;:!?”’\"»)])[¹²³⁴-⁹⁰]+"
    r"|(?<=[\w.,;:!?”’\"»)])[†‡]+"
)
_FOOTNOTE = re.compile(
    r"^[ \t]*(?P<mark>\[\^?\d{1,3}\](?=:?[ \t])|[¹²³⁴-⁹⁰]{1,3}|[†‡])(?P<text>:?[ \t]+\S[^\n]*)(?:\n|$)",
    re.MULTILINE,
)
_STAR = re.compile(  # the first of its line; a second one ends what is emphasized
    r"^[^*\n]*(?<=[\w.,;:!?”’\"»)])(?P<star>\*)(?=[\s.,;:!?]|$)", re.MULTILINE
)
_STARRED = re.compile(r"^[ \t]*\*[ \t]+\S[^\n]*(?:\n|$)", re.MULTILINE)
_UNITS = frozenset({"cm", "km", "mm", "dm", "ft", "mi", "in", "yd"})


def without_marks(words: str) -> tuple[str, tuple[str, ...]]:
    """Return the words without what is not said, and the footnote marks among it.

    Args:
        words: any text; one without such marks is returned as it is.
    """
    text = words
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    if "<" in text:
        text = _TAG.sub(lambda tag: "\n" if tag[0][1:3].lower() == "br" else " ", text)
    text = _INVISIBLE.sub("", text)
    return _without_footnote_marks(text)


def without_footnotes(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a text without footnotes and their marks, and what was dropped.

    Args:
        text: any text; a line that begins with a mark is a footnote if a word above has the mark.
    """
    text, starred = _without_starred(text)
    marked = {match[0] for match in _FOOTNOTE_MARK.finditer(text)}
    if not marked:
        return text, starred
    footnotes: list[str] = []

    def drop(match: re.Match[str]) -> str:
        if match["mark"] not in marked:
            return match[0]
        footnotes.append((match["mark"] + match["text"]).strip())
        return ""

    without, marks = _without_footnote_marks(_FOOTNOTE.sub(drop, text))
    named = {footnote.split()[0].rstrip(":") for footnote in footnotes}
    return without, (*starred, *footnotes, *(mark for mark in marks if mark not in named))


def _without_starred(text: str) -> tuple[str, tuple[str, ...]]:
    """Drop "word.*" and the line "* note" below it; other stars are emphasis or a list."""
    notes = list(_STARRED.finditer(text))
    if not notes:
        return text, ()
    marks = list(_STAR.finditer(text))
    if len(notes) != len(marks) or marks[-1].end() > notes[0].start():
        return text, ()
    pieces: list[str] = []
    at = 0
    for start, end in (*(m.span("star") for m in marks), *(m.span() for m in notes)):
        pieces.append(text[at:start])
        at = end
    return "".join([*pieces, text[at:]]), tuple(note[0].strip() for note in notes)


def _without_footnote_marks(text: str) -> tuple[str, tuple[str, ...]]:
    dropped: list[str] = []

    def drop(match: re.Match[str]) -> str:
        start = match.start()
        before = re.search(r"\w+$", text[max(0, start - 3) : start])
        if match[0] in "²³" and before is not None and before[0].lower() in _UNITS:
            return match[0]
        dropped.append(match[0])
        return ""

    return _FOOTNOTE_MARK.sub(drop, text), tuple(dropped)


def _character(entity: re.Match[str]) -> str:
    character = html.unescape(entity[0])
    is_text = unicodedata.category(character[0]) not in ("Cc", "Cs", "Cn") and character != "\ufffd"
    return character if is_text else entity[0]
