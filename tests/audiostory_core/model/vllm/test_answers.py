"""What a server may answer besides what was asked for, by a real HTTP server that does."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import torch

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.model.vllm import client as module
from audiostory_core.model.vllm.client import VllmBackend, served_name
from tests.support.language_server import free_port

WRITTEN = {"choices": [{"token_ids": [7]}]}


@dataclass
class Answering:
    """Answers in turn as it is told, the last answer for ever.

    Args:
        model: that it says it serves.
        answers: to completions: status and content; None breaks the connection.
    """

    model: str
    answers: list[tuple[int, object] | None]
    asked: list[dict] = field(default_factory=list)
    most_at_once: int = 0
    pause_s: float = 0.0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> "Answering":
        answering = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer(200, {"data": [{"id": answering.model, "max_model_len": 4096}]})

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                told = answering.next(json.loads(self.rfile.read(length)))
                if told is None:
                    self.close_connection = True
                else:
                    self.answer(*told)

            def answer(self, status, content):
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next(self, asked):
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.pause_s)
        with self._lock:
            self._at_once -= 1
            self.asked.append(asked)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def ask(weights, tmp_path) -> Iterator:
    """Makes a backend for a server that answers so."""
    made = []

    def make(*answers, states: Path | None = tmp_path / "states"):
        server = Answering(served_name(weights.revision), list(answers)).start()
        backend = VllmBackend(
            server.url, weights.revision, weights.llm_folder, states=states, waits_s=(0.01, 0.02)
        )
        made.append((server, backend))
        return server, backend

    yield make
    for server, backend in made:
        backend.close()
        server.stop()


def step(backend):
    return backend.step([1, 2], stop_ids={7}, max_tokens=3)


@pytest.mark.parametrize("first", [None, (503, {}), (500, b"<html>"), (429, {})])
def test_passing_failures_are_asked_again(ask, first):
    server, backend = ask(first, first, (200, WRITTEN))

    assert step(backend) == [7]
    assert len(server.asked) == 3


@pytest.mark.parametrize("always", [None, (502, b"bad gateway")])
def test_server_that_stays_away_is_given_up_and_spared(ask, always):
    server, backend = ask(always)

    with pytest.raises(LanguageModelAway, match="audiostory llm serve"):
        step(backend)
    asked = len(server.asked)
    with pytest.raises(LanguageModelAway):
        step(backend)
    assert len(server.asked) == asked == 3
    server.answers = [(200, WRITTEN)]
    time.sleep(module.SPARED_S)
    assert step(backend) == [7]


def test_nobody_at_the_address_is_a_language_model_that_is_away(weights):
    url = f"http://127.0.0.1:{free_port()}"
    backend = VllmBackend(url, weights.revision, weights.llm_folder, waits_s=(0.01,))

    with pytest.raises(LanguageModelAway, match=rf"{url} cannot be reached"):
        _ = backend.longest
    backend.close()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((400, {"error": {"message": "too long"}}), "status 400: too long"),
        ((404, {"detail": "Not Found"}), "status 404"),
        ((200, b"<html>hello</html>"), "status 200: <html>hello"),
        ((200, [1, 2]), "status 200"),
    ],
)
def test_refusals_are_bad_input_that_quotes_them(ask, answer, problem):
    server, backend = ask(answer)

    with pytest.raises(BadInput, match=problem) as refused:
        step(backend)
    assert refused.value.field == "AUDIOSTORY_LLM_URL"
    assert len(server.asked) == 1


def test_answer_that_breaks_off_is_a_language_model_that_is_away(ask):
    _, backend = ask((200, {"choices": [{"token_ids": [4]}]}))

    with pytest.raises(LanguageModelAway, match="broke off"):
        step(backend)


def test_no_more_requests_are_in_flight_than_a_server_is_good_for(ask):
    server, backend = ask((200, WRITTEN))
    server.pause_s = 0.05
    with ThreadPoolExecutor(100) as threads:
        told = list(threads.map(lambda _: step(backend), range(150)))

    assert told == [[7]] * 150
    assert server.most_at_once <= module.IN_FLIGHT


def handed(folder, ids, hidden_size):
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "cmpl-1.safetensors"
    states = torch.ones(len(ids), 1, hidden_size)
    safetensors.torch.save_file({"hidden_states": states, "token_ids": torch.tensor(ids)}, path)
    path.with_name(f"{path.name}.lock").touch()
    return (200, {"kv_transfer_params": {"hidden_states_path": str(path)}})


def test_states_of_other_tokens_are_refused_and_deleted(ask, tmp_path):
    _, backend = ask(handed(tmp_path / "states", [1, 2, 4], 64))

    with pytest.raises(BadInput, match="returns the states of other tokens"):
        backend.states([1, 2, 3])
    assert list((tmp_path / "states").iterdir()) == []


def test_states_that_were_lost_are_asked_for_once_more(ask, tmp_path):
    lost = (200, {"kv_transfer_params": {"hidden_states_path": "/elsewhere/gone.safetensors"}})
    server, backend = ask(lost, handed(tmp_path / "states", [1, 2, 3], 64))

    assert backend.states([1, 2, 3]).shape == (3, 64)
    assert len(server.asked) == 2
    with pytest.raises(LanguageModelAway, match="did not hand over its states"):
        backend.states([1, 2, 3])


def test_damaged_states_are_no_states(ask, tmp_path):
    told = handed(tmp_path / "states", [1], 64)
    (tmp_path / "states" / "cmpl-1.safetensors").write_bytes(b"half a fi")
    _, backend = ask(told)

    with pytest.raises(LanguageModelAway, match="did not hand over its states"):
        backend.states([1])


def test_server_without_states_is_refused(ask):
    _, backend = ask((200, {"kv_transfer_params": None}))

    with pytest.raises(BadInput, match="returns no states"):
        backend.states([1])
