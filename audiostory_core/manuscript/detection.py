"""Which format a text is written in, by what only that format has."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from audiostory_core.manuscript import cue_sheet, fountain, markdown, stage_play, subtitles
from audiostory_core.manuscript.elements import Format
from audiostory_core.manuscript.labels import sound_of
from audiostory_core.manuscript.rows import Row, read_rows

SUFFIXES = {
    ".fountain": Format.FOUNTAIN,
    ".spmd": Format.FOUNTAIN,
    ".fdx": Format.FINAL_DRAFT,
    ".srt": Format.SRT,
    ".vtt": Format.WEBVTT,
    ".epub": Format.EPUB,
}
_ROWS_READ = 2_000
_TAGGED = re.compile(r"\s*(?:\[S\d{1,2}\]|<(?P<name>Person\d{1,2}|Speaker\d{1,2}|Host|Guest)>)")
_NAME_TAG = re.compile(r"\[(?P<name>[A-Z][\w.'’-]{0,30})\]\s+\S")
_NUMBERED = re.compile(r"\d{1,4}[.)]\s+(?=[A-Z][A-Z .'’-]+(?:\s*\([^)]*\))?\s*:)")
_ALONE = re.compile(r"[^\W\d_][^:：\n.!?,;()]{0,40}\s*[:：]")


def detect(text: str, suffix: str = "") -> tuple[Format, str]:
    """Return the format of a text and why, a clause.

    Args:
        text: with line feeds only.
        suffix: of the file's name, such as ".srt"; the content counts for more.
    """
    head = text[:4_000]
    if head.startswith("WEBVTT"):
        return Format.WEBVTT, "begins with WEBVTT"
    if "<FinalDraft" in head:
        return Format.FINAL_DRAFT, "is XML of Final Draft"
    if subtitles.TIMES.search(text):
        return Format.SRT, "has times with an arrow between them"
    rows = read_rows(text)[:_ROWS_READ]
    for read in (_fountain, _markdown, _play, _cue_sheet):
        found_format = read(text, rows)
        if found_format is not None:
            return found_format
    named = SUFFIXES.get(PurePath(f"x{suffix}").suffix.lower())
    if named is not None:
        return named, f"is named {suffix}"
    return Format.INSTRUCTION, "has no form of a script"


def _fountain(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    headings = sum(fountain.is_heading(row.text) for row in rows)
    if headings:
        return Format.FOUNTAIN, "has headings such as INT. and EXT."
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
    names = stage_play.names_in(rows)
    if any(_names_below(rows, number, names) for number in range(len(rows) - 1)):
        return Format.STAGE_PLAY, "has names above what they say"
    dotted = {
        opening.name
        for row in rows
        if (opening := stage_play.opening_of(row.text, frozenset())) is not None
        and row.text[: opening.end].rstrip()[-1:] not in ":："
    }
    if len(dotted) > 1:
        return Format.STAGE_PLAY, "has names in capitals before what they say"
    return None


def _names_below(rows: Sequence[Row], number: int, names: frozenset[str]) -> bool:
    row, below = rows[number], rows[number + 1]
    if below.is_apart or not _ALONE.fullmatch(row.text):
        return False
    return stage_play.opening_of(row.text, names, has_dots=False) is not None


def _cue_sheet(text: str, rows: Sequence[Row]) -> tuple[Format, str] | None:
    timed = sum(bool(cue_sheet.TIMED.match(row.text)) for row in rows)
    if timed > 1 and 2 * timed >= len(rows):
        return Format.CUE_SHEET, "has a time and columns in each line"
    return None
