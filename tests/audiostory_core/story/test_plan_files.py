"""Plans as files: versions, shapes, lengths that are left open, and the schema of it all."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostory_core.errors import BadInput
from audiostory_core.story.plan import SAMPLE_RATE, SoundLayer, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.plan_files import plan_document, plan_schema, read_plan

ROOT = Path(__file__).parents[3]
OLD = json.loads((ROOT / "tests/data/plans_of_version_1.json").read_text("utf-8"))
RAIN = {"kind": "ambience", "text": "rain"}

number = st.floats(-60, 12)
seconds = st.none() | st.floats(0, 600)
share = st.none() | st.floats(0, 1)
sounds = st.builds(
    SoundLayer,
    kind=st.sampled_from(["ambience", "sfx", "music"]),
    text=st.sampled_from(["rain", "雨", "a bell"]),
    gain_db=st.none() | number,
    pan=share,
    distance=share,
    start_s=seconds,
    fade_in_s=seconds,
    fade_out_s=seconds,
    pace=st.sampled_from([None, "very slow", "normal", "fast"]),
) | st.builds(SoundLayer, kind=st.just("sfx"), text=st.just("knocks"), count=st.integers(1, 24))
lines = st.builds(
    SpeechLayer, words=st.just("Hi."), pause_before_s=seconds, gain_db=st.none() | number, pan=share
)
layers = st.lists(sounds | lines, max_size=4).map(tuple)


def _file(tmp_path, **values):
    plan = {"version": 2, "instruction": "Rain", "language": "en"} | values
    plan.setdefault("sub_events", [{"caption": "rain", "duration_s": 3, "layers": [RAIN]}])
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), "utf-8")
    return path


def _with_layer(**layer):
    return [{"caption": "rain", "duration_s": 3, "layers": [RAIN | layer]}]


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["plan"]["instruction"][:20])
def test_plan_of_version_1_is_read_and_stored_as_it_was(old, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(old["plan"]), "utf-8")

    plan = read_plan(path)

    assert plan.version == 1
    assert json.dumps(plan.model_dump(mode="json")) == json.dumps(old["stored"])


@given(st.lists(layers, min_size=1, max_size=3))
def test_shapes_are_written_and_read_back_and_keep_to_the_schema(scenes):
    plan = StoryPlan(
        version=2,
        instruction="Rain",
        language="en",
        duration_s=2.0 * len(scenes),
        sub_events=[SubEvent(caption="a", duration_s=2, layers=layers) for layers in scenes],
    )

    document = json.loads(json.dumps(plan_document(plan)))

    assert StoryPlan.model_validate(document) == plan
    jsonschema_rs.validate(plan_schema(), document)


def test_layers_without_a_shape_are_written_without_its_fields():
    assert SoundLayer(kind="sfx", text="a").model_dump(mode="json") == {"kind": "sfx", "text": "a"}
    assert SpeechLayer(words="a").model_dump(mode="json") == {
        "kind": "speech", "words": "a", "speaker": None, "manner": None,
    }  # fmt: skip


def test_shipped_schema_is_that_of_the_code():
    shipped = json.loads((ROOT / "docs/plan.schema.json").read_text("utf-8"))

    assert shipped == plan_schema(), "Run: audiostory plan --schema -o docs/plan.schema.json"


@pytest.mark.parametrize(
    "values",
    [
        {"sub_events": _with_layer(gain_db=13)},
        {"sub_events": _with_layer(pan="left")},
        {"sub_events": _with_layer(count=0)},
        {"sub_events": _with_layer(pace="brisk")},
        {"sub_events": _with_layer(loudness=1)},
        {"version": 3},
        {"sub_events": [{"caption": "rain", "duration_s": 0.1}]},
    ],
)
def test_schema_refuses_what_reading_refuses(tmp_path, values):
    path = _file(tmp_path, **values)

    with pytest.raises(BadInput):
        read_plan(path)
    assert not jsonschema_rs.is_valid(plan_schema(), json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"version": 3}, "version 3: this build reads plans of the versions 1 and 2"),
        ({"version": "2"}, 'version "2": this build reads plans of the versions 1 and 2'),
        ({"version": 3, "mood": 1}, "version 3: this build reads plans of the versions 1 and 2"),
        (
            {"sub_events": _with_layer(gain_db=40)},
            "sub_events.0.layers.0.gain_db 40: Input should be less than or equal to 12",
        ),
        (
            {"sub_events": _with_layer(count=2.5)},
            "sub_events.0.layers.0.count 2.5: Input should be a valid integer, "
            "got a number with a fractional part",
        ),
        (
            {"sub_events": _with_layer(count=3, scenes=2)},
            "sub_events.0.layers.0: count is 3, but the layer is heard in 2 scenes; "
            "leave one of them out",
        ),
        (
            {
                "sub_events": [
                    {"caption": "a", "duration_s": 2, "layers": [{"words": "a", "pan": 2}]}
                ]
            },
            "sub_events.0.layers.0.pan 2: Input should be less than or equal to 1",
        ),
        ({"mood": "calm"}, 'mood "calm": Extra inputs are not permitted'),
    ],
)
def test_error_names_the_field_its_value_and_why(tmp_path, values, problem):
    path = _file(tmp_path, **values)

    with pytest.raises(BadInput) as refused:
        read_plan(path)

    assert refused.value.field == "plan"
    assert refused.value.problem == problem


def test_schema_that_a_plan_names_is_read_over(tmp_path):
    assert read_plan(_file(tmp_path, **{"$schema": "plan.schema.json"})).version == 2


@pytest.mark.parametrize(
    ("scene", "duration_s"),
    [
        ({"caption": "rain"}, 4.5),
        ({"caption": "rain", "layers": [RAIN]}, 6.5),
        ({"caption": "雨が降る"}, 5.0),
        ({"caption": "a", "layers": [{"words": "Fourteen letters a second, and a breath."}]}, 5.5),
        ({"caption": "a", "layers": [{"words": "Hi.", "pause_before_s": 10}]}, 13.0),
        ({"caption": "a", "layers": [{"words": "Fourteen letters.", "start_s": 10}]}, 12.0),
        ({"caption": "a", "layers": [{"kind": "sfx", "text": "knocks", "count": 20}]}, 10.0),
        ({"caption": "a", "layers": [RAIN | {"start_s": 9, "fade_in_s": 2.25}]}, 12.5),
    ],
)
def test_scene_whose_length_is_left_open_is_as_long_as_what_fits(tmp_path, scene, duration_s):
    plan = read_plan(_file(tmp_path, sub_events=[scene | {"duration_s": None}]))

    assert plan.sub_events[0].duration_s == duration_s
    assert plan.duration_s == duration_s


@pytest.mark.parametrize("total", [{}, {"duration_s": None}])
def test_total_that_is_left_open_is_the_sum(tmp_path, total):
    scenes = [{"caption": "rain", "duration_s": length} for length in (None, 3.25, None)]

    plan = read_plan(_file(tmp_path, sub_events=scenes, **total))

    assert plan.duration_s == 4.5 + 3.25 + 4.5


def test_total_that_contradicts_the_scenes_says_what_to_do(tmp_path):
    scenes = [{"caption": "rain", "duration_s": None}]

    with pytest.raises(BadInput, match=r"add up to 4\.5 s, but duration_s is 60 s; leave it out"):
        read_plan(_file(tmp_path, sub_events=scenes, duration_s=60))


def test_durations_are_written_as_a_person_would():
    lengths = [12 * SAMPLE_RATE, 25 * SAMPLE_RATE // 2, 12 * SAMPLE_RATE + 1]
    events = [SubEvent(caption="a", duration_s=count / SAMPLE_RATE) for count in lengths]
    total_s = sum(lengths) / SAMPLE_RATE

    plan = StoryPlan(instruction="a", language="en", duration_s=total_s, sub_events=events)
    written = json.dumps([event["duration_s"] for event in plan_document(plan)["sub_events"]])

    assert written == "[12, 12.5, 12.00002]"


def test_plan_that_the_page_shows_is_one():
    page = (ROOT / "docs/plans.md").read_text("utf-8")
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])

    plan = StoryPlan.model_validate(shown)

    jsonschema_rs.validate(plan_schema(), shown)
    assert [event.duration_s for event in plan.sub_events] == [6.5, 5.0]
