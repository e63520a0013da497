"""Plan files changed at random: each is refused, or is a plan like any other."""

import json
import random

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.json_text import NotJson, parse
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import StoryPlan
from audiostory_core.story.plan_files import read_plan

ROUNDS = 2_000
PLAN = {
    "instruction": "rain, then Anna",
    "language": "en",
    "duration_s": 10.0,
    "reasoning": "",
    "sub_events": [
        {"caption": "rain", "duration_s": 6.0, "layers": [{"kind": "sfx", "text": "rain"}]},
        {
            "caption": "Anna",
            "duration_s": 4.0,
            "tone": "calm",
            "layers": [{"kind": "speech", "words": "Hi", "speaker": "Anna", "manner": "sad"}],
            "continues": False,
        },
    ],
    "cast": [{"name": "Anna", "description": ""}],
    "directions": ["calm"],
    "notes": ["a note"],
    "written": {"vocabulary": "0" * 64, "reasoning": "1 2", "captions": {"rain": "3"}},
}
VALUES = [
    "null", "true", '""', '"x"', '"\\u0000"', '"\\ud800"', '"\\u001b[2J"', "[]", "{}", "[[]]", "[{}]", "[null]",
    '{"x": 1}', "0", "-1", "1e308", "1e400", "-0.0", "NaN", "Infinity", "9223372036854775808",
    "9" * 400, "9" * 5_000, "0." + "9" * 5_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000,
]  # fmt: skip
TORN = ["", "}", ",", '"', "\\", "\x00", "\ufeff", "\ud800"]


def _mutated(rng):
    """Return the plan with one value replaced or left out, or the text itself torn."""
    plan = json.loads(json.dumps(PLAN))
    holder, key = rng.choice(list(_places(plan)))
    if isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
        return json.dumps(plan)
    holder[key] = "@"
    text = json.dumps(plan).replace('"@"', rng.choice(VALUES), 1)
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(TORN) + text[at + rng.randrange(3) :]
    return text


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def test_plan_file_changed_anywhere_is_refused_or_is_a_plan(tmp_path):
    rng = random.Random(9)
    path = tmp_path / "plan.json"
    kept = 0
    for _ in range(ROUNDS):
        path.write_bytes(_mutated(rng).encode("utf-8", "surrogatepass"))
        try:
            plan = read_plan(path)
        except BadInput as error:
            problem = error
        else:
            kept += 1
            assert StoryPlan.model_validate_json(plan.model_dump_json()) == plan
            assert sum(event.samples for event in plan.sub_events) == plan.samples

    assert 0 < kept < ROUNDS
    assert problem.field == "plan"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("9" * 5_000, "has a number of too many digits"),
        ("[" * 100_000, "is nested too deep"),
        (b'"\xff"', "is not UTF-8 text"),
        ("{\n x", "is not JSON (line 2: Expecting property name enclosed in double quotes)"),
    ],
)
def test_text_that_is_no_json_is_told_in_one_line(text, problem):
    with pytest.raises(NotJson) as refused:
        parse(text)

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("scene", "problem"),
    [
        ({"caption": "rain " * 40_001}, "200000 characters"),
        ({"layers": [{"kind": "sfx", "text": "a bark"}] * 1_001}, "1000 items"),
        (
            {"layers": [{"kind": "speech", "words": "ha " * 66_000}] * 3},
            "a scene of 594,004 characters; the most is 400,000",
        ),
        ({"layers": [{"kind": "speech", "text": "Ha"}]}, "layers.0.words: Field required"),
        (
            {"layers": [{"kind": "noise", "text": "Ha"}]},
            "layers.0: its kind should be one of: ambience, sfx",
        ),
    ],
)
def test_scene_beyond_what_may_be_read_is_refused_by_its_field(tmp_path, scene, problem):
    path = tmp_path / "plan.json"
    plan = json.loads(json.dumps(PLAN))
    plan["sub_events"][0] |= scene
    path.write_text(json.dumps(plan))

    with pytest.raises(BadInput) as refused:
        read_plan(path)

    assert problem in str(refused.value)


def test_instruction_that_would_fill_a_scene_beyond_that_is_refused():
    brief = Brief("a dog barks, a cat meows, " * 2_000, 2.0, None, longest_clip_s=30.0)

    with pytest.raises(BadInput) as refused:
        Clauses().plan(brief)

    assert refused.value.field == "duration"
    assert "sounds and lines into one scene; the most is 1,000" in str(refused.value)
