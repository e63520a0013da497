"""ePubs: a zip of XHTML, turned into plain chapters in the order of the book.

EbookLib is AGPL; what is needed of the format is small: container, package, spine.
"""

import html
import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from audiostory_core.errors import BadInput
from audiostory_core.manuscript.xml_files import parse_xml

LARGEST_PART = 20_000_000  # bytes of one unpacked file
LARGEST_BOOK = 100_000_000  # bytes of all that is read
MOST_RATIO = 200  # of unpacked to packed; text packs to about a third
_BLOCKS_WORDS = "p div li blockquote h1 h2 h3 h4 h5 h6 tr dt dd pre section article"
_BLOCKS = frozenset(_BLOCKS_WORDS.split())
_HIDDEN_WORDS = "script style head nav svg"
_HIDDEN = frozenset(_HIDDEN_WORDS.split())
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-fA-F]+);)(\w+);")
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*>", re.IGNORECASE)


def to_chapters(content: bytes, name: str) -> str:
    """Return the text of a book: "# Title" above each chapter, empty lines between paragraphs.

    Raises:
        BadInput: if it is damaged, encrypted, or would unpack to more than a book.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            return "\n\n".join(_Book(book, name).paragraphs())
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise _bad(name, f"is a damaged ePub ({error})", "Fetch or export it again.") from error


def _bad(name: str, problem: str, remedy: str) -> BadInput:
    return BadInput("script", name, problem, remedy)


class _Book:
    """Reads parts of a book within limits.

    Args:
        book: the open zip.
        name: of the file.
    """

    def __init__(self, book: zipfile.ZipFile, name: str) -> None:
        self._book = book
        self._name = name
        self._read = 0

    def paragraphs(self) -> Iterator[str]:
        if "META-INF/encryption.xml" in self._book.namelist():
            raise _bad(self._name, "is encrypted (DRM)", "Bring a copy without it.")
        container = self._xml("META-INF/container.xml")
        path = (
            next((e.get("full-path") for e in container.iter() if _tag(e) == "rootfile"), None)
            or ""
        )
        package = self._xml(path)
        items = {
            item.get("id"): item.get("href") for item in package.iter() if _tag(item) == "item"
        }
        folder = posixpath.dirname(path)
        for reference in package.iter():
            href = items.get(reference.get("idref")) if _tag(reference) == "itemref" else None
            if href:
                part = posixpath.normpath(posixpath.join(folder, unquote(href)))
                yield from _paragraphs(self._xml(part))

    def _xml(self, path: str) -> Element:
        try:
            entry = self._book.getinfo(path)
        except KeyError as error:
            raise _bad(
                self._name, f"is no ePub: it lacks {path or 'a package'}", "Export it again."
            ) from error
        if entry.flag_bits & 1:
            raise _bad(self._name, "is locked by a password", "Bring a copy without it.")
        self._read += entry.file_size
        is_bomb = entry.file_size > MOST_RATIO * max(entry.compress_size, 1024)
        if entry.file_size > LARGEST_PART or self._read > LARGEST_BOOK or is_bomb:
            raise _bad(self._name, "unpacks to more than a book", "Bring its text alone.")
        with self._book.open(entry) as file:
            text = file.read(LARGEST_PART + 1).decode("utf-8", errors="replace")
        text = _ENTITY.sub(lambda match: _entity(match[0]), _DOCTYPE.sub("", text, count=1))
        return parse_xml(text.removeprefix("\ufeff").encode(), self._name)


def _entity(entity: str) -> str:
    return html.unescape(entity) if html.unescape(entity) != entity else ""


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _paragraphs(root: Element) -> Iterator[str]:
    """Yield the blocks of a page, headings marked."""
    words: list[str] = []
    level = ""
    for tag, text, is_end in _walk(root):
        if tag in _BLOCKS:
            line = " ".join("".join(words).split())
            if line:
                yield f"# {line}" if level else line
            words = []
            level = tag if tag[0] == "h" and tag[1:].isdigit() and not is_end else ""
        elif tag == "br":
            words.append(" ")
        if text:
            words.append(text)
    line = " ".join("".join(words).split())
    if line:
        yield line


def _walk(root: Element) -> Iterator[tuple[str, str, bool]]:
    """Yield tag and the text after it, for each tag that begins or ends; not recursive."""
    stack: list[tuple[Element, int]] = [(root, -1)]
    while stack:
        element, at = stack.pop()
        if at < 0:
            if _tag(element) in _HIDDEN:
                yield "", element.tail or "", True
                continue
            yield _tag(element), element.text or "", False
        if at + 1 < len(element):
            stack.append((element, at + 1))
            stack.append((element[at + 1], -1))
        else:
            tail = (element.tail or "") if element is not root else ""
            yield _tag(element), tail, True
