"""Edits of layers, voices, language and order, one field at a time."""

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.story.editing import Total, apply, language_after, plan_of
from audiostory_core.story.edits import read_edits
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import SoundLayer, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.wordless import edits_between

RAIN = SoundLayer(kind="ambience", text="rain", gain_db=-3)
DOG = SoundLayer(kind="sfx", text="a dog barks")
LINE = SpeechLayer(words="Hi.", speaker="Anna", manner="tired")
PLAN = StoryPlan(
    version=2,
    instruction="A.",
    language="en",
    duration_s=9.0,
    sub_events=[
        SubEvent(caption="Rain, a dog", duration_s=4.0, layers=[RAIN, DOG]),
        SubEvent(caption="Anna says hi", duration_s=5.0, layers=[LINE]),
    ],
)
LIMITS = SceneLimits(story_s=30.0)


def _drafts(*edits: dict):
    return apply(PLAN, read_edits(edits), total=Total.MOVE, limits=LIMITS)


@pytest.mark.parametrize(
    ("edit", "layers"),
    [
        ({"op": "layer", "sub_event": 1, "layer": 2, "text": "a cat"}, [RAIN, SoundLayer(kind="sfx", text="a cat")]),
        ({"op": "layer", "sub_event": 1, "layer": 2, "kind": "music"}, [RAIN, SoundLayer(kind="music", text="a dog barks")]),
        ({"op": "add_layer", "sub_event": 1, "layer": LINE.model_dump(), "at": 1}, [LINE, RAIN, DOG]),
        ({"op": "remove_layer", "sub_event": 1, "layer": 1}, [DOG]),
        ({"op": "shape_all", "kind": "sfx", "gain_db": 2}, [RAIN, DOG.model_copy(update={"gain_db": 2.0})]),
        ({"op": "shape_all", "clear": ["gain_db"]}, [RAIN.model_copy(update={"gain_db": None}), DOG]),
    ],
)  # fmt: skip
def test_layers_of_a_scene_become_what_an_edit_says(edit, layers):
    drafts = _drafts(edit)

    assert list(drafts[0].event.layers) == layers
    assert [draft.is_reworded for draft in drafts] == [True, False]
    assert drafts[1].event == PLAN.sub_events[1]


def test_line_is_said_otherwise_and_its_manner_taken_back():
    said = {"op": "layer", "sub_event": 2, "layer": 1, "words": "Bye.", "clear": ["manner"]}

    assert _drafts(said)[1].event.layers == (SpeechLayer(words="Bye.", speaker="Anna"),)


def test_voice_is_described_where_somebody_speaks_and_scenes_change_places():
    drafts = _drafts(
        {"op": "voice", "speaker": "Anna", "description": "an old woman"},
        {"op": "swap", "sub_event": 1, "other": 2},
    )

    assert [draft.origin for draft in drafts] == [1, 0]
    assert [member.description for member in drafts[0].voices] == ["an old woman"]
    assert [draft.is_reworded for draft in drafts] == [True, False]


def test_another_language_makes_every_clip_again():
    edits = read_edits([{"op": "language", "language": "fr"}])

    assert language_after("en", edits) == "fr"
    assert all(draft.is_reworded for draft in _drafts(edits[0].model_dump()))


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"op": "layer", "sub_event": 1, "layer": 9, "text": "x"}, "edits.1.layer"),
        ({"op": "layer", "sub_event": 1, "layer": 1, "manner": "sad"}, "edits.1.manner"),
        ({"op": "layer", "sub_event": 2, "layer": 1, "text": "x"}, "edits.1.text"),
        ({"op": "layer", "sub_event": 2, "layer": 1, "kind": "sfx"}, "edits.1.kind"),
        ({"op": "layer", "sub_event": 1, "layer": 1}, "edits.1"),
        ({"op": "remove_layer", "sub_event": 2, "layer": 1}, "edits.1.layer"),
        ({"op": "add_layer", "sub_event": 1, "layer": {"kind": "sfx", "text": "x"}, "at": 9}, "edits.1.at"),
        ({"op": "swap", "sub_event": 1, "other": 1}, "edits.1.other"),
        ({"op": "swap", "sub_event": 1, "other": 9}, "edits.1.other"),
        ({"op": "voice", "speaker": "Ben", "description": "a man"}, "edits.1.speaker"),
        ({"op": "shape_all", "kind": "music", "gain_db": -6}, "edits.1"),
        ({"op": "shape_all", "gain_db": 99}, "edits.1.gain_db"),
        ({"op": "language", "language": "not a code"}, "edits.1.language"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_field(edit, field):
    with pytest.raises(BadInput) as caught:
        _drafts(edit)

    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": (RAIN.model_copy(update={"gain_db": None, "pan": 0.5}), DOG)},
        {"layers": (DOG,)},
        {"caption": "Only rain", "layers": (RAIN,)},
        {"duration_s": 6.0, "tone": "tense"},
        {"layers": (RAIN, SoundLayer(kind="sfx", text="a cat", count=2))},
    ],
)
def test_edits_between_two_wordings_make_the_one_of_the_other(changes):
    after = PLAN.sub_events[0].model_copy(update=changes)

    edits = edits_between(PLAN.sub_events[0], after, 1)

    made = plan_of(PLAN, apply(PLAN, edits, total=Total.MOVE, limits=LIMITS))
    assert made.sub_events[0] == after
