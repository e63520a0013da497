"""Readers drop nothing: whatever the author wrote is in an element."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiostory_core.manuscript.detection import detect, with_format
from audiostory_core.manuscript.elements import Element, Format, Line, Manuscript, Note, has_content
from audiostory_core.manuscript.reading import plain_text, read_manuscript

TEXT_FORMATS = [f for f in Format if f not in (Format.EPUB, Format.FINAL_DRAFT)]
_PIECES = [
    "INT. ROOM - DAY", "EXT. SEA - NIGHT #4#", ".UNDER", "> CUT TO:", "> THE END <", "!Bang.", "= what",
    "# Part", "## Two", "===", "~la la", "@van Horn", "ANNA", "ANNA (V.O.)", "BEN ^", "(softly)", "(beat)",
    "ANNA: Who?", "ANNA: ", "Ben:", "Ben: Yes.", "MARIN. The wind.", "KING. [Aside] No. [To Marin] Go!",
    "[Thunder. Exit Marin.]", "[S1] Hello. [S2] Hi.", "<Person1>Hey!</Person1>", "**Host:** Welcome.",
    "*[door slams]*", "SFX: A bell.", "GERÄUSCH: Wind.", "音效：雨声", "小梅：你是谁？", "[pause:2]", "/* old",
    "scene */", "[[a note]]", "[[open", "/* x */ y", "1", "00:00:01,000 --> 00:00:02,000",
    "00:03.000 --> 00:04.000", "WEBVTT", "<v Ann>Hello", "<i>hm</i>", "♪ piano ♪", "- A?", "- B.",
    "0:10 | rain", "0:20\tSFX\tdog", "—¿Quién? —dijo Ana—. Ya.", "— C'est moi, dit Paul. Ouvrez !",
    '"Who?" asked Nell.', "“We had", "“Then it came.”", "Title: X", "Author: Y", "    indented", "",
    "", "  ", "Rain falls for 5 seconds.", "(CONTINUED)", "14.", "SUPER: “Late”", "&ldquo;a&rdquo;",
    "<break time='1s'/>", "Read this aloud:", "Format: prose", "\u2028", "[1] A note.", "words.[1]²",
]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=25).map("\n".join),
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=25).map(" ".join),
    st.text(max_size=120),
)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>\n]*>|\{\\[^{}]*\}")


def covered(manuscript: Manuscript) -> set[int]:
    return {at for element in manuscript.elements for at in range(element.start, element.end)} | {
        at for start, end in manuscript.markup for at in range(start, end)
    }


@settings(max_examples=300)
@given(text=TEXTS, format_=st.sampled_from([None, *TEXT_FORMATS]))
@example(text="ANNA\n(softly)", format_=Format.FOUNTAIN)
@example(
    text="1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\n42", format_=None
)
def test_reader_holds_all_of_any_text_in_elements(text, format_):
    manuscript = read_manuscript(text, format_)

    inside = covered(manuscript)
    lost = [
        letter
        for at, letter in enumerate(manuscript.source)
        if at not in inside and has_content(letter)
    ]
    assert lost == []
    assert len(manuscript.text) == len(manuscript.source)


@settings(max_examples=300)
@given(text=TEXTS, format_=st.sampled_from(TEXT_FORMATS))
def test_reader_shows_each_word_once_in_what_is_told_or_noted(text, format_):
    manuscript = read_manuscript(text, format_)

    inside = [False] * len(manuscript.source)
    for element in manuscript.elements:
        if isinstance(element, Note):
            continue
        start, end = element.words
        assert 0 <= element.start <= start <= end <= len(manuscript.source)
        heard = [at for at in range(start, end) if has_content(manuscript.text[at])]
        assert not any(inside[at] for at in heard)
        for at in heard:
            inside[at] = True


@pytest.mark.parametrize(
    "unit",
    ["/*", "[[", "]] [[", "<!--", "[", "((", "[pause", "<v ", "— a ", "A? - b ", "“a\n\n", "**A:** b\n",
     "ANNA\n\n", "ANNA\nx\n\n", "Mr. A: ", "1. A: x ", "00:00:01,000 --> 00:00:02,000\n", "0:01\t",
     "♪ ", "&", "KING. x ", "[S1] ", "(beat) ", "[1]", "Chapter 1\n\n", "a, dit b. "],
)  # fmt: skip
def test_readers_walk_long_runs_of_marks(unit):
    text = (unit * 20_000)[:20_000]
    for format_ in TEXT_FORMATS:
        manuscript = read_manuscript(text, format_)
        inside = covered(manuscript)
        assert all(at in inside for at in range(0, len(text), 97) if has_content(text[at]))


@settings(max_examples=200)
@given(words=st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=1, max_size=12))
def test_words_of_a_speech_are_its_words_in_any_format(words):
    spoken = " ".join(words)
    for text in (
        f"INT. ROOM - DAY\n\nANNA\n{spoken}",
        f"[S1] {spoken}",
        f"**Host:** {spoken}",
        f"NARRATOR:\n{spoken}",
        f"1\n00:00:01,000 --> 00:00:02,000\nANNA: {spoken}",
        f"ANNA: {spoken}",
    ):
        manuscript = read_manuscript(text)
        assert [manuscript.words_of(line) for line in manuscript.lines] == [spoken]


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("Rain on a roof, then thunder.", Format.INSTRUCTION),
        ("INT. ROOM - DAY\n\nRain.", Format.FOUNTAIN),
        ("Est-ce la pluie ? Est tard.", Format.INSTRUCTION),
        ("Title: X\nAuthor: Y\n\nRain.", Format.FOUNTAIN),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi", Format.WEBVTT),
        ("1\n00:00:01,000 --> 00:00:02,000\nHi", Format.SRT),
        ("**A:** Hi.\n**B:** Yo.", Format.MARKDOWN),
        ("[S1] Hi.\n[S2] Yo.", Format.STAGE_PLAY),
        ("MARIN. Hi there.\n\nKING. Yes, sir.", Format.STAGE_PLAY),
        ("RAIN. THUNDER. WIND.", Format.INSTRUCTION),
        ("0:00\tSFX\train\n0:10\tVO\tHello", Format.CUE_SHEET),
        ("0:00 rain. 0:10 thunder.", Format.INSTRUCTION),
        ("Read this aloud:\n\nIt was late.", Format.PROSE),
        ("Lies das vor:\n\nEs war spät.", Format.PROSE),
        ("Lee esto en voz alta:\n\nEra tarde.", Format.PROSE),
        ("Lisez ce texte à voix haute :\n\nIl était tard.", Format.PROSE),
        ("请朗读以下文字：\n夜深了。", Format.PROSE),
        ("以下を朗読してください。\n夜だった。", Format.PROSE),
        ("<?xml version='1.0'?><FinalDraft></FinalDraft>", Format.FINAL_DRAFT),
    ],
)
def test_detection_tells_formats_by_content(text, format_):
    assert detect(text)[0] is format_


@pytest.mark.parametrize("format_", TEXT_FORMATS)
def test_named_format_overrules_the_content(format_):
    text = with_format("INT. ROOM - DAY\n\nANNA\nHello.", format_)

    assert read_manuscript(text).format is format_
    assert read_manuscript(plain_text(text)).source.endswith("Hello.")


def test_prose_is_told_by_a_narrator_and_spoken_by_its_cast():
    manuscript = read_manuscript(
        "Chapter One\n\nIt was late.[1] “Who is there?” asked Nell.\n\n"
        "—Soy yo —dijo el viejo—. Abre.\n\n[1] See the records.",
        Format.PROSE,
    )
    shown = [
        (element.kind, manuscript.words_of(element), getattr(element, "speaker", None))
        for element in manuscript.elements
    ]
    assert shown == [
        ("heading", "Chapter One", None),
        ("narration", "It was late.", None),
        ("line", "Who is there?", "Nell"),
        ("narration", "asked Nell.", None),
        ("line", "Soy yo", "viejo"),
        ("narration", "—dijo el viejo—.", None),
        ("line", "Abre.", "viejo"),
        ("note", "[1] See the records.", None),
    ]


def test_prose_carries_a_speaker_over_paragraphs():
    manuscript = read_manuscript(
        "“It began in May,” said Tom. “Nobody knew.\n\n“By June it was over.”", Format.PROSE
    )
    assert [(line.speaker, manuscript.words_of(line)) for line in manuscript.lines] == [
        ("Tom", "It began in May,"), ("Tom", "Nobody knew."), ("Tom", "By June it was over.")
    ]  # fmt: skip


def test_cue_sheet_has_sounds_and_lines_at_their_times():
    manuscript = read_manuscript("0:00\tSFX\train on a roof\n0:05 | ANNA | Who is there?\n")
    shown = [(e.kind, manuscript.words_of(e), e.start_s) for e in manuscript.elements]
    assert shown == [("cue", "rain on a roof", 0.0), ("line", "Who is there?", 5.0)]
    (line,) = manuscript.lines
    assert isinstance(line, Line)
    assert line.speaker == "ANNA"


def test_elements_are_in_order():
    manuscript = read_manuscript("INT. A - DAY\n\nANNA\nYes [[no]] indeed. (beat) Go.\n\nRain.")
    starts = [element.start for element in manuscript.elements]
    assert starts == sorted(starts)
    assert [type(e).__name__ for e in manuscript.elements if isinstance(e, Element)] == [
        "Heading", "Line", "Note", "Pause", "Line", "Action"
    ]  # fmt: skip
