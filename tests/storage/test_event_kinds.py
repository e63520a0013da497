import ast
import re
from pathlib import Path
from typing import get_args

from storage.event_kinds import EventKind
from storage.models import RunState

ROOT = Path(__file__).parents[2]
OTHER = {"clip.key", "condition.id", "revision.id", "run.id", "story.id", "story.wav"}
SUBJECTS = "change|clip|engine|export|llm|mix|plan|review|revision|run|scene|store|story"
ENDS = {f"run.{state}" for state in (RunState.CANCELLED, RunState.FAILED, RunState.FINISHED)}


def test_every_kind_that_the_code_names_is_listed():
    named = {
        node.value
        for package in ("storage", "nodes", "graph", "api")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "event_kinds.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(rf"({SUBJECTS})\.[a-z]+", node.value)
    }

    assert (named - OTHER) | ENDS == set(get_args(EventKind))


def test_every_kind_is_in_the_documentation():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")

    assert [kind for kind in get_args(EventKind) if f"`{kind}`" not in text] == []
