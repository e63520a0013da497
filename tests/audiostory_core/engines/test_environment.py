"""An engine's own interpreter: made by pip, whole or not there, and removed."""

import os
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from audiostory_core.engines.card import read_card
from audiostory_core.engines.environment import (
    WHOLE,
    EnvironmentState,
    InstallationFailed,
    command_of,
    install,
    remove,
    state_of,
)
from audiostory_core.engines.host.engine import HostedEngine
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.errors import BadInput
from tests.support.cards import TOY, write_card

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
ENGINE = """
from array import array
import loudly


class Engine:
    def synthesize(self, requests, watch):
        for request in requests:
            channel = array("f", [loudly.LEVEL]) * request["samples"]
            yield {"channels": [channel, channel]}
"""


def write_wheel(folder, version="1.0", level=0.25):
    """Write a wheel of a package of one constant; return what a card requires of it."""
    wheel = folder / f"loudly-{version}-py3-none-any.whl"
    info = f"loudly-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("loudly.py", f"LEVEL = {level}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: loudly\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"loudly @ {wheel.as_uri()}"


def card_of(tmp_path, requirement, python=None):
    more = f"[environment]\nrequirements = [{requirement!r}]\n"
    more += f"python = '{python}'\n" if python else ""
    folder = write_card(tmp_path / "loud", more, revision="1")
    (folder / "engine.py").write_text(ENGINE)
    return read_card(folder, "a test")


def level_of(card, environments):
    engine = HostedEngine(card, command_of(card, environments), {})
    (clip,) = engine.synthesize([ClipRequest("x", (), 10, 7, "en")])
    engine.close()
    return clip.waveform[0, 0]


def test_environment_is_made_of_the_requirements_updated_and_removed(tmp_path):
    environments, lines = tmp_path / "engines", []
    card = card_of(tmp_path, write_wheel(tmp_path))
    assert state_of(card, environments) == EnvironmentState.MISSING

    assert install(card, environments, lines.append)

    assert state_of(card, environments) == EnvironmentState.INSTALLED
    assert level_of(card, environments) == 0.25
    assert "Successfully installed loudly-1.0" in lines
    assert not install(card, environments, lines.append)

    lost = card_of(tmp_path, f"loudly @ file://{tmp_path}/loudly-3.0-py3-none-any.whl")
    with pytest.raises(InstallationFailed, match=r"No such file.*loudly-3\.0"):
        install(lost, environments, lines.append)
    assert state_of(lost, environments) == EnvironmentState.MISSING
    assert state_of(card, environments) == EnvironmentState.INSTALLED
    assert len(list((environments / "loud").iterdir())) == 1

    later = card_of(tmp_path, write_wheel(tmp_path, "2.0", 0.5))
    assert state_of(later, environments) == EnvironmentState.MISSING
    assert install(later, environments, lines.append)
    assert level_of(later, environments) == 0.5
    assert state_of(card, environments) == EnvironmentState.MISSING
    assert len(list((environments / "loud").iterdir())) == 1

    assert remove("loud", environments)
    assert state_of(later, environments) == EnvironmentState.MISSING
    assert not (environments / "loud").exists()
    assert not remove("loud", environments)


def test_installation_that_was_killed_is_none_and_is_made_again(tmp_path):
    environments = tmp_path / "engines"
    card = card_of(tmp_path, write_wheel(tmp_path))
    script = f"""
        from pathlib import Path
        from audiostory_core.engines.card import read_card
        from audiostory_core.engines.environment import install
        card = read_card(Path({str(card.folder)!r}), "a test")
        install(card, Path({str(environments)!r}), print)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    ) as installing:
        deadline = time.monotonic() + PATIENCE_S
        while not list(environments.glob("loud/*/bin/python")):
            assert time.monotonic() < deadline
            assert installing.poll() is None
            time.sleep(0.005)
        installing.kill()  # and not what it started

    assert state_of(card, environments) == EnvironmentState.MISSING
    assert install(card, environments, lambda line: None)
    assert level_of(card, environments) == 0.25


def test_environment_whose_interpreter_is_gone_is_not_installed(tmp_path):
    card = card_of(tmp_path, write_wheel(tmp_path))
    (target,) = {Path(command_of(card, tmp_path / "engines")[0]).parents[1]}
    target.mkdir(parents=True)
    (target / WHOLE).write_text("{}")
    (target / "bin").mkdir()
    (target / "bin" / "python").symlink_to(tmp_path / "uninstalled")

    assert state_of(card, tmp_path / "engines") == EnvironmentState.MISSING


def test_python_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    card = card_of(tmp_path, write_wheel(tmp_path), python="3.99")

    with pytest.raises(BadInput, match=r"python '3\.99': is not installed"):
        install(card, tmp_path / "engines", lambda line: None)


def test_engine_of_the_standard_library_needs_no_environment(tmp_path):
    card = read_card(TOY, "a test")

    assert state_of(card, tmp_path) == EnvironmentState.BUILT_IN
    assert command_of(card, tmp_path) == (sys.executable, "-I", "-S")
    assert not install(card, tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []
