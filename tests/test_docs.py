"""The documents say what is there: their commands, links, names and tables are checked."""

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import typer

from api.cli import BAD_INPUT, DEGRADED, FAILED, INTERRUPTED, app
from api.exports import routes as export_routes
from api.operations import routes as operation_routes
from api.settings import Settings
from api.stories import event_routes
from api.stories import routes as story_routes
from audiostory_core.engines.card import CardFile, Environment, Limits, Parameter, Weights
from audiostory_core.engines.discovery import find_cards
from audiostory_core.engines.foley.catalog import load_kinds
from tests.support.doc_sessions import is_as_shown, list_shown, run_all

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = typer.main.get_command(app).commands
ROUTES = [
    (route.path_regex, route.methods)
    for router in (
        story_routes.router,
        export_routes.router,
        event_routes.router,
        operation_routes.health,
    )
    for route in router.routes
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`\n]+)`")
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
RUN = re.compile(r"<!-- tests/test_docs\.py runs this -->\n```sh\n(.*?)```", re.DOTALL)
UNWANTED = re.compile("(?<!\\w)/work\\b|/tmp\\b|TODO|[\U0001f300-\U0001faff\u2600-\u27bf]")
FOREIGN = {"Send"}  # of LangGraph
FENCED = re.compile(r"```.*?```", re.DOTALL)
TREE = re.compile(r"^( *)((?:[\w.]+/?)(?:, [\w.]+/?)*)(?:  |$)", re.MULTILINE)


def texts():
    """Yield every document and what it says."""
    for document in DOCUMENTS:
        yield document, document.read_text("utf-8")


def named(document):
    return str(document.relative_to(ROOT))


def command_lines(text):
    """Yield the words of every command a document shows."""
    for line in (*SHELL.findall(text), *INLINE.findall(FENCED.sub("", text))):
        for command in line.replace("\\\n", " ").splitlines():
            if command.startswith(("audiostory ", ".venv/bin/audiostory ", "curl ", "make ")):
                yield shlex.split(command)


def studio_calls(text):
    """Return what follows `audiostory` in every command a document shows."""
    programs = ("audiostory", ".venv/bin/audiostory")
    return [words[1:] for words in command_lines(text) if words[0] in programs and words[1:]]


def test_links_lead_to_files():
    missing = [
        (named(document), link)
        for document, text in texts()
        for link in LINK.findall(text)
        if "://" not in link and not (document.parent / link.split("#")[0]).exists()
    ]

    assert missing == []


def test_documents_are_plain_text_of_the_project():
    untitled = [named(document) for document, text in texts() if not text.startswith("# ")]
    unwanted = [
        (named(document), match) for document, text in texts() for match in UNWANTED.findall(text)
    ]

    assert untitled == []
    assert unwanted == []


def unknown_of(call):
    """Return the command or the options of a call that do not exist."""
    if call[0] not in COMMANDS:
        return call[:1]
    command = COMMANDS[call[0]]
    command = getattr(command, "commands", {}).get(call[1], command) if call[1:] else command
    known = {option for parameter in command.params for option in parameter.opts}
    return [word for word in call[1:] if word.startswith("-") and word not in {"-", *known}]


def test_commands_and_their_options_exist():
    calls = [(named(document), call) for document, text in texts() for call in studio_calls(text)]

    assert len(calls) > 50
    assert [(where, call) for where, call in calls if unknown_of(call)] == []


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))

    missing = [
        (named(document), target)
        for document, text in texts()
        for target in re.findall(r"`make ([\w-]+)", text)
        if target not in targets
    ]
    assert missing == []


def test_readme_names_every_command_and_both_targets():
    text = README.read_text("utf-8")

    assert {call[0] for call in studio_calls(text)} == set(COMMANDS)
    assert "`make story`" in text
    assert "`make test`" in text


def test_readme_options_of_create_exist():
    row = next(line for line in README.read_text("utf-8").splitlines() if "create INSTR" in line)
    told = set(re.findall(r"`(--[\w-]+)", row))
    known = {option for parameter in COMMANDS["create"].params for option in parameter.opts}

    assert told
    assert told <= known


def test_readme_curl_lines_reach_routes():
    calls = [words for words in command_lines(README.read_text("utf-8")) if words[0] == "curl"]

    assert len(calls) == 5
    for words in calls:
        address = next(word for word in words if word.startswith("localhost:"))
        method = "POST" if "-d" in words else "GET"
        path = address.partition("/v1")[2]
        assert any(regex.match(path) and method in methods for regex, methods in ROUTES), words


def test_settings_and_their_defaults_are_those_of_the_code():
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = re.findall(r"^\| `AUDIOSTORY_(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    defaults = {name.lower(): told.strip() for name, told in rows}

    assert defaults.keys() == Settings.model_fields.keys()
    literal = {name: told.strip("`") for name, told in defaults.items() if told.startswith("`")}
    assert defaults.keys() - literal.keys() == {
        name
        for name, field in Settings.model_fields.items()
        if field.default is None or field.default_factory is not None
    }
    for name, told in literal.items():
        assert getattr(Settings(**{name: told}), name) == Settings.model_fields[name].default, name


def test_readme_exit_codes_are_those_of_the_code():
    told = re.search(r"^Exit codes: (.*?)\n\n", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)

    assert told is not None
    codes = {int(code) for code in re.findall(r"(?:^|; )(\d+) ", told[1].replace("\n", " "))}
    assert codes == {0, FAILED, BAD_INPUT, DEGRADED, INTERRUPTED}


def test_readme_commands_marked_to_run_run(tmp_path):
    (block,) = RUN.findall(README.read_text("utf-8"))
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AUDIOSTORY_HOME": str(tmp_path / "home"),
    }

    for line in block.splitlines():
        finished = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "knocks.flac").stat().st_size > 0


