"""Texts that authors bring, by kind: who says what, what is heard, how long it takes."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SoundLayer, SpeechLayer, StoryPlan

KINDS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parents[3] / "data" / "texts.toml").read_text(encoding="utf-8")
)
CASES = [
    pytest.param(case, id=f"{kind}-{number}")
    for kind, cases in KINDS.items()
    for number, case in enumerate(cases, 1)
]


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


def lines_of(plan: StoryPlan) -> list[SpeechLayer]:
    layers = [layer for event in plan.sub_events for layer in event.layers]
    return [layer for layer in layers if isinstance(layer, SpeechLayer)]


def sounds_of(plan: StoryPlan) -> list[str]:
    layers = [layer for event in plan.sub_events for layer in event.layers]
    return [layer.text for layer in layers if isinstance(layer, SoundLayer)]


@pytest.mark.parametrize("case", CASES)
def test_text_is_read_as_its_author_means_it(case, planner):
    plan = planner.plan(Brief(case["text"]))
    lines, sounds = lines_of(plan), sounds_of(plan)
    if "spoken" in case:
        assert [[line.speaker or False, line.words] for line in lines] == case["spoken"]
    if "manners" in case:
        assert [line.manner or False for line in lines] == case["manners"]
    if "pauses" in case:
        assert [line.pause_before_s or 0 for line in lines] == case["pauses"]
    for sound in case.get("sounds", []):
        assert any(sound in text for text in sounds), sounds
    captions = [event.caption for event in plan.sub_events]
    for words in case.get("silent", []):
        assert not any(words in text for text in (*sounds, *captions)), (sounds, captions)
        assert not any(words in line.words for line in lines)
    if case.get("sounds") == []:
        assert sounds == []


@pytest.mark.parametrize("case", CASES)
def test_text_has_the_length_cast_and_directions_that_it_tells(case, planner):
    plan = planner.plan(Brief(case["text"]))
    for words in case.get("notes", []):
        assert any(words in note for note in plan.notes), plan.notes
    least_s, most_s = case.get("seconds", (1, 60))
    assert least_s - 1e-3 <= plan.duration_s <= most_s + 1e-3
    if "directions" in case:
        assert list(plan.directions) == case["directions"]
    if "cast" in case:
        assert [member.name for member in plan.cast] == case["cast"]
    if "language" in case:
        assert plan.language == case["language"]
    if "scenes" in case:
        assert len(plan.sub_events) == case["scenes"]
    if "captions" in case:
        assert [event.caption for event in plan.sub_events] == case["captions"]
    if "layers" in case:
        layers = [[layer.text for layer in event.layers] for event in plan.sub_events]
        assert layers == case["layers"]
    if "starts" in case:
        assert list(plan.starts_s) == pytest.approx(case["starts"], abs=1e-3)


def test_every_kind_has_five_variations():
    assert {kind: len(cases) for kind, cases in KINDS.items() if len(cases) < 5} == {}


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_change_nothing(ending, planner):
    for cases in (KINDS["F8"], KINDS["F16"], KINDS["F18"], KINDS["F7"], KINDS["F5"]):
        for case in cases:
            plain = planner.plan(Brief(case["text"]))
            marked = planner.plan(Brief("\ufeff" + case["text"].replace("\n", ending)))
            assert marked == plain


CHAPTER = "\n\n".join(
    [
        "The old road ran along the river for many miles, and every morning the carter drove his slow "
        "brown horse past the mill and the white church, speaking to nobody."
    ]
    * 6
)


def test_chapter_that_is_not_read_aloud_gets_a_note(planner):
    assert any("reads like a chapter" in note for note in planner.plan(Brief(CHAPTER)).notes)
    assert not any(
        "reads like a chapter" in note
        for note in planner.plan(Brief(f"Read this aloud:\n\n{CHAPTER}")).notes
    )


def test_chapter_that_is_read_aloud_is_spoken_whole(planner):
    plan = planner.plan(Brief(f"Format: prose\n\n{CHAPTER}"))
    assert " ".join(line.words for line in lines_of(plan)).split() == CHAPTER.split()


def test_notes_say_who_speaks_and_what_only_looks_like_speech(planner):
    plan = planner.plan(Brief("ANNA: Hello.\nBEN: Hi.\nANNA: So.\nWho is there?"))
    assert plan.notes == (
        "3 lines are spoken: ANNA 2, BEN 1.",
        "1 line looks like speech and is not spoken: “Who is there?”.",
    )


SCRIPT = (
    'INT. "BLUE MOON" BAR - NIGHT: THE BACK ROOM\n\nRain falls. Is that a shadow?\n\n'
    "CLOSE ON: a hand\n\nANGLE ON: THE DOOR - who is there?\n\nMARTHA\nWho is it?\n\n"
    "CUT TO: BLACK\n\n{0}\n\nEXT. GARDEN - DAY\n\nA dog barks.\n"
)


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        ("The wind rises.", []),
        ("Tom: Where?", ["1 line looks like speech and is not spoken: “Tom: Where?”."]),
        ('"Who goes there?" Tom asks.', []),
        ("“Nobody home”, it says.", ["1 line looks like speech and is not spoken: “"]),
    ],
)
def test_headings_and_shots_of_a_screenplay_do_not_look_like_speech(planner, words, notes):
    plan = planner.plan(Brief(SCRIPT.format(words)))
    looks = [note for note in plan.notes if "like speech" in note]
    assert len(looks) == len(notes), looks
    assert all(look.startswith(note) for look, note in zip(looks, notes, strict=True))


def test_long_screenplay_lasts_about_a_minute_a_page(planner):
    page = (
        "INT. LAB {0} - NIGHT\n\nThe rain beats on the window while the clock ticks, and somebody walks "
        "slowly up and down in the next room without a word.\n\n"
        + "ANNA\n(quietly)\nI have told you before that this is not the way, and you know it.\n\n"
        "BEN\nThen tell me again, because I was not listening to a word of it.\n\n" * 9
    )
    plan = planner.plan(Brief("".join(page.format(number) for number in range(60))))
    assert len(lines_of(plan)) == 60 * 18
    assert 60 <= plan.duration_s / 60 <= 150
