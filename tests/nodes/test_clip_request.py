"""Clip requests as text: what stories of before are stored under stays, what is new is in it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.protocol import Condition
from audiostory_core.story.plan import SoundLayer, StoryPlan, SubEvent
from nodes.clip_request import build, describe, key_of
from nodes.services import LoadedRevision
from storage.models import SceneStem, SceneVersion

OLD = json.loads((Path(__file__).parents[1] / "data/plans_of_version_1.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


def _requests(foley, plan, capabilities=None):
    count = len(plan.sub_events)
    loaded = LoadedRevision(1, plan, tuple(range(count)), "foley", seed=7, tail_samples=44_100)
    conditions = {}
    for part in foley.interleave(loaded.heard, range(count), {}):
        conditions |= part
    return [
        describe(
            loaded,
            at,
            SceneVersion(seed=100 + at, cast=None, starts_s=None),
            SceneStem(stem="composite", condition_id=conditions[at].id),
            capabilities or foley.capabilities,
        )
        for at in range(count)
    ]


def _plan(version, *scenes):
    return StoryPlan(
        version=version,
        instruction="a",
        language="en",
        duration_s=4.0 * len(scenes),
        sub_events=[SubEvent(caption="a", duration_s=4, layers=layers) for layers in scenes],
    )


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["plan"]["instruction"][:20])
def test_requests_of_version_1_are_to_the_byte_what_they_were(foley, old):
    plan = StoryPlan.model_validate(old["plan"])
    first = replace(foley.capabilities, revision="1")  # as they were made by the first sound

    assert _requests(foley, plan, first) == old["requests"]


def test_version_2_and_shapes_are_in_the_request_and_come_back(foley):
    rain = SoundLayer(kind="ambience", text="rain", gain_db=-6)

    (request,) = _requests(foley, _plan(2, (rain,)))

    assert json.loads(request)["layers"] == [{"kind": "ambience", "text": "rain", "gain_db": -6.0}]
    built = build(request, Condition(b"{}"))
    assert (built.version, built.layers) == (2, (rain,))


def test_shape_makes_another_clip_and_no_shape_the_same(foley):
    plain, shaped, cleared = (
        SoundLayer(kind="ambience", text="rain", **shape)
        for shape in ({}, {"gain_db": -6}, {"gain_db": None, "scenes": 1})
    )

    keys = [key_of(_requests(foley, _plan(2, (layer,)))[0]) for layer in (plain, shaped, cleared)]

    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


def test_scenes_that_a_layer_reaches_are_requested_with_it(foley):
    rain = SoundLayer(kind="ambience", text="rain", scenes=2)
    bell = SoundLayer(kind="sfx", text="a bell")

    requests = _requests(foley, _plan(2, (rain,), (bell,), (bell,)))

    assert [json.loads(request)["layers"] for request in requests] == [
        [{"kind": "ambience", "text": "rain"}],
        [{"kind": "ambience", "text": "rain", "start_s": 0.0}, {"kind": "sfx", "text": "a bell"}],
        [{"kind": "sfx", "text": "a bell"}],
    ]


def test_readings_are_in_the_requests_of_lines_that_have_their_words(foley):
    events = tuple(
        SubEvent(caption=words, duration_s=3.0, layers=({"kind": "speech", "words": words},))
        for words in ("Siobhan is here.", "Who is there?")
    )
    plan = StoryPlan(version=2, instruction="x", language="en", duration_s=6.0, sub_events=events)
    say = {"Siobhan": "shi-VAWN"}

    before = _requests(foley, plan)
    after = _requests(foley, plan.model_copy(update={"say": say}))

    assert after[1] == before[1]
    assert key_of(after[0]) != key_of(before[0])
    assert json.loads(after[0])["say"] == say
    assert "say" not in json.loads(before[0])
    assert build(after[0], Condition(b"")).say == say
    assert "say" not in plan.model_dump()
