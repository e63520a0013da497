"""Which format a text is written in, by what only that format has."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from audiostory_core.manuscript import cue_sheet, fountain, markdown, openings, subtitles
from audiostory_core.manuscript.elements import Format
from audiostory_core.manuscript.labels import sound_of
from audiostory_core.manuscript.rows import Row, read_rows
from audiostory_core.story.plan import LONGEST_INSTRUCTION, LONGEST_MANUSCRIPT, check_instruction

SUFFIXES = {
    ".fountain": Format.FOUNTAIN,
    ".spmd": Format.FOUNTAIN,
    ".fdx": Format.FINAL_DRAFT,
    ".srt": Format.SRT,
    ".vtt": Format.WEBVTT,
    ".epub": Format.EPUB,
}
_CHARACTERS_READ = 400_000
_ROWS_READ = 2_000
_HEADER = re.compile(rf"\s*Format:[ \t]*(?P<name>{'|'.join(Format)})[ \t]*(?:\n|$)", re.IGNORECASE)
_READ_ALOUD = re.compile(
    r"\s*(?:please |por favor,? |bitte )?(?:read (?:this|the following|it)(?: text| story| chapter)? (?:aloud|out loud)"
    r"|lee (?:esto|lo siguiente|este texto) en voz alta|lis(?:ez)? (?:ceci|ce texte) à (?:voix haute|haute voix)"
    r"|lies (?:das|dies|diesen text|den text) (?:laut )?vor|(?:请)?(?:大声)?朗读(?:以下|这段|下面)(?:文字|的文字|内容|故事)?"
    r"|(?:以下|次の文章?|これ)を(?:朗読|音読)して(?:ください)?)\s*[:.：。]?\s*\n",
    re.IGNORECASE,
)
_DIRECTED = r"(?:[\[(][a-z][^\[\]()\n]{0,60}[\])]\s*)?"  # "[laughs] [S1]"
_TAGGED = re.compile(
    rf"\s*{_DIRECTED}"
    r"(?:\[(?:S|Speaker ?|Person ?|Voice ?)\d{1,2}\]|<(?P<name>Person\d{1,2}|Speaker\d{1,2}|Host|Guest)>)"
)
_NAME_TAG = re.compile(_DIRECTED + r"\[(?P<name>[A-Z][\w.'’-]{0,30})\]:?\s+\S")
_NUMBERED = re.compile(r"\d{1,4}[.)]\s+(?=[A-Z][A-Z .'’-]+(?:\s*\([^)]*\))?\s*:)")
_DUAL = re.compile(r"[A-Z][A-Z0-9 .'’()-]{0,40}\s\^")
_ITEM = re.compile(r"\(?\d{1,3}[.)、）]\s|[①-⑳]")  # of a list
_ALONE = re.compile(r"[^\W\d_][^:：\n.!?,;()]{0,40}\s*[:：]")


def header_end(text: str) -> int:
    """Return where the line ends that names the format of the text below it; 0 for none."""
    match = _HEADER.match(text) or _READ_ALOUD.match(text)
    return match.end() if match else 0


def with_format(text: str, format_: Format) -> str:
    """Return a text that is read as that format: its name stands above where nothing else tells."""
    body = text.removeprefix("\ufeff")
    body = body[header_end(body) :]
    return text if detect(text)[0] is format_ else f"Format: {format_}\n\n{body}"


def detect(text: str, suffix: str = "") -> tuple[Format, str]:
    """Return the format of a text and why, a clause.

    Args:
        text: as a file has it.
        suffix: of the file's name, such as ".srt"; the content counts for more.
    """
    text = text[:_CHARACTERS_READ].removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    header = _HEADER.match(text)
    if header:
        return Format(header["name"].lower()), "says so in its first line"
    if _READ_ALOUD.match(text):
        return Format.PROSE, "asks to be read aloud"
    head = text[:4_000]
    if head.startswith("WEBVTT"):
        return Format.WEBVTT, "begins with WEBVTT"
    if "<FinalDraft" in head:
        return Format.FINAL_DRAFT, "is XML of Final Draft"
    if subtitles.TIMES.search(text):
        return Format.SRT, "has times with an arrow between them"
    rows = read_rows(text)[:_ROWS_READ]
    for recognize in (_fountain, _markdown, _play, _cue_sheet):
        recognized = recognize(text, rows)
        if recognized is not None:
            return recognized
    named = SUFFIXES.get(PurePath(f"x{suffix}").suffix.lower())
    if named is not None:
        return named, f"is named {suffix}"
    return Format.INSTRUCTION, "has no form of a script"


def _fountain(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    headings = sum(fountain.is_heading(row.text) for row in rows)
    if headings or any(_DUAL.fullmatch(row.text) for row in rows):
        what = "headings such as INT. and EXT." if headings else "names marked ^"
        return Format.FOUNTAIN, f"has {what}"
    keys = 0
    for row in rows:
        if keys and row.is_apart:
            break
        keys += bool(fountain.TITLE_KEY.match(row.text))
    if keys > 1 and fountain.TITLE_KEY.match(rows[0].text):
        return Format.FOUNTAIN, "has a title page"
    return None


def _markdown(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    names = len(markdown.BOLD_NAME.findall(text))
    if names > 1 or (names == 1 and 2 * names >= len(rows)):
        return Format.MARKDOWN, "has names in bold"
    return None


def _play(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    tags = sum(bool(_TAGGED.match(row.text)) for row in rows)
    named = {match["name"] for row in rows if (match := _NAME_TAG.match(row.text))}
    named = {name for name in named if sound_of(name) is None}
    if tags or len(named) > 1:
        return Format.STAGE_PLAY, "has tags that tell who speaks"
    if sum(bool(_NUMBERED.match(row.text)) for row in rows) > 1:
        return Format.STAGE_PLAY, "has numbered lines with names"
    names = openings.names_in(rows)
    if any(_names_below(rows, number, names) for number in range(len(rows) - 1)):
        return Format.STAGE_PLAY, "has names above what they say"
    dotted = {
        opening.name
        for row in rows
        if (opening := openings.opening_of(row.text, frozenset())) is not None
        and row.text[: opening.end].rstrip()[-1:] not in ":："
    }
    if len(dotted) > 1:
        return Format.STAGE_PLAY, "has names in capitals before what they say"
    return None


def _names_below(rows: Sequence[Row], number: int, names: frozenset[str]) -> bool:
    row, below = rows[number], rows[number + 1]
    if below.is_apart or _ITEM.match(below.text) or not _ALONE.fullmatch(row.text):
        return False
    return openings.opening_of(row.text, names, has_dots=False) is not None


def _cue_sheet(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    timed = sum(bool(cue_sheet.TIMED.match(row.text)) for row in rows)
    if timed > 1 and 2 * timed >= len(rows):
        return Format.CUE_SHEET, "has a time and columns in each line"
    return None


def check_manuscript(text: str) -> str:
    """Return a text if it can be planned; a script may be longer than an instruction.

    Raises:
        BadInput: if it is empty, no valid text, or longer than its format allows.
    """
    if len(text) <= LONGEST_INSTRUCTION or detect(text)[0] is Format.INSTRUCTION:
        return check_instruction(text)
    return check_instruction(text, LONGEST_MANUSCRIPT)
