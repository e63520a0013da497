"""Script files: what they become, and how damaged ones are refused."""

import zipfile
from pathlib import Path

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.manuscript.elements import Format, Narration
from audiostory_core.manuscript.files import read_script
from audiostory_core.manuscript.reading import read_manuscript

FDX = """<?xml version="1.0" encoding="UTF-8"?>
<FinalDraft DocumentType="Script" Version="4"><Content>
<Paragraph Type="Scene Heading"><Text>INT. LAB - NIGHT</Text></Paragraph>
<Paragraph Type="Action"><Text>A clock </Text><Text Style="Bold">ticks.</Text></Paragraph>
<Paragraph Type="Character"><Text>Nora & co</Text></Paragraph>
<Paragraph Type="Parenthetical"><Text>(softly)</Text></Paragraph>
<Paragraph Type="Dialogue"><Text>Who is there?</Text></Paragraph>
<Paragraph><DualDialogue>
<Paragraph Type="Character"><Text>ANNA</Text></Paragraph><Paragraph Type="Dialogue"><Text>Me.</Text></Paragraph>
<Paragraph Type="Character"><Text>BEN</Text></Paragraph><Paragraph Type="Dialogue"><Text>No, me!</Text></Paragraph>
</DualDialogue></Paragraph>
<Paragraph Type="Transition"><Text>CUT TO:</Text></Paragraph>
</Content></FinalDraft>""".replace("Nora & co", "Nora &amp; co")
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
    '<item id="b" href="two%20b.xhtml"/><item id="a" href="one.xhtml"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
)
PAGE = (
    '<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>no</title></head>'
    "<body><h1>Chapter {0}</h1><p>It was&nbsp;<i>late</i>.</p><p>“Who?” asked {0}.</p></body></html>"
)


def write_book(path: Path, **parts: str) -> Path:
    pages = {
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/one.xhtml": PAGE.format("Ann"),
        "OPS/two b.xhtml": PAGE.format("Bob"),
    } | {name.replace("__", "/"): part for name, part in parts.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in pages.items():
            book.writestr(name, part)
    return path


def test_final_draft_becomes_fountain_with_every_element_forced(tmp_path):
    path = tmp_path / "x.fdx"
    path.write_text(FDX, encoding="utf-8")

    manuscript = read_manuscript(read_script(path))

    assert manuscript.format is Format.FOUNTAIN
    shown = [(e.kind, manuscript.words_of(e)) for e in manuscript.elements if e.kind != "note"]
    assert shown == [
        ("heading", "INT. LAB - NIGHT"),
        ("action", "A clock ticks."),
        ("line", "Who is there?"),
        ("line", "Me."),
        ("line", "No, me!"),
        ("transition", "CUT TO:"),
    ]
    assert [(line.speaker, line.manner, line.is_dual) for line in manuscript.lines] == [
        ("Nora & co", "softly", False), ("ANNA", None, False), ("BEN", None, True)
    ]  # fmt: skip


def test_epub_becomes_chapters_in_the_order_of_its_spine(tmp_path):
    manuscript = read_manuscript(read_script(write_book(tmp_path / "x.epub")))

    assert manuscript.format is Format.PROSE
    headings = [manuscript.words_of(e) for e in manuscript.elements if e.kind == "heading"]
    assert headings == ["Chapter Ann", "Chapter Bob"]
    assert [line.speaker for line in manuscript.lines] == ["Ann", "Bob"]
    narrated = [manuscript.words_of(e) for e in manuscript.elements if isinstance(e, Narration)]
    assert narrated[0] == "It was late."


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><FinalDraft><Content>&b;</Content></FinalDraft>'


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.fdx", b"<FinalDraft><Content>", "is damaged XML"),
        ("x.fdx", b"<other/>", "no Final Draft document"),
        ("x.fdx", BOMB.encode(), "defines entities"),
        ("x.srt", b"Hello there.", "has no times"),
        ("x.epub", b"Hello there.", "it is not a zip"),
        ("x.epub", b"PK\x03\x04broken", "is a damaged ePub"),
        ("x.txt", bytes(range(256)), "is not text in UTF-8"),
        ("x.txt", b"rain\x00", "holds NUL"),
        ("x.txt", b" \n ", "holds no text"),
        ("x.txt", b"a" * 2_000_001, "has 2,000,001 characters"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(BadInput, match=problem) as refused:
        read_script(path)

    assert refused.value.field == "script"
    assert "\n" not in str(refused.value)


def test_files_beyond_reason_are_not_read_whole(tmp_path):
    path = tmp_path / "x.txt"
    with path.open("wb") as file:
        file.truncate(200 << 20)

    with pytest.raises(BadInput, match="larger than 64 MiB"):
        read_script(path)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"META-INF__encryption.xml": "<encryption/>"}, "is encrypted"),
        ({"META-INF__container.xml": "<container/>"}, "it lacks a package"),
        ({"OPS__book.opf": "<package"}, "is damaged XML"),
        ({"OPS__one.xhtml": f"<p>{' ' * 3_000_000}</p>"}, "unpacks to more than a book"),
        (
            {"OPS__one.xhtml": '<!DOCTYPE p [<!ENTITY a "ha">]><p>&a;</p>'},
            "defines entities|is damaged XML",
        ),
    ],
)
def test_books_that_cannot_be_read_are_refused(tmp_path, parts, problem):
    with pytest.raises(BadInput, match=problem):
        read_script(write_book(tmp_path / "x.epub", **parts))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_script(tmp_path / "none.fountain")


def test_utf_16_is_read(tmp_path):
    path = tmp_path / "x.fountain"
    path.write_bytes("INT. ROOM - DAY\n\nÉLODIE\nOui.".encode("utf-16"))

    assert read_manuscript(read_script(path)).lines[0].speaker == "ÉLODIE"


def test_suffix_tells_where_the_content_does_not(tmp_path):
    path = tmp_path / "x.fountain"
    path.write_text("ANNA\nHello.\n", encoding="utf-8")

    assert read_manuscript(read_script(path)).format is Format.FOUNTAIN
    assert read_manuscript(read_script(path, Format.PROSE)).format is Format.PROSE
