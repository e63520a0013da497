"""From a text to its manuscript: the format that is named, else the one that is detected."""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from audiostory_core.manuscript.cue_sheet import read_cue_sheet
from audiostory_core.manuscript.detection import detect, header_end
from audiostory_core.manuscript.elements import Format, Manuscript, Note, blanked
from audiostory_core.manuscript.fountain import read_fountain
from audiostory_core.manuscript.instruction import read_instruction_elements
from audiostory_core.manuscript.markdown import read_markdown
from audiostory_core.manuscript.prose import read_prose
from audiostory_core.manuscript.stage_play import read_stage_play
from audiostory_core.manuscript.subtitles import read_subtitles

READERS: Mapping[Format, Callable[[str], Manuscript]] = {
    Format.FOUNTAIN: read_fountain,
    Format.STAGE_PLAY: read_stage_play,
    Format.MARKDOWN: read_markdown,
    Format.SRT: lambda text: read_subtitles(text, Format.SRT),
    Format.WEBVTT: lambda text: read_subtitles(text, Format.WEBVTT),
    Format.CUE_SHEET: read_cue_sheet,
    Format.PROSE: read_prose,
    Format.EPUB: read_prose,
    Format.INSTRUCTION: read_instruction_elements,
}


NAMED = "you named that format"
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{2,6}|#[xX][\dA-Fa-f]{2,5});")
_BREAK = re.compile(r"<br\s{0,3}/?>\n?", re.IGNORECASE)


def plain_text(text: str) -> str:
    """Return a text without byte order mark and HTML entities, its lines ended by line feeds."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "<FinalDraft" in text[:4_000]:
        return text
    return _ENTITY.sub(lambda match: _character(match[0]), _BREAK.sub("\n", text))


def _character(entity: str) -> str:
    character = html.unescape(entity)
    return entity if character in ("\x00", "\ufffd") else character


def read_manuscript(text: str, format_: Format | None = None, suffix: str = "") -> Manuscript:
    """Read a text into elements.

    Args:
        text: as the author wrote it.
        format_: what it is written in; None: as its content and name say.
        suffix: of the file it is from, such as ".fountain".

    Raises:
        BadInput: if it is damaged XML.
    """
    text = plain_text(text)
    reason = NAMED
    if format_ is None:
        format_, reason = detect(text, suffix)
    if format_ is Format.FINAL_DRAFT:
        from audiostory_core.manuscript.final_draft import to_fountain  # noqa: PLC0415 - XML is rare

        text, format_ = to_fountain(text), Format.FOUNTAIN
    end = header_end(text)
    manuscript = READERS[format_](blanked(text, [(0, end)]))
    header = (Note(0, end, why="names the format"),) if end else ()
    return replace(manuscript, source=text, reason=reason, elements=(*header, *manuscript.elements))
