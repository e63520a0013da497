"""Instructions as authors write them: how they are planned and which sounds are heard in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.scene.script import Cue, Script, write_script
from audiostory_core.engines.foley.sound import Kind
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SpeechLayer, StoryPlan

CASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "data" / "more_instructions.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load()


@pytest.fixture(scope="module")
def kinds() -> dict[str, Kind]:
    return dict(load_kinds())


def plan_of(planner: Clauses, instruction: str, duration_s: float | None = None) -> StoryPlan:
    return planner.plan(Brief(instruction, duration_s, longest_clip_s=60.0))


def scripts_of(plan: StoryPlan, lexicon: Lexicon, kinds: dict[str, Kind]) -> list[Script]:
    return [
        write_script(event.caption, event.layers, plan.language, lexicon, kinds)
        for event in plan.sub_events
    ]


def named(script: Script) -> set[str]:
    beds = {bed.kind for bed in script.beds if bed.kind not in script.places}
    return beds | {cue.kind.name for cue in script.cues}


@pytest.mark.parametrize("name", CASES)
def test_instruction_is_told_in_order_with_its_sounds_and_words(name, planner, lexicon, kinds):
    case = CASES[name]
    plan = plan_of(planner, case["instruction"], case.get("duration_s"))
    heard = set().union(*(named(script) for script in scripts_of(plan, lexicon, kinds)))
    spoken = [
        [layer.speaker, layer.words]
        for event in plan.sub_events
        for layer in event.layers
        if isinstance(layer, SpeechLayer)
    ]
    assert sorted(heard) == case["kinds"]
    assert spoken == case.get("spoken", [])
    assert len(plan.sub_events) == case.get("sub_events", len(plan.sub_events))


@pytest.mark.parametrize(
    "text",
    [
        "THE STORM\nRain falls on the roof.",
        "RAIN\nTHUNDER\nWIND",
        "MORNING\nBirds sing.\n\nEVENING\nCrickets chirp.",
    ],
)
def test_titles_in_capitals_do_not_speak(text, planner):
    assert not plan_of(planner, text, 20).cast


def test_directions_below_a_name_part_what_it_says(planner):
    plan = plan_of(
        planner, "INT. HALL - DAY\n\nANNA (V.O.)\n(softly)\nCome in.\n(shouting)\nNow!\n", 20
    )
    lines = [layer for event in plan.sub_events for layer in event.layers if layer.kind == "speech"]
    told = [(line.speaker, line.manner, line.words) for line in lines]
    assert told == [("ANNA", "softly", "Come in."), ("ANNA", "shouting", "Now!")]


def test_transitions_between_scenes_are_directions(planner):
    plan = plan_of(planner, "FADE IN:\n\nINT. CELLAR - NIGHT\n\nWater drips.\n\nFADE OUT.", 20)
    assert plan.directions == ("FADE IN:", "FADE OUT.")
    assert plan.sub_events[-1].caption.endswith("Water drips")


@pytest.mark.parametrize(
    ("instruction", "first", "second"),
    [
        (
            "A fire truck leaves the station with sirens blaring and drives away.",
            ["truck", "siren"],
            ["truck"],
        ),
        (
            "Un camion de pompiers quitte la caserne avec les sirènes hurlantes et s'éloigne.",
            ["truck", "siren"],
            ["truck"],
        ),
    ],
)
def test_what_accompanies_an_event_is_heard_with_it(
    instruction, first, second, planner, lexicon, kinds
):
    plan = plan_of(planner, instruction, 35.1)
    opening, closing = (
        [turn for turn in script.turns if isinstance(turn, Cue)]
        for script in scripts_of(plan, lexicon, kinds)
    )
    assert [cue.kind.name for cue in opening] == first
    assert opening[1].is_joined
    assert [cue.kind.name for cue in closing] == second


@pytest.mark.parametrize(
    ("instruction", "layer"),
    [
        ("A girl enters. A door slams behind her. She screams.", "A girl screams"),
        ("Three thieves enter. Glass breaks. They laugh.", "Three thieves laugh"),
        ("Once upon a time a little bear slept. He snored.", "a little bear snored"),
    ],
)
def test_pronouns_stand_for_whom_the_text_speaks_of(instruction, layer, planner):
    told = [one.text for one in plan_of(planner, instruction, 30).sub_events[-1].layers]
    assert told == [layer]


def test_next_room_is_distant(lexicon):
    (snore,) = lexicon.read("in the next room a man snores", "en").mentions
    assert snore.shape.distance >= 0.5


@pytest.mark.parametrize(
    ("text", "language"),
    [("a car park", "en"), ("a parking garage", "en"), ("Bonjour à tous", "fr")],
)
def test_words_that_are_no_sound_make_none(text, language, lexicon):
    assert not lexicon.read(text, language).mentions
