import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audiostory_core.engines.discovery import find_cards

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "graph", "nodes", "audiostory_core", "storage")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SOURCES = MODULES + sorted(
    path for folder in ("tests", "bench", "migrations") for path in (ROOT / folder).rglob("*.py")
)
CATCH_ALL = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "base"}
MAX_LINES = 600
HEAVY = (
    "graph",
    "nodes",
    *(f"audiostory_core.engines.{name}" for name in ("audiostory", "foley", "host", "protocol")),
    "audiostory_core.planners",
)
HEAVY_LIBRARIES = ("langgraph", "langchain_core", "scipy", "torch", "matplotlib", "soxr")


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_no_file_is_named_for_everything_and_nothing():
    named = [path for path in SOURCES if CATCH_ALL & set(path.stem.split("_"))]

    assert named == []


def test_no_file_is_longer_than_the_wall():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}

    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name == "__init__.py"],
    ids=lambda path: str(path.parent.relative_to(ROOT)),
)
def test_package_file_holds_its_docstring_alone(path):
    tree = ast.parse(path.read_text("utf-8"))

    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_packages_import_in_one_direction():
    linter = Path(sys.executable).with_name("lint-imports")

    checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout[-3000:]


def test_contract_of_the_steps_names_every_step():
    built = ast.parse((ROOT / "graph" / "build.py").read_text("utf-8"))
    drawn = {
        call.args[0].id
        for call in ast.walk(built)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "_node"
    }
    steps = {
        imports.module
        for imports in built.body
        if isinstance(imports, ast.ImportFrom) and drawn & {name.name for name in imports.names}
    }

    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = [
        contract
        for contract in configured["tool"]["importlinter"]["contracts"]
        if contract["name"] == "steps import no step"
    ]

    assert len(drawn) == 9
    assert set(contract["modules"]) == steps | {"nodes.jobs"}


def test_http_process_loads_nothing_heavy():
    loaded = run_python("import sys, api.app; print(*sys.modules)").split()

    unwanted = {
        name
        for name in loaded
        for heavy in (*HEAVY, *HEAVY_LIBRARIES)
        if name == heavy or name.startswith(f"{heavy}.")
    }
    assert "fastapi" in loaded
    assert unwanted == set()


ALSO_ELSEWHERE = {  # names of engines and parameters that mean something else in these files
    ("api/cli.py", "audiostory"),  # the command
    ("api/settings.py", "audiostory"),  # the data folder
    ("api/engines/planners.py", "audiostory"),  # a planner
    ("api/models/commands.py", "steps"),  # of training
}


def words_of(tree):
    """Yield the names and literals of a module; what its docstrings say is left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node.value
        for field in ("id", "attr", "arg", "module"):
            yield getattr(node, field, None)


def engines_in_words(tree):
    """Yield what of a module could be read from an engine's card."""
    cards = list(find_cards())
    limits = {card.limits.longest_clip_s for card in cards}
    names = {card.name for card in cards}
    parameters = {name for card in cards for name in card.parameters}
    shipped = re.compile(
        rf"\b({'|'.join(names - {'audiostory'})})\b|engines\.({'|'.join(names)})\b"
    )
    for word in words_of(tree):
        if (isinstance(word, float) and word in limits) or (
            isinstance(word, str) and (word in names | parameters or shipped.search(word))
        ):
            yield word


def test_edges_know_engines_by_their_cards_alone():
    literal = {
        (str(path.relative_to(ROOT)), word)
        for path in (ROOT / "api").rglob("*.py")
        for word in engines_in_words(ast.parse(path.read_text("utf-8")))
    }

    assert literal == ALSO_ELSEWHERE


@pytest.mark.parametrize(
    "code",
    [
        'ENGINES = ("foley",)',
        'help = "Such as foley."',
        "def create(steps): ...",
        "wanted.guidance",
        "longest_s = 33.0",
        "from audiostory_core.engines.audiostory import engine",
        'factory = "audiostory_core.engines.foley.engine:Foley"',
    ],
)
def test_what_a_card_says_is_seen_in_code(code):
    assert list(engines_in_words(ast.parse(code)))
