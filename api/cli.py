"""The command line: every command checks its input, then hands over.

Exit codes: 0 done, 1 failed, 2 bad input, 3 finished with degradations, 130 interrupted.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.memory import share_one_arena
from audiostory_core.errors import BadInput, StudioError
from storage.errors import StoreError

FAILED, BAD_INPUT, DEGRADED, INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="audiostory",
    help="""Turn one instruction into a long audio story, and revise it scene by scene.

    Try:  audiostory create "A fire truck leaves the station, siren blaring" --duration 35.1 -o
    story.wav

    AUDIOSTORY_HOME names the data folder. Exit codes: 0 done, 1 failed, 2 bad input, 3 finished
    with degradations (listed), 130 interrupted; `audiostory resume ID` goes on after that.
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _seconds(told: str) -> float:
    from audiostory_core.story import check_duration

    try:
        duration_s = float(told)
    except ValueError:
        raise BadInput(
            "duration", told, "is not a number of seconds", "Give seconds, such as 35.1."
        ) from None
    return check_duration(duration_s)


Instruction = Annotated[
    str, typer.Argument(help="What should be heard, in any language; - reads standard input.")
]
Duration = Annotated[
    float | None,
    typer.Option(
        "--duration",
        "-d",
        metavar="S",
        parser=_seconds,
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


@app.command()
def create(
    instruction: Instruction = "",
    duration: Duration = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="The same seed makes the same story.")
    ] = None,
    engine: Annotated[str, typer.Option(help="What makes the clips.")] = "foley",
    planner: Annotated[str, typer.Option(help="What makes the plan.")] = "clauses",
    language: Language = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A plan from `audiostory plan`, perhaps edited."),
    ] = None,
    review: Annotated[
        bool, typer.Option("--review", help="Stop for you after the plan and after the mix.")
    ] = False,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Make a story from an instruction and write it to a file."""
    from api import commands
    from api.new_story import new_story
    from audiostory_core.audio.export import check_destination
    from audiostory_core.story import read_plan

    given = None if plan is None else read_plan(plan)
    if given is None:
        instruction = _read_instruction(instruction)
    elif instruction or duration is not None:
        raise BadInput(
            "plan", str(plan), "brings its own instruction and duration", "Leave the others out."
        )
    wanted = new_story(
        instruction=instruction,
        duration_s=duration,
        language=language,
        seed=seed,
        engine=engine,
        planner=planner,
        review=review,
        plan=given,
    )
    target = output or Path("story.wav")
    check_destination(target)
    share_one_arena()
    raise typer.Exit(asyncio.run(commands.create(wanted, target, as_json=as_json)))


@app.command()
def plan(
    instruction: Instruction,
    duration: Duration = None,
    planner: Annotated[str, typer.Option(help="What makes the plan.")] = "clauses",
    language: Language = None,
    engine: Annotated[str, typer.Option(help="Whose longest clip the plan keeps to.")] = "foley",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .json file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan only: print the sub-events, and write them to a file that `create --plan` accepts."""
    from api import commands
    from api.building import build_engine, build_planner
    from api.settings import read_settings
    from api.terminal import print_json, show_plan
    from audiostory_core.planners.protocol import Brief

    instruction = _read_instruction(instruction)
    settings = read_settings()
    chosen = build_engine(engine)
    longest_s = chosen.capabilities.longest_clip_s - settings.tail_s
    chosen.close()
    brief = Brief(instruction, duration, language, longest_s)
    planned = build_planner(planner).plan(brief)
    if output is not None:
        commands.write_text(output, planned.model_dump_json(indent=2) + "\n")
    if as_json:
        print_json(planned.model_dump(mode="json"))
    else:
        show_plan(planned)


@app.command()
def show(
    story_id: StoryId,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw waveform, scenes, loudness and seams."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a story: its plan, what each scene is heard as, loudness and seams."""
    from api import commands

    asyncio.run(commands.show(story_id, plot, as_json=as_json))


@app.command("list")
def list_stories(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the stories, newest first."""
    from api import commands

    asyncio.run(commands.list_newest(limit, as_json=as_json))


@app.command()
def resume(story_id: StoryId, output: Output = None, as_json: AsJson = False) -> None:
    """Go on with a story that was interrupted, and write it; nothing finished is made again."""
    from api import commands
    from audiostory_core.audio.export import check_destination

    if output is not None:
        check_destination(output)
    share_one_arena()
    raise typer.Exit(asyncio.run(commands.resume(story_id, output, as_json=as_json)))


@app.command()
def approve(story_id: StoryId) -> None:
    """Approve the plan or the mix that a story made with --review waits for."""
    from api import commands

    asyncio.run(commands.approve(story_id))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8321,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Worker processes to supervise.")
    ] = None,
) -> None:
    """Serve the HTTP API, with the workers it needs."""
    from api.serving import serve_forever
    from api.settings import read_settings

    raise typer.Exit(serve_forever(read_settings(), host, port, workers))


@app.command()
def worker(
    supervised: Annotated[
        bool, typer.Option("--supervised", help="Stop when standard input closes.", hidden=True)
    ] = False,
) -> None:
    """Make clips and drive stories until stopped (Ctrl-C or SIGTERM finish what is being done)."""
    from api.working import work_forever

    share_one_arena()
    asyncio.run(work_forever(supervised))


@app.command()
def migrate() -> None:
    """Bring the data folder to this version's schema; other commands do so by themselves."""
    from api.settings import read_settings
    from api.terminal import out
    from storage.database import Database
    from storage.migrating import SCHEMA

    settings = read_settings()
    Database.open(settings.database_file)
    out.print(f"{settings.home} is at schema {SCHEMA}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Tell what is installed, which engines and planners are usable here, and why not."""
    from api.doctor import examine, show_findings
    from api.settings import read_settings
    from api.terminal import print_json

    findings = examine(read_settings())
    if as_json:
        print_json([finding.model_dump() for finding in findings])
    else:
        show_findings(findings)
    if any(finding.is_needed and not finding.is_usable for finding in findings):
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line; every error is one line that says what to do."""
    try:
        sys.exit(app(standalone_mode=False) or 0)  # 130 after Ctrl-C
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        _complain(error.format_message())
        sys.exit(BAD_INPUT)
    except (BadInput, StoreError) as error:
        _complain(str(error))
        sys.exit(BAD_INPUT)
    except StudioError as error:
        _complain(str(error))
        sys.exit(FAILED)
    except BrokenPipeError:  # `audiostory list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _complain(message: str) -> None:
    print(f"audiostory: {message}", file=sys.stderr)


def _read_instruction(given: str) -> str:
    from audiostory_core.story import check_instruction

    if given == "-":
        given = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return check_instruction(given)
