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
        assert [line.manner for line in lines] == case["manners"]
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
    least_s, most_s = case.get("seconds", (1, 60))
    assert least_s - 1e-3 <= plan.duration_s <= most_s + 1e-3
    if "directions" in case:
        assert list(plan.directions) == case["directions"]
    if "cast" in case:
        assert [member.name for member in plan.cast] == case["cast"]
    if "scenes" in case:
        assert len(plan.sub_events) == case["scenes"]
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
