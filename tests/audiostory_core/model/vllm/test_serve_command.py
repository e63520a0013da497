"""`audiostory llm serve`, and the whole service on it, while it comes and goes."""

import json
import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import soundfile
from torch.testing import assert_close

from api.llm.vllm_process import Model, ServeOptions, arguments
from audiostory_core.errors import LanguageModelAway
from audiostory_core.model.generation import generate
from audiostory_core.model.grammar import prompt_ids
from audiostory_core.model.vllm.client import VllmBackend
from tests.acceptance.conftest import CommandLine
from tests.support.language_server import LanguageServer, free_port

RATE = 44_100
INSTRUCTION = (
    "Develop a comprehensive audio that fully represents heavy rain falls on a roof, "
    "then a dog barks in the yard and thunder rolls far away. The total duration is 9.0 seconds."
)
NETWORK = ("--engine", "audiostory", "--planner", "audiostory", "--steps", 1)
PATIENCE_S = 300.0


class OnServer(CommandLine):
    """The studio with the tiny weights and a server of its language model."""

    def __init__(self, home, weights, server):
        super().__init__(home)
        self.weights = weights
        self.server = server

    @property
    def environment(self):
        named = {"AUDIOSTORY_WEIGHTS": str(self.weights), "OMP_NUM_THREADS": "1"}
        return super().environment | named | self.server.environment

    def wait_for(self, story_id, told):
        deadline = time.monotonic() + PATIENCE_S
        while not told(shown := self.json("show", story_id)):
            assert time.monotonic() < deadline, shown
            time.sleep(0.3)
        return shown

    def has_event(self, story_id, kind):
        with sqlite3.connect(f"file:{self.home / 'studio.db'}?mode=ro", uri=True) as database:
            told = database.execute(
                "SELECT count(*) FROM event WHERE story_id = ? AND kind = ?", (story_id, kind)
            )
            return told.fetchone()[0] > 0


def test_story_is_made_with_the_language_model_of_the_server(
    language_server, tiny_weights, tmp_path
):
    audiostory = OnServer(tmp_path / "home", tiny_weights, language_server)
    file = tmp_path / "story.wav"
    made = audiostory("create", INSTRUCTION, *NETWORK, "--seed", 5, "-o", file)

    assert made.returncode == 0, made.stderr
    assert soundfile.info(file).frames == 9 * RATE
    found = {one["what"]: one for one in audiostory.json("doctor")}
    assert found["language model"]["is_usable"]
    assert language_server.url in found["language model"]["detail"]


def tell_until_away(backend, vocabulary, prompt):
    """Return how often the same was told before the language model was away."""
    told = []
    while True:
        try:
            told.append(generate(backend, vocabulary, prompt).ids)
        except LanguageModelAway:
            assert len(set(told)) == 1
            return len(told)


def test_server_killed_in_mid_story_costs_nothing_once_it_is_back(
    vllm_environment, tiny_weights, weights, vocabulary, in_process, tmp_path
):
    server = LanguageServer.start(tiny_weights, tmp_path / "server")
    audiostory = OnServer(tmp_path / "home", tiny_weights, server)
    prompt = prompt_ids(vocabulary, INSTRUCTION)
    backend = VllmBackend(
        server.url, weights.revision, weights.llm_folder, states=server.states, waits_s=(0.1,)
    )
    planned = audiostory.json("create", INSTRUCTION, *NETWORK, "--seed", 5, "--review")
    assert planned["waits_for"] == "plan review"
    with ThreadPoolExecutor(4) as threads:
        generation = [
            threads.submit(tell_until_away, backend, vocabulary, prompt) for _ in range(4)
        ]
        time.sleep(3.0)
        server.kill()
        assert sum(each.result(60) for each in generation) >= 1

    worker = audiostory.start("worker", "--engine", "audiostory")
    file = tmp_path / "other.wav"
    other = audiostory.start("create", INSTRUCTION, *NETWORK, "--seed", 6, "-o", file)
    try:
        assert audiostory("approve", planned["id"]).returncode == 0
        audiostory.wait_for(
            planned["id"], lambda _: audiostory.has_event(planned["id"], "llm.waiting")
        )
        assert not audiostory.has_event(planned["id"], "clip.queued")
        refused = audiostory("plan", INSTRUCTION, *NETWORK[:4])
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "Start it with `audiostory llm serve" in refused.stderr

        port = int(server.url.rpartition(":")[2])
        server = LanguageServer.start(tiny_weights, tmp_path / "server", port=port)
        audiostory.wait_for(planned["id"], lambda shown: shown["waits_for"] == "mix review")
        _, errors = other.communicate(timeout=PATIENCE_S)
        assert other.returncode == 0, errors
        assert soundfile.info(file).frames == 9 * RATE
        assert (
            generate(backend, vocabulary, prompt).ids
            == generate(in_process, vocabulary, prompt).ids
        )
    finally:
        for process in (worker, other):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    backend.close()
    assert server.stop(signal.SIGINT) == 0
    assert not any(server.states.iterdir())


