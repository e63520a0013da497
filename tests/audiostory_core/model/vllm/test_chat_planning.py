"""The planner `chat` on a real vLLM server: the tiny model writes nonsense, in the schema's form."""

import pytest
import soundfile

from audiostory_core.llm.client import ChatClient, ChatServer
from audiostory_core.planners.chat.planner import Chat
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SoundKind, SoundLayer, SubEvent
from tests.acceptance.conftest import CommandLine


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


def test_one_server_plans_by_chat_and_conditions_the_clips(language_server, tiny_weights, tmp_path):
    class OnServer(CommandLine):
        """The studio with the tiny weights, and the one server for both."""

        @property
        def environment(self):
            named = {"AUDIOSTORY_WEIGHTS": str(tiny_weights), "OMP_NUM_THREADS": "1"}
            named["AUDIOSTORY_CHAT_URL"] = f"{language_server.url}/v1"
            return super().environment | language_server.environment | named

    audiostory, file = OnServer(tmp_path / "home"), tmp_path / "story.wav"
    network = ("--planner", "chat", "--engine", "audiostory", "--steps", 1)

    made = audiostory("create", "Rain falls.", "--duration", 2, *network, "-o", file)

    assert made.returncode == 0, made.stderr
    assert soundfile.info(file).frames == 2 * 44_100
    found = {one["what"]: one for one in audiostory.json("doctor")}
    for what in ("planner chat", "chat server", "language model", "engine audiostory"):
        assert found[what]["is_usable"], found[what]
