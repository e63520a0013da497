"""Options and arguments that several commands share."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from audiostory_core.errors import BadInput

if TYPE_CHECKING:
    from audiostory_core.manuscript.elements import Format

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
Script = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A script, chapter or subtitles instead of an instruction."),
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="F", help="What it is written in; see `audiostory read --help`."
    ),
]
Narrate = Annotated[
    bool, typer.Option("--narrate", help="Read prose aloud: a narrator, and quotes by the cast.")
]
Say = Annotated[
    list[str] | None,
    typer.Option(
        "--say",
        metavar="NAME=READING",
        help="How a name is spoken: Siobhan=shi-VAWN, or IPA: Siobhan=/ʃɪˈvɔːn/; repeatable.",
    ),
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


def read_say(pairs: list[str]) -> dict[str, str]:
    """Read what --say was given.

    Raises:
        BadInput: if one has no "=", or a reading that no voice can speak.
    """
    from audiostory_core.text.spoken.lexicon import check_readings

    readings: dict[str, str] = {}
    for pair in pairs:
        name, equals, reading = pair.partition("=")
        if not equals:
            raise BadInput(
                "say", pair, "is not NAME=READING", "Write it as in --say Siobhan=shi-VAWN."
            )
        readings[name] = reading
    try:
        return dict(check_readings(readings))
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        remedy = remedy[:1].upper() + remedy[1:]
        raise BadInput("say", ", ".join(pairs), problem, f"{remedy}.") from None


def asynchronous(
    command: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Have a coroutine function run as a command."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        asyncio.run(command(*args, **kwargs))

    return run


def read_instruction(
    argument: str,
    script: Path | None = None,
    format_name: str | None = None,
    *,
    narrate: bool = False,
) -> str:
    """Return the instruction, from standard input if it is `-`, or the script of a file.

    Args:
        argument: of the command line.
        script: a file instead of it.
        format_name: of what either is written in; None: by content and name.
        narrate: read it as prose.

    Raises:
        BadInput: if it cannot be planned, or both or contrary things are asked for.
    """
    from audiostory_core.manuscript.detection import check_manuscript, with_format
    from audiostory_core.manuscript.elements import Format

    format_ = read_format(format_name)
    if narrate and format_ not in (None, Format.PROSE):
        raise BadInput("narrate", True, f"is for prose, not {format_}", "Leave one of them out.")
    format_ = Format.PROSE if narrate else format_
    if script is not None:
        from audiostory_core.manuscript.files import read_script

        if argument:
            raise BadInput("script", str(script), "brings its own text", "Leave the other out.")
        return check_manuscript(read_script(script, format_))
    if argument == "-":
        argument = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return check_manuscript(with_format(argument, format_) if format_ else argument)


def read_format(name: str | None) -> "Format | None":
    """Return the format that a name of the command line means.

    Raises:
        BadInput: if there is none of that name.
    """
    from audiostory_core.manuscript.elements import Format

    try:
        return None if name is None else Format(name)
    except ValueError:
        raise BadInput(
            "format", name, "is not known", f"Name one of: {', '.join(Format)}."
        ) from None
