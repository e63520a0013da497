"""The planner `chat` on a real vLLM server: the tiny model writes nonsense, in the schema's form."""

import pytest

from audiostory_core.planners.chat.client import ChatClient, ChatServer
from audiostory_core.planners.chat.planner import Chat
from audiostory_core.planners.protocol import Brief
from audiostory_core.story import SoundKind, SoundLayer, SubEvent


@pytest.fixture
def planner(language_server):
    client = ChatClient(ChatServer(language_server.url))
    yield Chat(client)
    client.close()


def test_model_that_knows_no_json_writes_a_plan_that_is_used_at_once(planner):
    told = []
    brief = Brief("Rain falls.", 3.0, on_sub_event=lambda number, _: told.append(number))

    plan = planner.plan(brief)

    assert plan.samples == sum(event.samples for event in plan.sub_events) == 3 * 44_100
    assert told == [1]  # once: nothing was sent back


def test_scene_is_changed_by_a_served_model(planner):
    layers = (SoundLayer(kind=SoundKind.AMBIENCE, text="rain on a roof"),)
    event = SubEvent(caption="Rain on a roof", duration_s=5.0, layers=layers)

    changed = planner.revise(event, "let it thunder", "en")

    assert changed.duration_s == 5.0
    assert changed.caption
