"""Files that authors bring, as text whose format is known."""

from pathlib import Path

from audiostory_core.author_files import check_regular
from audiostory_core.errors import BadInput
from audiostory_core.manuscript.detection import SUFFIXES, detect, with_format
from audiostory_core.manuscript.elements import Format
from audiostory_core.manuscript.epub import to_chapters
from audiostory_core.manuscript.final_draft import to_fountain
from audiostory_core.story.plan import LONGEST_MANUSCRIPT

LARGEST_FILE = 64 << 20  # bytes; an ePub holds pictures too
_REMEDY = "Bring text, .fountain, .fdx, .srt, .vtt, .md or .epub."
_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16


def read_script(path: Path, format_: Format | None = None) -> str:
    """Return the text of a script file, its format named above it where its content does not tell.

    Args:
        path: of the file.
        format_: what it is written in; None: as its content and name say.

    Raises:
        BadInput: if it cannot be read, is damaged, no text, encrypted, or too long.
    """
    content = _content(path)
    name = str(path)
    if content.startswith(b"PK\x03\x04"):
        if format_ not in (None, Format.EPUB, Format.PROSE):
            raise BadInput("format", str(format_), f"is not what {name} is: a zip", _REMEDY)
        return checked(with_format(to_chapters(content, name), Format.PROSE), name)
    if format_ is Format.EPUB or (format_ is None and path.suffix.lower() == ".epub"):
        raise BadInput("script", name, "is no ePub: it is not a zip", "Export it again.")
    text = _decoded(content, name)
    is_draft = "<FinalDraft" in text[:4_000] or path.suffix.lower() == ".fdx"
    if format_ is Format.FINAL_DRAFT or (format_ is None and is_draft):
        return checked(with_format(to_fountain(content, name), Format.FOUNTAIN), name)
    _check_subtitles(text, format_ or SUFFIXES.get(path.suffix.lower()), name)
    wanted = format_ or detect(text, path.suffix)[0]
    return checked(with_format(text, wanted), name)


def checked(text: str, name: str) -> str:
    """Return the text of a script that is neither empty nor too long.

    Raises:
        BadInput: if it is.
    """
    if not text.strip():
        raise BadInput("script", name, "holds no text", _REMEDY)
    if len(text) > LONGEST_MANUSCRIPT:
        raise BadInput(
            "script", name,
            f"has {len(text):,} characters; the most is {LONGEST_MANUSCRIPT:,}",
            "Make several stories of it, such as one of each part.",
        )  # fmt: skip
    return text


def _content(path: Path) -> bytes:
    try:
        check_regular(path, "script", _REMEDY)
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise BadInput("script", str(path), problem, "Name a file you may read.") from error
    if len(content) > LARGEST_FILE:
        raise BadInput(
            "script", str(path), f"is larger than {LARGEST_FILE >> 20} MiB",
            "Make several stories of it, such as one of each part.",
        )  # fmt: skip
    return content


def _decoded(content: bytes, name: str) -> str:
    encoding = "utf-16" if content.startswith(_MARKS) else "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInput(
            "script", name, f"is not text in UTF-8 (byte {error.start:,})", "Save it as UTF-8."
        ) from error
    if "\x00" in text:
        raise BadInput("script", name, "is not text: it holds NUL", _REMEDY)
    return text


def _check_subtitles(text: str, format_: Format | None, name: str) -> None:
    if format_ not in (Format.SRT, Format.WEBVTT):
        return
    if detect(text)[0] not in (Format.SRT, Format.WEBVTT):
        raise BadInput(
            "script", name, "has no times such as 00:00:01,000 --> 00:00:04,000",
            "Export the subtitles again, or name another --format.",
        )  # fmt: skip
