"""Final Draft's .fdx, turned into Fountain with every element forced, so that nothing is guessed."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from audiostory_core.errors import BadInput
from audiostory_core.manuscript.xml_files import parse_xml

_SPOKEN = ("Dialogue", "Parenthetical")


def to_fountain(content: str | bytes, name: str = "Final Draft") -> str:
    """Return a Final Draft document as Fountain.

    Raises:
        BadInput: if it is damaged, or no document of Final Draft.
    """
    root = parse_xml(content.encode() if isinstance(content, str) else content, name)
    body = root.find("Content") if root.tag == "FinalDraft" else None
    if body is None:
        raise BadInput(
            "script", name, "is XML, but no Final Draft document", "Export it as .fdx again."
        )
    written = "".join(_blocks(root, body)).strip("\n")
    return f"{written}\n" if written else ""


def _blocks(root: Element, body: Element) -> Iterator[str]:
    title = [text for p in root.findall("TitlePage/Content/Paragraph") if (text := _text(p))]
    if title:
        yield "Title:\n" + "".join(f"    {line}\n" for line in title)
    for paragraph in body:
        dual = paragraph.find("DualDialogue")
        if dual is None:
            yield from _paragraph(paragraph)
            continue
        names = 0
        for inner in dual.findall("Paragraph"):
            names += inner.get("Type") == "Character"
            yield from _paragraph(inner, is_second=names > 1)


def _paragraph(paragraph: Element, *, is_second: bool = False) -> Iterator[str]:
    kind, text = paragraph.get("Type", "Action"), _text(paragraph)
    if not text:
        return
    if kind in _SPOKEN:
        bracketed = text.startswith(("(", "（"))
        yield f"{text if kind == 'Dialogue' or bracketed else f'({text})'}\n"
    elif kind == "Character":
        yield f"\n@{text}{' ^' if is_second else ''}\n"
    elif kind == "Scene Heading":
        yield f"\n.{text}\n"
    elif kind == "Transition":
        yield f"\n> {text}\n"
    elif kind == "Lyrics":
        yield f"~{text}\n"
    else:
        yield f"\n!{text}\n\n"


def _text(paragraph: Element) -> str:
    return " ".join("".join(part.text or "" for part in paragraph.findall("Text")).split())
