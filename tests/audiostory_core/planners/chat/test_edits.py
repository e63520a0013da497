"""Remarks that the grammar refuses, answered by a model with the edits of an author."""

import json
from typing import get_args

import jsonschema_rs
import pytest

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.planners.chat.editing import edits_schema
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.planners.protocol import read_change as change_of
from audiostory_core.story.edits import Edit, Rebalance, Reword
from tests.support.chat_clients import planner_of
from tests.support.chat_server import Reply, hosting, schema_of

PLAN = Clauses().plan(Brief("Rain falls on a roof. Then a dog barks. Then a bell rings.", 15.0))
REMARK = "Let it feel like a Monday"  # no word of which the grammar has
OPS = {form.model_fields["op"].default for form in get_args(get_args(Edit)[0])}
LOUDER = {"op": "shape_all", "kind": "sfx", "gain_db": 6}
CAPTION = {"op": "reword", "sub_event": 2, "caption": "A dog whines"}


def answer(*edits):
    return Reply(json.dumps({"edits": edits}))


def answered(*replies, remark=REMARK, at=None):
    with hosting(*replies) as host, planner_of(host) as planner:
        return planner.edits(PLAN, remark, at), host


def refused(*replies, at=None):
    with hosting(*replies) as host, planner_of(host) as planner:
        with pytest.raises(BadInput) as caught:
            planner.edits(PLAN, REMARK, at)
        return caught.value, host


def objects_of(part):
    if isinstance(part, dict):
        if "properties" in part:
            yield part
        for each in [*part.get("properties", {}).values(), part.get("items")]:
            yield from objects_of(each)
        for each in part.get("anyOf", []):
            yield from objects_of(each)


def test_words_that_the_grammar_has_not_are_edits_of_the_model():
    edits, host = answered(answer(CAPTION))

    assert edits == (Reword(sub_event=2, caption="A dog whines"),)
    assert len(host.asked) == 1
    prompt = host.asked[0]["messages"][1]["content"]
    assert f"The author says of the story: {REMARK}" in prompt
    assert [each["sub_event"] for each in json.loads(prompt.splitlines()[1])] == [1, 2, 3]
    assert "language of the story, en" in host.asked[0]["messages"][0]["content"]


def test_nulls_of_a_strict_answer_change_nothing():
    nulls = dict.fromkeys(("depth_db", "attack_s", "release_s", "sub_event"))
    gains = {"dialogue": None, "music": -6, "effects": None}

    edits, _ = answered(answer({"op": "balance", "gain_db": gains} | nulls))

    assert edits == (Rebalance(gain_db={"music": -6}),)


@pytest.mark.parametrize(
    "remark", ["make the bell louder", "swap scenes 1 and 2", "make scene 2 longer"]
)
def test_remark_that_the_grammar_reads_asks_no_model(remark):
    edits, host = answered(answer(CAPTION), remark=remark)

    assert edits == Clauses().edits(PLAN, remark)
    assert host.asked == []


def test_change_of_one_scene_is_asked_for_with_that_scene_alone():
    with hosting(answer(CAPTION)) as host, planner_of(host) as planner:
        edits = change_of(planner, PLAN, 1, REMARK)

    assert edits == (Reword(sub_event=2, caption="A dog whines"),)
    prompt = host.asked[0]["messages"][1]["content"]
    assert [each["sub_event"] for each in json.loads(prompt.splitlines()[1])] == [2]
    assert "The author says of scene 2 of 3" in prompt