def test_pooling_server_gives_equal_states_and_does_not_outlive_its_command(
    language_server, tiny_weights, weights, vocabulary, in_process, tmp_path
):
    pooling = LanguageServer.start(tiny_weights, tmp_path / "pooling", "--pooling")
    backend = VllmBackend(
        language_server.url, weights.revision, weights.llm_folder, pooling_url=pooling.url
    )
    ids = prompt_ids(vocabulary, INSTRUCTION)

    assert_close(backend.states(ids), in_process.states(ids), atol=1e-4, rtol=0)
    backend.close()
    vllm = pooling.processes()[1:]
    assert vllm
    os.kill(pooling.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(vllm, timeout=60)
    assert not alive
    assert pooling.wait() == -signal.SIGKILL


@pytest.fixture
def audiostory(tmp_path):
    return CommandLine(tmp_path / "home")


def test_port_that_is_taken_is_refused(vllm_environment, audiostory, tiny_weights):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = audiostory("llm", "serve", tiny_weights, "--port", port)

    assert refused.returncode == 2
    assert f"port {port}: address already in use" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--dtype", "int4"), "dtype 'int4': is not known"),
        (("--host", "no such host"), "host 'no such host'"),
        (("--states", "/dev/null"), "AUDIOSTORY_LLM_STATES '/dev/null': cannot be made"),
    ],
)
def test_what_cannot_be_served_is_one_clear_line(
    vllm_environment, audiostory, tiny_weights, options, problem
):
    refused = audiostory("llm", "serve", tiny_weights, "--port", free_port(), *options)

    assert refused.returncode == 2
    assert problem in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_environment_that_is_not_there_says_how_to_make_it(audiostory, tiny_weights, tmp_path):
    named = audiostory.environment | {"AUDIOSTORY_VLLM_PYTHON": str(tmp_path / "python")}
    refused = audiostory("llm", "serve", tiny_weights, env=named)

    assert refused.returncode == 2
    assert "make vllm-env" in refused.stderr


def test_vllm_that_does_not_start_shows_the_end_of_its_log(
    vllm_environment, audiostory, tiny_weights
):
    port = free_port()
    failed = audiostory("llm", "serve", tiny_weights, "--port", port, "--", "--no-such-flag")

    assert failed.returncode == 1
    assert "vLLM did not start" in failed.stderr
    assert "--no-such-flag" in failed.stderr


def test_machine_with_gpus_gets_other_arguments_than_one_without(tmp_path):
    config = {
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "hidden_size": 2048,
        "max_position_embeddings": 32_768,
    }
    model = Model(tmp_path / "llm", "audiostory-0", config)
    asked = ServeOptions(tmp_path, tensor_parallel=2, further=("--gpu-memory-utilization", "0.5"))
    gpu, cpu = (arguments(asked, model, tmp_path, has_gpu=one) for one in (True, False))

    assert gpu[gpu.index("--dtype") + 1] == "float16"
    assert cpu[cpu.index("--dtype") + 1] == "float32"
    assert "--enforce-eager" not in gpu
    assert "--enforce-eager" in cpu
    for each in (gpu, cpu):
        assert each[-2:] == ["--gpu-memory-utilization", "0.5"]
        assert each[each.index("--tensor-parallel-size") + 1] == "2"
        speculation = json.loads(each[each.index("--speculative-config") + 1])
        layers = speculation["draft_model_config"]["hf_config"]
        assert layers == {"eagle_aux_hidden_state_layer_ids": [36]}
