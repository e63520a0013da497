"""Errors of the core.

StudioError
├── BadInput          what the author gave cannot be used; names field, value and remedy
├── EngineFailed      an engine could not make a clip
├── LanguageModelAway the language model's server does not answer; it may come back
└── UnreadableAudio   an audio file is missing or damaged; names its path

Cancelled             no error to explain: whoever asked has lost interest
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

LAYERS = "layers"  # the one field whose entries are of several kinds


class StudioError(Exception):
    """Something the studio can explain to its user."""


class BadInput(StudioError):
    """A value given by the author cannot be used.

    Args:
        field: name of the offending field as the author knows it, e.g. `duration`.
        value: what was given; shown shortened.
        problem: what is wrong with it, a clause without a full stop.
        remedy: what to do instead, an imperative sentence.
    """

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        self.field = field
        self.value = value
        self.problem = problem
        self.remedy = remedy
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:60] + "…" + shown[-16:]
        super().__init__(f"{field} {shown}: {problem}. {remedy}")


class UnreadableAudio(StudioError):
    """An audio file is missing, damaged or too short.

    Args:
        path: of the file.
        problem: what is wrong with it, a predicate without a full stop.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} {problem}")


class EngineFailed(StudioError):
    """The engine could not make the clip; the message says why."""


class LanguageModelAway(StudioError):
    """The language model's server does not answer; whoever can wait tries again.

    Args:
        url: of the server.
        problem: a predicate without a full stop, such as "refuses connections".
        remedy: what to do about it, an imperative sentence.
    """

    def __init__(
        self,
        url: str,
        problem: str,
        remedy: str = "Start it with `audiostory llm serve WEIGHTS`.",
    ) -> None:
        self.url = url
        super().__init__(f"The language model at {url} {problem}. {remedy}")


class Cancelled(Exception):
    """Nobody wants these clips any more."""


def nearest(
    errors: Sequence[Mapping[str, Any]],
) -> tuple[tuple[int | str, ...], Mapping[str, Any]]:
    """Return where the error is that a person should hear of, and that error of pydantic's.

    A layer that is of neither kind is reported as both: the kind that it comes nearer to counts.
    """
    sizes = Counter(_branch(error["loc"]) for error in errors)
    first = min(errors, key=lambda error: sizes[_branch(error["loc"])])
    loc = first["loc"]
    kind = len(loc) if LAYERS not in loc else loc.index(LAYERS) + 2  # the name of the kind
    return (*loc[:kind], *loc[kind + 1 :]), first


def _branch(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc[: loc.index(LAYERS) + 3] if LAYERS in loc else loc


def first_problem(error: ValidationError) -> tuple[str, object, str]:
    """Return the place of the first thing that does not fit, e.g. `plan.2`, its value and why."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return where, first["input"], first["msg"].removeprefix("Value error, ")


def bad_input_from(
    error: ValidationError, remedy: str, names: Mapping[str, str] | None = None
) -> BadInput:
    """Return the first thing that does not fit as bad input.

    Args:
        error: what pydantic found.
        remedy: what to do instead, an imperative sentence.
        names: of fields as the author knows them, where they differ.
    """
    where, value, problem = first_problem(error)
    field = (names or {}).get(where.partition(".")[0], where)
    return BadInput(field, value, problem, remedy)
