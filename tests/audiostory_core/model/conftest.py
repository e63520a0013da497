"""The tiny checkpoint, trained once per test run whatever the number of xdist workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from audiostory_core.model.tiny.checkpoint import write_tiny
from audiostory_core.model.weights.convert import convert


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on shared cores: xdist's workers are parallel enough."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run that all its xdist workers see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="session")
def tiny(shared_folder: Path) -> Path:
    """A trained tiny checkpoint in the published layout; read only."""
    return _once(shared_folder / "tiny", write_tiny)


@pytest.fixture(scope="session")
def untrained(shared_folder: Path) -> Path:
    """A tiny checkpoint in the published layout whose language model is random; read only."""
    return _once(shared_folder / "untrained", lambda folder: write_tiny(folder, steps=0))


@pytest.fixture(scope="session")
def tiny_weights(tiny: Path, shared_folder: Path) -> Path:
    """The trained tiny checkpoint, converted to our layout; read only."""
    return _once(shared_folder / "tiny-weights", lambda folder: convert(tiny, folder))


def _once(folder: Path, write: Callable[[Path], object]) -> Path:
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            write(folder)
    return folder
