"""`audiostory read`: a script as the elements it is read into."""

from collections import Counter
from pathlib import Path

from rich.markup import escape

from api.terminal import console
from audiostory_core.manuscript.elements import Cue, Element, Format, Line, Manuscript, Note, Pause
from audiostory_core.manuscript.files import read_script
from audiostory_core.manuscript.reading import read_manuscript


def show(file: Path, format_: Format | None, *, as_json: bool) -> None:
    """Print the elements of a script, and how many of each kind and speaker there are."""
    text = read_script(file, format_)
    manuscript = read_manuscript(text)
    if as_json:
        console.print_json(document_of(manuscript))
        return
    console.show_rows(
        ("line", "element", "who or what", "words"),
        [
            (str(number), element.kind, _detail(element), manuscript.words_of(element))
            for element, number in numbered(manuscript)
        ],
    )
    console.out.print(escape(f"read as {manuscript.format}: {manuscript.reason}"), soft_wrap=True)
    counts = Counter(element.kind for element in manuscript.elements)
    console.out.print(escape(", ".join(f"{name} {n:,}" for name, n in counts.items())))
    spoken_by = manuscript.spoken_by()
    speakers = ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in spoken_by.items())
    if speakers:
        lines = sum(spoken_by.values())
        spoken = "1 line is spoken" if lines == 1 else f"{lines:,} lines are spoken"
        console.out.print(escape(f"{spoken}: {speakers}"), soft_wrap=True)


def numbered(manuscript: Manuscript) -> list[tuple[Element, int]]:
    """Return the elements with the line of the text on which each begins, from 1."""
    number, at = 1, 0
    pairs: list[tuple[Element, int]] = []
    for element in manuscript.elements:
        number += manuscript.source.count("\n", at, element.start)
        at = max(at, element.start)
        pairs.append((element, number))
    return pairs


def document_of(manuscript: Manuscript) -> dict[str, object]:
    """Return a manuscript as JSON."""
    return {
        "format": manuscript.format,
        "reason": manuscript.reason,
        "counts": dict(Counter(element.kind for element in manuscript.elements)),
        "speakers": manuscript.spoken_by(),
        "elements": [
            {
                "kind": element.kind,
                "line": number,
                "start": element.start,
                "end": element.end,
                "words": manuscript.words_of(element),
                **_fields(element),
            }
            for element, number in numbered(manuscript)
        ],
    }


def _fields(element: Element) -> dict[str, object]:
    fields: dict[str, object] = {}
    if isinstance(element, Line):
        fields = {"speaker": element.speaker, "manner": element.manner, "dual": element.is_dual}
    elif isinstance(element, Cue):
        fields = {"sound": element.sound}
    elif isinstance(element, Pause):
        fields = {"seconds": element.seconds}
    elif isinstance(element, Note):
        fields = {"why": element.why}
    if element.start_s is not None:
        fields |= {"start_s": element.start_s, "until_s": element.until_s}
    return fields


def _detail(element: Element) -> str:
    if isinstance(element, Line):
        manner = f" ({element.manner})" if element.manner else ""
        return f"{element.speaker or 'unnamed'}{manner}"
    shown = {name: value for name, value in _fields(element).items() if value is not None}
    return ", ".join(map(str, shown.values()))
