"""Engines as a terminal shows them."""

import math
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from api.engines.schemas import EngineView, WeightsView
from api.terminal.console import err, out
from audiostory_core.engines.discovery import Problem


def show_engines(views: Sequence[EngineView], problems: Sequence[Problem]) -> None:
    """Print engines as a table, and what is wrong with others."""
    table = Table(expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("engine", no_wrap=True)
    table.add_column("makes", overflow="fold")
    table.add_column("longest", justify="right", no_wrap=True)
    table.add_column("state", ratio=1, overflow="fold")
    for view in views:
        table.add_row(
            "[green]✓[/]" if view.is_usable else "–",
            view.name,
            ", ".join(view.stems),
            _limit(view.longest_clip_s),
            escape(view.reason or view.environment),
        )
    out.print(table)
    for problem in problems:
        line = f"[yellow]left out[/] {escape(problem.name)}: {escape(problem.why)}"
        err.print(line, soft_wrap=True)


def show_engine(view: EngineView) -> None:
    """Print all that is known of an engine."""
    table = Table(show_header=False, title=f"{escape(view.name)}: {escape(view.title)}")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    together = ", several in one clip" if view.composite else ""
    rows = {
        "what": view.description,
        "usable": view.reason or "yes",
        "stems": ", ".join(view.stems) + together,
        "shapes": ", ".join(view.shapes) or "none; the studio does what it can",
        "shapes in words": ", ".join(view.shapes_in_words) or "none",
        "languages": ", ".join(view.languages) or "any",
        "longest clip": f"{_limit(view.longest_clip_s)}, tail included",
        "sample rate": f"{view.sample_rate} Hz",
        "weights": _license(view.weights),
        "environment": ", ".join([view.environment, *view.requirements]),
        "from": view.origin,
    }
    for name, parameter in view.parameters.items():
        choices = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
        bounds = [parameter.minimum, parameter.maximum]
        span = " … ".join(f"{bound:g}" for bound in bounds if bound is not None)
        line = f"{parameter.help}: {parameter.type}{choices} {span}, default {parameter.default}"
        rows[f"--set {name}"] = line
    for name, text in rows.items():
        table.add_row(name, escape(text))
    out.print(table)


def _limit(seconds: float) -> str:
    """Return a limit for people, rounded down: what they read is what they may have."""
    return f"{math.floor(10 * seconds) / 10:g} s"


def _license(weights: WeightsView | None) -> str:
    if weights is None:
        return "none"
    use = "allowed" if weights.commercial_use else "not allowed"
    return f"{weights.source}; license: {weights.license}; commercial use: {use}"
