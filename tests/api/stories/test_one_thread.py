"""Commands that go on with a story keep to one thread of BLAS, unless there are weights."""

import os

import pytest

from api.settings import ONE_THREAD
from api.stories.forking import use_one_thread_without_weights


@pytest.fixture(autouse=True)
def threads_as_by_default(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "")  # has it put back afterwards
        monkeypatch.delenv(name)


def test_without_weights_numpy_computes_in_one_thread(monkeypatch):
    monkeypatch.delenv("AUDIOSTORY_WEIGHTS", raising=False)

    use_one_thread_without_weights()

    assert {name: os.environ.get(name) for name in ONE_THREAD} == ONE_THREAD


def test_a_network_has_all_threads(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOSTORY_WEIGHTS", str(tmp_path))

    use_one_thread_without_weights()

    assert not ONE_THREAD.keys() & os.environ.keys()
