"""`audiostory doctor`: what is installed, and what is usable here."""

import importlib.metadata
import math
import platform
import shutil
from pathlib import Path

import httpx
from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from api.engines.catalog import engines
from api.engines.engine_factory import Parts
from api.engines.planners import NEED_SERVER, NEED_WEIGHTS, PLANNERS
from api.operations.maker_pool import count_processes
from api.settings import Settings
from api.terminal.console import out
from audiostory_core.cores import available_bytes, count_cores
from audiostory_core.engines.card import Card
from audiostory_core.errors import StudioError

PACKAGES = (
    "langgraph", "langgraph-checkpoint-sqlite", "sqlalchemy", "numpy", "scipy", "soundfile",
    "espeakng-loader", "sudachipy", "fastapi", "httpx", "torch", "transformers", "diffusers",
)  # fmt: skip
ROOMY_BYTES = 1 << 30
ANSWER_S = 3.0  # for a server to say what it serves
MAX_MODELS = 8  # that are named


class Finding(BaseModel):
    """One thing that was looked at."""

    what: str
    is_usable: bool
    is_needed: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; nothing is changed."""
    findings = [_home(settings.home), _machine(settings)]
    parts = Parts(settings, looks_only=True)
    findings += [_engine(parts, card) for card in engines()]
    findings += [
        _finding(f"engine {problem.name}", problem.why, "", is_needed=False)
        for problem in engines().problems
    ]
    findings += [_planner(parts, name) for name in PLANNERS]
    findings += [_chat_server(parts, settings)] if settings.chat_url else []
    if settings.llm_url is not None:
        findings.append(_language_model(settings.llm_url))
    findings += [
        _finding(what, parts.why_helpless(entry), "usable", is_needed=False)
        for card in engines()
        for what, entry in card.helpers.items()
    ]
    findings += [_package(name) for name in PACKAGES]
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
    return [*findings, _finding("python", None, f"{python} {platform.machine()}", is_needed=True)]


def show_findings(findings: list[Finding]) -> None:
    """Print findings as a table."""
    table = Table(expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("found", ratio=1)
    for finding in findings:
        mark = "[green]✓[/]" if finding.is_usable else "[red]✗[/]" if finding.is_needed else "–"
        table.add_row(mark, finding.what, escape(finding.detail))
    out.print(table)


def _finding(what: str, why_not: str | None, detail: str, *, is_needed: bool) -> Finding:
    return Finding(
        what=what, is_usable=why_not is None, is_needed=is_needed, detail=why_not or detail
    )


def _home(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{home}, {free / (1 << 30):.1f} GiB free"
    why_not = None if free >= ROOMY_BYTES else f"{detail}: free some space"
    return _finding("data folder", why_not, detail, is_needed=True)


def _machine(settings: Settings) -> Finding:
    cores, free = count_cores(), available_bytes()
    memory = f", {free / (1 << 30):.1f} GiB of memory free" if math.isfinite(free) else ""
    detail = f"{cores} cores{memory}: clips in up to {count_processes(settings)} processes"
    return _finding("processor", None, detail, is_needed=True)


def _engine(parts: Parts, card: Card) -> Finding:
    why = parts.why_unusable("engine", card.name)
    is_needed = card.is_shipped and card.weights is None
    detail = parts.describe("engine", card.name)
    return _finding(f"engine {card.name}", why, detail, is_needed=is_needed)


def _planner(parts: Parts, name: str) -> Finding:
    why = parts.why_unusable("planner", name)
    is_needed = name not in (*NEED_WEIGHTS, *NEED_SERVER)
    return _finding(f"planner {name}", why, parts.describe("planner", name), is_needed=is_needed)


def _chat_server(parts: Parts, settings: Settings) -> Finding:
    """Look whether the server of the planner `chat` answers and has the model."""
    wanted = settings.chat_model
    try:
        names = parts.list_chat_models()
    except StudioError as error:
        return _finding("chat server", str(error), "", is_needed=False)
    listed = ", ".join(name[:100] for name in names[:MAX_MODELS]) or "none"
    is_there = wanted in names if wanted else len(names) == 1
    why = None if is_there else f"has not {wanted or 'one model alone'}, but: {listed}"
    return _finding("chat server", why, f"answers; models: {listed}", is_needed=False)


def _language_model(url: str) -> Finding:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/models", timeout=ANSWER_S, trust_env=False)
        names = [str(model["id"]) for model in answer.raise_for_status().json()["data"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        why_not = f"{url} does not answer ({error}): start it with `audiostory llm serve WEIGHTS`"
        return _finding("language model", why_not, "", is_needed=False)
    return _finding("language model", None, f"{url} serves {', '.join(names)}", is_needed=False)


def _package(name: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _finding(name, "not installed", "", is_needed=False)
    return _finding(name, None, version, is_needed=False)
