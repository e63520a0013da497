"""A command imports what it uses."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from api.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
finally:
    print(*sys.modules, file=sys.stderr)
"""
SERVER = {"fastapi", "uvicorn", "starlette", "httpx", "httpcore", "prometheus_client"}
DRAWING = {"matplotlib", "alembic"}
GRAPH = {"langgraph", "langchain_core", "graph"}
SOUND = {"scipy", "soxr", "sudachipy", "torch"}
SAMPLES = {"numpy", "soundfile"}
DATABASE = {"sqlalchemy", "aiosqlite"}


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A data folder, and the id of the finished story in it."""
    folder = tmp_path_factory.mktemp("stories")
    made = _run(folder, "create", "Rain", "-d", "2", "--print-id")
    return folder, made.stdout.strip()


def _run(folder, *args):
    return subprocess.run(
        [sys.executable, "-c", RUN, *args],
        cwd=folder,
        env={"AUDIOSTORY_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "PATH": ""},
        input="",  # a pipe that is closed: nobody supervises
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["--help"], DATABASE | SAMPLES | SOUND | GRAPH | DRAWING | SERVER),
        (["plan", "Rain", "-d", "5"], DATABASE | SAMPLES | SOUND | GRAPH | DRAWING | SERVER),
        (["list"], SAMPLES | SOUND | GRAPH | DRAWING | SERVER),
        (["history", "ID"], SAMPLES | SOUND | GRAPH | DRAWING | SERVER),
        (["show", "ID", "--json"], SAMPLES | SOUND | GRAPH | DRAWING | SERVER),
        (["resume", "ID", "-o", "again.wav"], SOUND | GRAPH | DRAWING | SERVER),
        (["revise", "ID", "1", "--change", "make it quieter"], DRAWING | {"fastapi", "uvicorn"}),
        (["worker", "--supervised"], DRAWING | {"fastapi", "uvicorn"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_command_imports_what_it_uses(story, command, unwanted):
    folder, story_id = story

    finished = _run(folder, *[story_id if word == "ID" else word for word in command])

    imported = {name.partition(".")[0] for name in finished.stderr.split()}
    assert "typer" in imported
    assert imported & unwanted == set()
