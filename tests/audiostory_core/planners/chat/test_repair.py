"""Laws of what becomes of a model's answer, whatever it is."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostory_core.errors import BadInput
from audiostory_core.llm.answers import parse
from audiostory_core.llm.json_reader import ItemReader, find_object
from audiostory_core.llm.stream import Unusable
from audiostory_core.planners.chat.answer import LONGEST_CAPTION, SHAPE, AnsweredPlan
from audiostory_core.planners.protocol import Brief
from audiostory_core.planners.timing import DraftScene, share_time
from audiostory_core.story.plan import (
    SHORTEST_SUB_EVENT_S,
    SoundLayer,
    SpeechLayer,
    SubEvent,
    samples_of,
)
from tests.support.chat_clients import layer, plan_text, planner_of, scene
from tests.support.chat_server import Reply, hosting

texts = st.text(max_size=30) | st.sampled_from(
    ["rain", "a\x00b", "\ud800", "x" * 2000, "word " * 300, "\u202e", "🌧", "{", '"', "</think>"]
)
numbers = (
    st.floats()
    | st.integers(-(10**400), 10**400)
    | st.sampled_from(["5", "5 s", "about 3,5 seconds", "", "many", None, True, 1e308, 1e-320])
)
layers = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["ambience", "sfx", "music", "speech", "SFX", "smell", ""]) | texts,
        "text": texts,
        "words": texts,
        "speaker": texts | st.none(),
        "manner": texts | st.none(),
        "more": numbers,
        "shape": st.dictionaries(st.sampled_from([*SHAPE, "more"]), numbers | texts) | texts,
    },
)
scenes = st.fixed_dictionaries(
    {},
    optional={
        "caption": texts | st.none(),
        "duration_s": numbers,
        "tone": texts | st.none(),
        "layers": st.lists(layers | texts, max_size=15) | st.none(),
    },
)
answers = st.fixed_dictionaries(
    {"sub_events": st.lists(scenes, min_size=1, max_size=12)},
    optional={
        "language": texts | st.none(),
        "reasoning": texts | st.none(),
        "cast": st.lists(texts | st.fixed_dictionaries({}, optional={"name": texts}), max_size=3),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["sub_events", "caption", "layers"]), inner)
    ),
    max_leaves=10,
)
totals = st.floats(1.0, 600.0) | st.sampled_from([1.0, 1.01, 26.95, 86_400.0])
limits = st.sampled_from([1.0, 3.7, 26.95, 30.0, 63.0])


@pytest.fixture(scope="module")
def asked():
    """Return a planner and the server that it asks."""
    with hosting() as host, planner_of(host) as planner:
        yield planner, host


def plan_or_none(planner, brief):
    """Return the plan; none if the planner says, as it may, that the answer cannot be used."""
    try:
        return planner.plan(brief)
    except BadInput as error:
        told = (error.field, "could not be told by the model" in error.problem)
    assert told == ("instruction", True)
    return None


@given(answers, totals, limits)
@settings(max_examples=150)
def test_any_answer_of_the_right_shape_fills_the_time_or_is_one_error(
    asked, answer, total_s, longest_s
):
    planner, host = asked
    host.replies = [Reply(json.dumps(answer), is_streamed=False)]
    brief = Brief("Rain on a roof, then a dog barks.", total_s, longest_clip_s=longest_s)

    plan = plan_or_none(planner, brief)
    if plan is None:
        return

    assert sum(event.samples for event in plan.sub_events) == samples_of(total_s) == plan.samples
    assert all(event.duration_s <= longest_s for event in plan.sub_events)
    assert all(event.duration_s >= SHORTEST_SUB_EVENT_S - 0.01 for event in plan.sub_events)
    assert not plan.sub_events[0].continues
    plan.model_dump_json().encode("utf-8")
    assert "\\u0000" not in plan.model_dump_json()
    speakers = {
        one.speaker
        for event in plan.sub_events
        for one in event.layers
        if isinstance(one, SpeechLayer) and one.speaker
    }
    assert speakers <= {member.name for member in plan.cast}


@given(anything)
@settings(max_examples=150)
def test_any_json_is_a_plan_or_is_said_not_to_be_one(answer):
    with suppress(Unusable):
        parse(json.dumps(answer), AnsweredPlan, "sub_events")


@given(st.text(max_size=200) | st.text('{}[]",:\\ \nabsub_events', max_size=200))
def test_any_text_is_read_or_refused(text):
    with suppress(Unusable):
        parse(text, AnsweredPlan, "sub_events")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["C"]), min_size=1),
            st.none() | st.floats(allow_nan=True),
        ),
        min_size=1,
        max_size=40,
    ),
    totals,
    limits,
)
def test_time_is_shared_exactly(told, total_s, longest_s):
    told = [DraftScene(caption, seconds) for caption, seconds in told]

    events, notes = share_time(told, samples_of(total_s), longest_s)

    assert sum(event.samples for event in events) == samples_of(total_s)
    assert all(event.duration_s <= longest_s for event in events)
    assert all(event.samples >= samples_of(SHORTEST_SUB_EVENT_S) - 1 for event in events)
    told_words = " ".join(one.caption for one in told)
    assert " ".join(event.caption for event in events if not event.continues) == told_words
    assert all(notes)


def test_short_scenes_are_joined_to_neighbors_and_not_all_to_one():
    events, _ = share_time(
        [DraftScene(f"knock {n}", 0.4) for n in range(100)], samples_of(40.0), 30.0
    )

    assert 40 <= len(events) <= 60
    assert max(event.duration_s for event in events) < 2


def test_scene_that_is_split_says_its_words_once():
    words = SpeechLayer(words="Hello there, is anybody at home?")

    events, _ = share_time([DraftScene("A hall", 90.0, "calm", (words,))], samples_of(90.0), 30.0)

    assert [event.continues for event in events] == [False, True, True]
    assert [len(event.layers) for event in events] == [1, 0, 0]


@given(answers, st.integers(1, 9), st.sampled_from(["", "Here is it: {a} ```json\n", "[1, {"]))
def test_scenes_are_read_alike_in_pieces_of_any_size(answer, size, before):
    text = json.dumps(answer) + "\n```"
    reader, found = ItemReader("sub_events"), []

    for at in range(0, len(text), size):
        found += reader.feed(text[at : at + size])

    expected = json.loads(text.removesuffix("\n```"))["sub_events"]
    assert json.dumps(found) == json.dumps(expected)
    assert json.dumps(find_object(before + text, "sub_events")) == json.dumps(answer)


@given(st.lists(st.text('{}[]",:\\ asub_events', max_size=20)))
def test_reader_of_scenes_bears_any_text(pieces):
    reader = ItemReader("sub_events")

    for piece in pieces:
        assert all(isinstance(item, dict) for item in reader.feed(piece))


def test_scenes_in_another_array_are_not_read():
    told = {"drafts": [{"sub_events": [{"caption": "no"}]}], "sub_events": [{"caption": "yes"}]}

    assert ItemReader("sub_events").feed(json.dumps(told)) == [{"caption": "yes"}]


def test_deep_nesting_is_no_plan():
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"sub_events":' + "[" * 100_000):
        with pytest.raises(ValueError, match="has no JSON object"):
            find_object(text, "sub_events")


def test_thoughts_before_the_answer_are_passed_over():
    thought = '<think>Maybe {"sub_events": []}?</think>\n{"sub_events": [1]}'

    assert find_object(thought, "sub_events") == {"sub_events": [1]}


def test_line_ends_within_strings_are_borne():
    answer = parse('{"sub_events": [{"caption": "rain\nfalls"}]}', AnsweredPlan, "sub_events")

    assert answer.sub_events[0].caption == "rain falls"


def test_what_is_lost_is_told():
    many = [layer("sfx", f"knock {n}") for n in range(20)]
    text = plan_text(
        scene("word " * 300), scene("", 3.0), scene("Rain", 3.0, layer("smell", "wet earth"), *many)
    )

    scenes, notes = parse(text, AnsweredPlan, "sub_events").draft()

    assert len(scenes) == 2
    assert len(scenes[0].caption) <= LONGEST_CAPTION
    assert notes == [
        "the caption of scene 1 was cut",
        "scene 2 of the model told nothing and was left out",
        "scene 3: a layer of unknown kind “smell” was left out: wet earth",
        "scene 3 has more than 12 layers; the rest is left out",
    ]


def test_lengths_that_cannot_be_meant_are_those_of_the_others():
    told = [
        DraftScene("a", 4.0),
        DraftScene("b", math.nan),
        DraftScene("c", -1.0),
        DraftScene("d", math.inf),
    ]

    events, notes = share_time(told, samples_of(16.0), 30.0)

    assert [event.duration_s for event in events] == [4.0] * 4
    assert notes == []


def test_shape_that_the_model_writes_is_the_layers():
    answer = plan_text(
        scene(
            "knocks", 5.0,
            layer("sfx", "knocks", count=3, pace="fast", pan=-0.5, start_s=1.5, gain_db=-6),
            layer("speech", "Who is it?", "Anna", pause_before_s=1.0, count=2),
        )
    )  # fmt: skip

    (draft,), notes = parse(answer, AnsweredPlan, "sub_events").draft()

    knocks, line = draft.layers
    assert knocks == SoundLayer(
        kind="sfx", text="knocks", count=3, pace="fast", pan=-0.5, start_s=1.5, gain_db=-6
    )
    assert line == SpeechLayer(words="Who is it?", speaker="Anna", pause_before_s=1.0)
    assert notes == []


def test_shape_out_of_range_is_moved_into_it_with_a_note():
    shape = {"gain_db": -90, "pan": "left 2", "count": 0, "pace": "brisk", "distance": "far"}
    answer = plan_text(scene("rain", 5.0, layer("ambience", "rain", **shape)))

    (draft,), notes = parse(answer, AnsweredPlan, "sub_events").draft()

    assert draft.layers == (SoundLayer(kind="ambience", text="rain", gain_db=-60, pan=1, count=1),)
    assert notes == [
        "scene 1: gain_db -90 was made -60",
        "scene 1: pan 2 was made 1",
        "scene 1: count 0 was made 1",
        "scene 1: pace brisk was left out",
    ]


def test_revised_scene_keeps_how_far_its_layers_reach():
    rain = SoundLayer(kind="ambience", text="rain", scenes=3, gain_db=-6)
    before = SubEvent(caption="rain", duration_s=4, layers=(rain,))
    answer = json.dumps(scene("rain, quieter", 4.0, layer("ambience", "rain", gain_db=-12)))

    with hosting(Reply(answer)) as host, planner_of(host) as planner:
        revised = planner.revise(before, "quieter", "en")

    assert revised.layers == (rain.model_copy(update={"gain_db": -12.0}),)
    assert '"gain_db": -6.0' in host.asked[0]["messages"][1]["content"]
