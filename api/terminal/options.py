"""Options and arguments that several commands share."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from audiostory_core.errors import BadInput

Parameters = ParamSpec("Parameters")


def seconds(text: str) -> float:
    """Read a duration in seconds."""
    from audiostory_core.story.plan import check_duration

    try:
        duration_s = float(text)
    except ValueError:
        raise BadInput(
            "duration", text, "is not a number of seconds", "Give seconds, such as 35.1."
        ) from None
    return check_duration(duration_s)


def choose_weights(folder: Path | None) -> Path | None:
    """Take over the option --weights."""
    from api.settings import choose_weights as choose

    choose(folder)
    return folder


Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        callback=choose_weights,
        help="Weights of the AudioStory network (default: AUDIOSTORY_WEIGHTS).",
    ),
]
Instruction = Annotated[
    str, typer.Argument(help="What should be heard, in any language; - reads standard input.")
]
Duration = Annotated[
    float | None,
    typer.Option(
        "--duration",
        "-d",
        metavar="S",
        parser=seconds,
        help="Seconds, 1 to 86400 (default: read from the text).",
    ),
]
Language = Annotated[
    str | None, typer.Option(help="Such as en, es, zh (default: read from the text).")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .wav or .flac file.")
]
StoryId = Annotated[str, typer.Argument(metavar="ID", help="A story's id; see `audiostory list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def asynchronous(
    command: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Have a coroutine function run as a command."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        asyncio.run(command(*args, **kwargs))

    return run


def read_instruction(argument: str) -> str:
    """Return the instruction, read from standard input if it is `-`."""
    from audiostory_core.story.plan import check_instruction

    if argument == "-":
        argument = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return check_instruction(argument)
