"""One vLLM server for all tests of a run, whatever the number of xdist's workers."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from audiostory_core.model.llm import LanguageModel
from audiostory_core.model.vllm.client import VllmBackend
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.loading import Weights
from tests.audiostory_core.model.conftest import one_thread, shared_folder, tiny, tiny_weights
from tests.support.language_server import LanguageServer

__all__ = ["one_thread", "shared_folder", "tiny", "tiny_weights"]

ROOT = Path(__file__).parents[3].parent


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "vllm_environment" in getattr(item, "fixturenames", ()):
            item.add_marker("vllm")


@pytest.fixture(scope="session")
def vllm_environment() -> None:
    """What `make vllm-env` installs; takes minutes the first time, and fails if it cannot."""
    with FileLock(ROOT / ".vllm-env.lock"):
        made = subprocess.run(
            ["make", "vllm-env"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    if made.returncode:
        pytest.fail(f"make vllm-env failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")


@pytest.fixture(scope="session")
def language_server(
    vllm_environment: None, tiny_weights: Path, shared_folder: Path
) -> Iterator[LanguageServer]:
    """A server that the tests share, so none may stop it; the last worker to leave does."""
    home = shared_folder / "language-server"
    kept, lock = home / "server.json", FileLock(shared_folder / "language-server.lock")
    with lock:
        users, server = _read(kept)
        if server is None:
            server = LanguageServer.start(tiny_weights, home)
        _write(kept, users + 1, server)
    yield server
    with lock:
        users, _ = _read(kept)
        if users == 1:
            server.stop()
        _write(kept, users - 1, server)


def _read(kept: Path) -> tuple[int, LanguageServer | None]:
    told = json.loads(kept.read_text()) if kept.exists() else {"users": 0}
    if not told["users"]:
        return 0, None
    return told["users"], LanguageServer(told["pid"], told["url"], Path(told["states"]))


def _write(kept: Path, users: int, server: LanguageServer) -> None:
    told = {"users": users, "pid": server.pid, "url": server.url, "states": str(server.states)}
    kept.write_text(json.dumps(told))


@pytest.fixture(scope="session")
def weights(tiny_weights: Path) -> Weights:
    return Weights.open(tiny_weights)


@pytest.fixture(scope="session")
def vocabulary(weights: Weights) -> Vocabulary:
    return Vocabulary.load(weights.llm_folder)


@pytest.fixture(scope="session")
def in_process(weights: Weights) -> LanguageModel:
    """The same language model by transformers, which is what served answers are compared with."""
    return weights.language_model("cpu", "float32")


@pytest.fixture
def served(language_server: LanguageServer, weights: Weights) -> Iterator[VllmBackend]:
    backend = VllmBackend(
        language_server.url, weights.revision, weights.llm_folder, states=language_server.states
    )
    yield backend
    backend.close()
