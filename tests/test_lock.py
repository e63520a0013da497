"""What is installed is what `make lock` wrote: it fits pyproject.toml, and every file has a hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.drift import PIN, list_drift

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
OURSELVES = PROJECT["project"]["name"]


def _pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def _list_misfits(requirements: list[str], pins: dict[str, str]) -> list[str]:
    """Return the requirements that no pin meets; `make lock` is the remedy."""
    misfits = []
    for requirement in map(Requirement, requirements):
        pin = pins.get(canonicalize_name(requirement.name))
        is_met = pin is not None and requirement.specifier.contains(pin)
        if not is_met and requirement.name != OURSELVES:
            misfits.append(str(requirement))
    return misfits


def _inputs(name: str) -> list[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_lock_meets_what_the_project_asks_for():
    story = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    everything = story + [each for extra in EXTRAS.values() for each in extra]
    everything += _inputs("build.in") + _inputs("torch.in")
    cpu, cuda = _pins("torch-cpu.txt"), _pins("torch-cuda.txt")

    assert _list_misfits(story + _inputs("build.in"), _pins("story.txt")) == []
    assert _list_misfits(story + EXTRAS["postgres"], _pins("postgres.txt")) == []
    assert _list_misfits(story + EXTRAS["model"], _pins("model.txt") | cpu) == []
    assert _list_misfits(everything, _pins("dev.txt") | cpu) == []
    assert _list_misfits(everything, cuda | _pins("dev.txt")) == []
    for kind in ("cpu", "cuda"):
        assert _list_misfits(_inputs(f"vllm-{kind}.in"), _pins(f"vllm-{kind}.txt")) == []


def test_requirement_that_the_lock_does_not_meet_is_seen():
    pins = {"numpy": "2.4.6", "torch": "2.13.0+cpu"}

    assert _list_misfits(["numpy>=2.2", "torch==2.13.*"], pins) == []
    assert _list_misfits(["numpy>=3", "torch==2.14.*", "new"], pins) == [
        "numpy>=3",
        "torch==2.14.*",
        "new",
    ]


def test_story_needs_nothing_of_the_network_or_the_tests():
    story, everything = _pins("story.txt"), _pins("dev.txt")

    assert story.keys() < everything.keys()
    assert {name: version for name, version in everything.items() if name in story} == story
    assert not story.keys() & {"torch", "transformers", "psycopg", "pytest", "hypothesis"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_the_lock_has_hashes(lock):
    text = re.sub(r"\\\n", "", lock.read_text())
    lines = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]

    assert len(lines) == len(set(PIN.findall(text))) > 0
    assert [line for line in lines if "--hash=sha256:" not in line] == []


def test_drift_is_what_differs_from_the_lock():
    locked = {"same": "1", "older": "1", "elsewhere": "1"}
    installed = {"same": "1", "older": "2", "new": "3"}

    assert list_drift(locked, installed) == [("new", "-", "3"), ("older", "1", "2")]
