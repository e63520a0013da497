"""Who speaks, in languages without spaces between words."""

import tomllib
from pathlib import Path

import pytest

from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SpeechLayer

LINES: list[list[str]] = tomllib.loads(
    (Path(__file__).parents[3] / "data" / "speakers.toml").read_text("utf-8")
)["lines"]


@pytest.mark.parametrize(("text", "speaker", "manner"), LINES)
def test_speaker_and_manner_stand_beside_the_words(text, speaker, manner):
    plan = Clauses().plan(Brief(text))

    spoken = [
        (layer.speaker or "", layer.manner or "")
        for event in plan.sub_events
        for layer in event.layers
        if isinstance(layer, SpeechLayer)
    ]
    assert spoken == [(speaker, manner)]
