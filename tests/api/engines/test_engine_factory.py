"""Engines as a worker gets them."""

import pytest

from api.engines.engine_factory import Parts
from api.engines.queries import view_engine
from api.engines.worker_factory import build_worker
from api.settings import Settings
from audiostory_core.engines.card import read_card
from audiostory_core.engines.protocol import ClipRequest
from tests.support.cards import TROUBLED, VARIABLE, write_card


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of engines, all of them hosted."""

    def add(name, **fields):
        folder = write_card(
            tmp_path / "engines" / name,
            "[environment]",
            revision="1",
            **({"entry": "engine:Troubled"} | fields),
        )
        (folder / "engine.py").symlink_to(TROUBLED / "engine.py")
        return folder

    monkeypatch.setenv(VARIABLE, str(tmp_path / "engines"))
    return add


def environment_of(engine):
    (clip,) = engine.synthesize([ClipRequest("environment", (), 10, 7, "en")])
    engine.close()
    return dict(line.split("=", 1) for line in clip.matched)


def test_host_gets_one_thread_where_its_clips_are_made_on_one_core(folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    folder("alone", one_core=True)
    folder("shared")
    parts = Parts(Settings())

    alone, shared = (environment_of(parts.engine(name)) for name in ("alone", "shared"))

    assert alone["OMP_NUM_THREADS"] == alone["OPENBLAS_NUM_THREADS"] == "1"
    assert shared["OMP_NUM_THREADS"] == "8"


def test_host_gets_nothing_of_the_studios_own_settings(folder, monkeypatch):
    monkeypatch.setenv("AUDIOSTORY_CHAT_KEY", "secret")
    folder("troubled")

    environment = environment_of(Parts(Settings()).engine("troubled"))

    assert "secret" not in environment.values()
    assert [name for name in environment if name.startswith("AUDIOSTORY_")] == []
    assert "PATH" in environment


async def test_worker_goes_without_an_engine_that_cannot_be_imported(studio, tmp_path, monkeypatch):
    for name, entry in (("gone", "no_such_module:Engine"), ("odd", "json:Engine")):
        write_card(tmp_path / "engines" / name, entry=entry)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "engines"))

    async with build_worker(studio.store, studio.settings) as worker:
        engines = set(worker.services.engines)
        worker.presence.close()

    assert engines == {"foley"}
    parts = Parts(studio.settings)
    assert "no_such_module" in parts.why_unusable("engine", "gone")
    assert "json:Engine fails" in parts.why_unusable("engine", "odd")


def test_capabilities_are_those_of_the_card(folder):
    path = folder("troubled", languages=["en"])

    engine = Parts(Settings()).engine("troubled")

    assert engine.capabilities.name == "troubled"
    assert engine.capabilities.revision == "1"
    assert engine.capabilities.languages == ("en",)
    assert engine.capabilities.longest_clip_s == read_card(path, "a test").limits.longest_clip_s
    assert engine.pid is None


WEIGHTS = """
[weights]
source = "the authors"
license = "MIT"
commercial_use = true

[environment]
"""
WEIGHTED = """
from array import array


class Weighted:
    def __init__(self, folder):
        self.folder = folder

    def synthesize(self, requests, watch):
        for request in requests:
            channel = array("f", bytes(4 * request["samples"]))
            yield {"channels": [channel, channel], "matched": [self.folder]}
"""


def test_host_gets_the_folder_of_its_weights(tmp_path, monkeypatch):
    folder = write_card(tmp_path / "weighted", WEIGHTS, entry="engine:Weighted", revision="1")
    (folder / "engine.py").write_text(WEIGHTED)
    monkeypatch.setenv(VARIABLE, str(folder))
    parts = Parts(Settings(home=tmp_path / "home"))
    without = parts.why_unusable("engine", "weighted")
    weights = tmp_path / "home" / "models" / "weighted"
    weights.mkdir(parents=True)

    engine = parts.engine("weighted")
    (clip,) = engine.synthesize([ClipRequest("a", (), 10, 7, "en")])
    engine.close()

    assert without == (
        "needs weights, and there are none. "
        "Put those of the authors into $AUDIOSTORY_HOME/models/weighted."
    )
    assert clip.matched == (str(weights),)


def test_engine_whose_modules_are_missing_is_not_usable(tmp_path, monkeypatch):
    card = write_card(tmp_path / "brief", modules=["json", "no_such_module"])
    monkeypatch.setenv(VARIABLE, str(card))

    view = view_engine("brief", Settings())

    assert view.reason == (
        "no_such_module not installed. Install what the engine brief needs beside the studio."
    )