@pytest.mark.parametrize("page", ["authoring", "operations"])
def test_session_that_a_page_shows_goes_as_it_shows(page, tmp_path, postgres_url):
    shown = list_shown((ROOT / f"docs/{page}.md").read_text("utf-8"))

    ran = run_all(shown, tmp_path, POSTGRES_URL=postgres_url)

    for told, became in zip(shown, ran, strict=False):
        assert became.code == 0, (told.command, became.printed)
        assert is_as_shown(told, became.printed), (told.command, told.prints, became.printed)
    assert len(ran) == len(shown) > 20


def test_pages_show_every_command_that_revises_or_keeps_a_store():
    pages = ("authoring", "operations")
    commands = [
        shown.command
        for page in pages
        for shown in list_shown((ROOT / f"docs/{page}.md").read_text("utf-8"))
    ]
    ran = {word for command in commands for word in re.findall(r"\baudiostory (\w+)", command)}

    assert set(COMMANDS) - ran == {"plan", "read", "models", "llm"}  # which their own tests run


def test_architecture_names_files_that_exist():
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    tree = text.partition("## Where things are")[2].partition("```")[2].partition("```")[0]
    folder, missing = ROOT, []
    for indent, names in TREE.findall(tree):
        for name in names.split(", "):
            path = (folder if indent else ROOT) / name
            missing += [] if path.exists() else [path]
        folder = folder if indent else ROOT / names

    assert tree.count("\n") > 20
    assert missing == []


def test_documents_name_classes_and_tests_that_exist():
    code = {
        word
        for folder in ("api", "graph", "nodes", "storage", "audiostory_core", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for word in re.findall(r"\w+", path.read_text("utf-8"))
    }

    missing = [
        (named(document), name)
        for document, text in texts()
        for name in re.findall(r"`(test_\w+|[A-Z]\w+[a-z]\w+)`", text)
        if name not in code | FOREIGN
    ]
    assert missing == []


def test_glossary_words_are_where_they_are_said_to_be():
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "](" in line]
    lost = []
    for row in rows:
        where = row.split(" | ")[-1]
        (link,) = LINK.findall(where)
        code = (ROOT / "docs" / link).read_text("utf-8")
        symbols = INLINE.findall(where)
        if not symbols or not all(re.search(rf"\b{symbol}\b", code) for symbol in symbols):
            lost.append(row)

    assert len(rows) > 50
    assert lost == []


def test_foley_page_lists_every_kind():
    told = defaultdict(set)
    text = (ROOT / "docs/foley.md").read_text("utf-8")
    for family, role, kinds in re.findall(r"^\| (\w+) \| (\w+) \| (`.*`) \|$", text, re.MULTILINE):
        told[family, role] |= set(INLINE.findall(kinds))
    known = defaultdict(set)
    for kind in load_kinds().values():
        known[kind.family, kind.role.value].add(kind.name)

    rows = [
        f"| {family} | {role} | {' '.join(f'`{name}`' for name in sorted(names))} |"
        for (family, role), names in known.items()
    ]
    assert told == known, "the table should be:\n" + "\n".join(rows)


def test_number_of_kinds_told_is_right():
    for document in (README, ROOT / "CHANGELOG.md"):
        (told,) = re.findall(r"(\d+) kinds of sound", document.read_text("utf-8"))
        assert int(told) == len(load_kinds()), document.name


def test_every_decision_is_listed_and_has_its_four_parts():
    decisions = sorted((ROOT / "docs/decisions").glob("0*.md"))
    index = (ROOT / "docs/decisions/README.md").read_text("utf-8")

    assert decisions
    for number, path in enumerate(decisions, 1):
        headings = re.findall(r"^## (.*)$", path.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "References"], path.name
        assert path.name.startswith(f"{number:04d}-")
        assert path.name in index


def row_of(card):
    """Return what the table of engines says of one."""
    parameters = [f"`{name}` {default}" for name, default in card.defaults.items()]
    return [
        f"`{card.name}`",
        ", ".join(card.stems),
        ", ".join(card.languages) or "any",
        f"{card.limits.longest_clip_s:.4g} s",
        ", ".join(parameters) or "none",
        card.weights.source if card.weights else "none",
        "its own" if card.environment else "in process",
    ]


def test_engines_page_says_what_the_cards_say():
    text = (ROOT / "docs/engines.md").read_text("utf-8")
    table = text.partition("| environment |\n")[2].partition("\n\n")[0].splitlines()[1:]

    shown = [line.strip("| ").split(" | ") for line in table]

    assert shown == [row_of(card) for card in find_cards()]


def test_engines_page_names_every_field_of_a_card():
    text = (ROOT / "docs/engines.md").read_text("utf-8")
    shown = set(INLINE.findall(text.partition("## The card")[2].partition("## Environments")[0]))

    tables = {"limits": Limits, "weights": Weights, "environment": Environment}
    inner = {name for table in (*tables.values(), Parameter) for name in table.model_fields}
    written = {f"[{name}]" for name in (*tables, "parameters.NAME", "helpers")}
    plain = CardFile.model_fields.keys() - {*tables, "parameters", "helpers"}
    assert plain | inner | written <= shown