BAD = [
    (Reply("I would love to!"), "has no JSON object with edits"),
    (answer({"op": "shout", "sub_event": 1}), "is wrong in edits.1"),
    (answer({"op": "delete", "sub_event": 9}), "is wrong in edits.1.sub_event"),
    (answer(CAPTION, LOUDER | {"gain_db": 40}), "is wrong in edits.2.gain_db"),
    (answer(CAPTION | {"duration_s": 90000}), "is wrong in edits.1.duration_s"),
    (answer({"op": "reword", "sub_event": 1, "change": "x"}), "is wrong in edits.1.change"),
    (answer(CAPTION | {"caption": PLAN.sub_events[1].caption, "tone": None}), "changes nothing"),
    (answer(*[CAPTION] * 65), "is wrong in edits: List should have at most 64 items"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_answer_that_is_no_edit_is_sent_back_once_with_the_reason(bad, reason):
    edits, host = answered(bad, answer(CAPTION))

    assert edits == (Reword(sub_event=2, caption="A dog whines"),)
    assert len(host.asked) == 2
    assert reason in host.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_answer_that_is_no_edit_twice_is_refused(bad, reason):
    error, host = refused(bad)

    assert len(host.asked) == 2
    assert (error.field, error.value) == ("remark", REMARK)
    assert reason in error.problem


def test_edits_of_another_scene_than_the_words_are_refused():
    error, host = refused(answer(CAPTION), at=0)

    assert len(host.asked) == 2
    assert error.field == "change"
    assert "changes sub-event 2, though the words are about 1 alone" in error.problem


def test_answer_without_edits_is_refused_at_once_with_what_can_be_changed():
    error, host = refused(answer())

    with pytest.raises(BadInput) as by_grammar:
        Clauses().edits(PLAN, REMARK)
    assert len(host.asked) == 1
    assert "the model knows no edits that do it" in error.problem
    assert error.remedy == by_grammar.value.remedy


def test_refusal_of_the_model_is_an_error_at_once():
    error, host = refused(Reply(refusal="I will not."))

    assert len(host.asked) == 1
    assert "a refusal: I will not." in error.problem


@pytest.mark.parametrize("remark", ["", "  ", "\x00"])
def test_empty_remark_asks_no_model(remark):
    with hosting(answer(CAPTION)) as host, planner_of(host) as planner:
        with pytest.raises(BadInput):
            planner.edits(PLAN, remark)
        assert host.asked == []


def test_server_that_fails_is_away():
    with (
        hosting(Reply(status=500)) as host,
        planner_of(host) as planner,
        pytest.raises(LanguageModelAway),
    ):
        planner.edits(PLAN, REMARK)


def test_schema_has_every_edit_no_length_of_a_text_and_an_end_of_all_else():
    _, host = answered(answer(CAPTION))

    schema = schema_of(host.asked[0])
    assert schema == edits_schema()
    forms = schema["properties"]["edits"]["items"]["anyOf"]
    assert {form["properties"]["op"]["const"] for form in forms} == OPS
    assert len(OPS) == 15
    text = json.dumps(schema)
    assert not any(key in text for key in ("maxLength", "minLength", "pattern", "$ref", "oneOf"))
    for part in objects_of(schema):
        assert set(part["required"]) == set(part["properties"])
        assert part["additionalProperties"] is False
        for value in part["properties"].values():
            for each in value.get("anyOf", [value]):
                if each["type"] in {"number", "integer"}:
                    assert {"maximum", "minimum"} <= each.keys() or "exclusiveMinimum" in each
                assert each["type"] != "array" or "maxItems" in each


LINE = {"kind": "speech", "words": "“Hello”\nAnna", "manner": "softly"} | dict.fromkeys(
    ("speaker", "pause_before_s", "gain_db", "pan", "start_s")
)


@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        ({"op": "add_layer", "sub_event": 1, "layer": LINE, "at": None}, {"layer": "Hello"}),
        ({"op": "split", "sub_event": 1, "at_s": 2.0, "captions": ["a", "b"]}, {"captions": ["a"]}),
        ({"op": "swap", "sub_event": 1, "other": 2}, {"other": 0}),
        ({"op": "move", "sub_event": 1, "to": 3}, {"to": "last"}),
    ],
)
def test_what_keeps_to_the_schema_is_an_edit(edit, wrong):
    edits, _ = answered(answer(edit))

    assert [each.op for each in edits] == [edit["op"]]
    assert jsonschema_rs.is_valid(edits_schema(), {"edits": [edit]})
    assert not jsonschema_rs.is_valid(edits_schema(), {"edits": [edit | wrong]})
