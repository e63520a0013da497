"""`audiostory models`, as it is typed."""

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from api.cli import main
from tests.support.hub_server import Mirror, mirror, read_folder
from tests.support.published_checkpoint import write_published
from tests.support.subprocesses import run_apart

PATIENCE_S = 300.0
REPO = "someone/AudioStory-tiny"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def models(home: Path) -> Run:
    """Type a command."""

    def run(
        *words: object, exit_code: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", "api", "models", *map(str, words)],
            env=outside() | {"AUDIOSTORY_HOME": str(home), "COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert finished.returncode == exit_code, finished.stderr
        assert "Traceback" not in finished.stderr
        return finished

    return run


@pytest.fixture(scope="module")
def loaded() -> Run:
    """Type a command that needs torch, in a process that has it already."""

    def run(*words: object, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        arguments = ["audiostory", "models", *map(str, words)]
        finished = run_apart(run_main, arguments)
        assert finished.returncode == exit_code, finished.stderr
        return finished

    return run


def run_main(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    torch.set_num_threads(1)
    sys.argv = arguments
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HF_")}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published") / "ckpt")


@pytest.fixture(scope="module")
def converted(loaded: Run, published: Path, home: Path) -> Path:
    target = home / "models" / "golden"
    told = loaded("convert", published, target)
    assert f"{target}  revision " in told.stdout
    return target


def assert_told(finished: subprocess.CompletedProcess[str], *words: str) -> None:
    """The error is one line."""
    (line,) = finished.stderr.strip().splitlines()
    for word in ("audiostory: ", *words):
        assert word in line


def test_converted_weights_are_listed_with_revision_and_size(
    models: Run, converted: Path, published: Path, home: Path
) -> None:
    (home / "models" / "raw").symlink_to(published)
    (home / "models" / "notes").mkdir()
    listed = {model["name"]: model for model in json.loads(models("list", "--json").stdout)}
    manifest = json.loads((converted / "manifest.json").read_text())
    assert listed["golden"]["kind"] == "converted"
    assert listed["golden"]["revision"] == manifest["revision"]
    assert listed["golden"]["size"] == sum(map(len, read_folder(converted).values()))
    assert (listed["raw"]["kind"], listed["raw"]["revision"]) == ("published", None)
    assert listed["notes"] == {"name": "notes", "kind": "unknown", "revision": None, "size": 0}
    table = models("list").stdout
    assert manifest["revision"][:12] in table
    assert "published" in table


def test_empty_list_is_no_error(models: Run, tmp_path: Path) -> None:
    assert json.loads(models("list", "--json", AUDIOSTORY_HOME=str(tmp_path)).stdout) == []


def test_verify_tells_whole_weights_from_damaged_ones(models: Run, converted: Path) -> None:
    assert "is whole, revision" in models("verify", converted).stdout
    path = converted / "dit.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert_told(models("verify", converted, exit_code=2), "dit.safetensors", "is damaged")
    path.write_bytes(content)


def test_bad_input_of_convert_is_one_line(
    loaded: Run, converted: Path, published: Path, tmp_path: Path
) -> None:
    taken = loaded("convert", published, converted, exit_code=2)
    assert_told(taken, "target", "exists already")
    nothing = loaded("convert", tmp_path, tmp_path / "weights", exit_code=2)
    assert_told(nothing, "weights", "is no checkpoint")
    assert not (tmp_path / "weights").exists()


@pytest.fixture(scope="module")
def server(published: Path):
    with mirror({REPO: read_folder(published)}) as started:
        yield started


def test_pull_from_the_mirror_of_the_environment_sends_no_token(
    models: Run, server: Mirror, published: Path, tmp_path: Path
) -> None:
    environment = {
        "HF_ENDPOINT": server.endpoint,
        "HF_TOKEN": "hf_secret",
        "AUDIOSTORY_HOME": str(tmp_path),
    }
    told = models("pull", REPO, **environment)
    target = tmp_path / "models" / "AudioStory-tiny"
    assert told.stdout.strip() == str(target)
    assert read_folder(target) == read_folder(published)
    assert server.asked
    assert all("secret" not in str(headers) for _, _, headers in server.asked)


def test_pull_offline_is_one_clear_error(models: Run, server: Mirror, tmp_path: Path) -> None:
    options = ("--to", tmp_path / "target", "--endpoint", server.endpoint)
    told = models("pull", REPO, *options, exit_code=2, HF_HUB_OFFLINE="1")
    assert_told(told, REPO, "offline")
    assert not (tmp_path / "target").exists()


def test_pull_from_a_server_that_is_gone_fails(models: Run, tmp_path: Path) -> None:
    with mirror({}) as gone:
        endpoint = gone.endpoint
    options = ("--to", tmp_path / "target", "--endpoint", endpoint)
    assert_told(models("pull", REPO, *options, exit_code=1), "could not be read", "pull again")


def test_tiny_checkpoint_converts(loaded: Run, tmp_path: Path) -> None:
    loaded("tiny", tmp_path / "tiny", "--steps", "0", "--seed", random.Random(1).getrandbits(40))
    loaded("convert", tmp_path / "tiny", tmp_path / "weights", "--dtype", "bfloat16")
    assert json.loads((tmp_path / "weights" / "manifest.json").read_text())["dtype"] == "bfloat16"


def test_help_loads_no_torch() -> None:
    script = (
        "import sys; from api.cli import app; import api.models.service; "
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') "
        "if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
