"""The whole service on the trained tiny checkpoint: command line, worker process, HTTP."""

import importlib.metadata
import json
import os
import signal
import time

import pytest
import soundfile

from audiostory_core.story.plan import StoryPlan
from tests.acceptance.conftest import CommandLine

RATE = 44_100
INSTRUCTION = (
    "Develop a comprehensive audio that fully represents heavy rain falls on a roof, "
    "then a dog barks in the yard and thunder rolls far away. The total duration is 9.0 seconds."
)
NETWORK = ("--engine", "audiostory", "--planner", "audiostory")
QUICK = ("--steps", 2)


@pytest.fixture
def audiostory(tmp_path, tiny):
    class WithWeights(CommandLine):
        """Has the tiny checkpoint, as published, named in its environment."""

        @property
        def environment(self):
            return super().environment | {"AUDIOSTORY_WEIGHTS": str(tiny), "OMP_NUM_THREADS": "1"}

    return WithWeights(tmp_path / "home")


def _scenes(audiostory, story_id):
    return audiostory.json("show", story_id)["scenes"]


def _wait_for(audiostory, story_id, told) -> dict:
    deadline = time.monotonic() + 120
    while True:
        shown = audiostory.json("show", story_id)
        if told(shown):
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)


def test_story_is_planned_reviewed_made_by_a_worker_process_and_revised(audiostory, tmp_path):
    made = audiostory.json("create", INSTRUCTION, *NETWORK, *QUICK, "--seed", 5, "--review")
    assert made["waits_for"] == "plan review"
    story_id = made["id"]
    captions = [scene["caption"] for scene in _scenes(audiostory, story_id)]
    assert len(captions) >= 2

    assert audiostory("approve", story_id).returncode == 0
    worker = audiostory.start("worker", "--engine", "audiostory", "--batch", 4)
    try:
        _wait_for(audiostory, story_id, lambda shown: shown["waits_for"] == "mix review")
        before = _scenes(audiostory, story_id)
        file = tmp_path / "story.wav"
        assert audiostory("approve", story_id, "-o", file).returncode == 0
        assert soundfile.info(file).frames == 9 * RATE

        revised = audiostory("revise", story_id, 2, "--caption", "A cat purrs.", "--seed", 8)
        assert revised.returncode == 0, revised.stderr
        _wait_for(audiostory, story_id, lambda shown: shown["waits_for"] == "mix review")
    finally:
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=60)
    assert worker.returncode == 0, errors
    after = _scenes(audiostory, story_id)
    assert [scene["caption"] for scene in after] == [captions[0], "A cat purrs.", *captions[2:]]
    assert [one["clip"] != two["clip"] for one, two in zip(before, after, strict=True)] == [
        at == 1 for at in range(len(captions))
    ]


def test_plan_of_the_model_is_edited_and_made(audiostory, tmp_path):
    file = tmp_path / "plan.json"
    assert audiostory("plan", INSTRUCTION, *NETWORK, "-o", file).returncode == 0
    plan = StoryPlan.model_validate(json.loads(file.read_text()))
    assert plan.reasoning
    assert plan.duration_s == 9.0
    assert {event.caption for event in plan.sub_events} <= plan.written.captions.keys()
    told = plan.model_dump(mode="json")
    told["sub_events"][0]["caption"] = "A bell rings."
    file.write_text(json.dumps(told))

    made = audiostory.json("create", "--plan", file, "--engine", "audiostory", *QUICK)

    assert made["status"] == "finished"
    assert _scenes(audiostory, made["id"])[0]["caption"] == "A bell rings."


def test_same_seed_makes_the_same_file_in_two_data_folders(audiostory, tmp_path):
    digests = []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.wav"
        told = type(audiostory)(tmp_path / name)(
            "create", INSTRUCTION, *NETWORK, *QUICK, "--seed", 3, "-o", file
        )
        assert told.returncode == 0, told.stderr
        digests.append(file.read_bytes())

    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--engine", "audiostory", "--steps", 0), "steps '0'"),
        (("--engine", "audiostory", "--guidance", "nan"), "guidance"),
        (("--engine", "foley", "--steps", 5), "steps '5': means nothing to the engine foley"),
        (("--engine", "audiostory", "--weights", "/nonexistent"), "weights '/nonexistent'"),
    ],
)
def test_bad_options_are_one_clear_line(audiostory, options, problem):
    told = audiostory("create", "Rain", "--duration", 2, *options)

    assert told.returncode == 2
    assert problem in told.stderr
    assert told.stderr.count("\n") <= 2
    assert "Traceback" not in told.stderr


def test_engine_without_weights_says_how_to_name_them(tmp_path):
    told = CommandLine(tmp_path / "home")("create", "Rain", "--engine", "audiostory")

    assert told.returncode == 2
    assert "Give --weights FOLDER, or set AUDIOSTORY_WEIGHTS" in told.stderr


def test_doctor_looks_at_weights_and_converts_none(audiostory, tiny_weights):
    published = {one["what"]: one for one in audiostory.json("doctor")}
    converted = {one["what"]: one for one in audiostory.json("doctor", "--weights", tiny_weights)}

    for found in (published["engine audiostory"], converted["engine audiostory"]):
        assert found["is_usable"]
    assert "as published" in published["engine audiostory"]["detail"]
    assert "float32 on cpu" in converted["planner audiostory"]["detail"]
    assert not list(audiostory.home.glob("models/*"))


@pytest.mark.skipif("CI" not in os.environ, reason="a machine with a GPU has them, rightly")
def test_environment_of_the_tests_has_torch_for_a_cpu_alone():
    installed = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}

    assert "torch" in installed
    assert not {name for name in installed if name.startswith("nvidia-")}
