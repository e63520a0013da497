"""Options and arguments that several commands share."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from audiostory_core.errors import BadInput


def seconds(told: str) -> float:
    """Read a duration in seconds."""
    from audiostory_core.story.plan import check_duration

    try:
        duration_s = float(told)
    except ValueError:
        raise BadInput(
            "duration", told, "is not a number of seconds", "Give seconds, such as 35.1."
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
        help="Weights of the AudioStory network; else AUDIOSTORY_WEIGHTS.",
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
        help="Seconds, 1 to 86400; without it, from the text.",
    ),
]
Language = Annotated[
    str | None, typer.Option(help="Such as en, es, zh; without it, from the text.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .wav or .flac file.")
]
StoryId = Annotated[str, typer.Argument(metavar="ID", help="A story's id; see `audiostory list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def read_instruction(given: str) -> str:
    """Return the instruction, read from standard input if it is `-`."""
    from audiostory_core.story.plan import check_instruction

    if given == "-":
        given = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return check_instruction(given)
