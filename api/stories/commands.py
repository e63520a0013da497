"""Commands that make stories and look at them."""

import asyncio
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from api.engines.options import EngineCommand, ParameterCommand, read_parameters
from api.operations.memory import share_one_arena
from api.terminal.options import (
    AsJson,
    Duration,
    FormatName,
    Instruction,
    Language,
    Narrate,
    Output,
    Say,
    Script,
    StoryId,
    Weights,
    read_instruction,
    read_say,
)
from audiostory_core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audiostory_core.story.edits import Edit

app = typer.Typer()
Stems = Annotated[
    Path | None,
    typer.Option(
        "--stems",
        metavar="FOLDER",
        help="Write dialogue.wav, music.wav and effects.wav there, before the master gain.",
    ),
]


@app.command(cls=ParameterCommand)
def create(
    context: typer.Context,
    instruction: Instruction = "",
    duration: Duration = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="The same seed makes the same story.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="What makes the clips; the first by default.")
    ] = None,
    planner: Annotated[str, typer.Option(help="What makes the plan.")] = "clauses",
    weights: Weights = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the engine; repeatable."),
    ] = None,
    language: Language = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A plan from `audiostory plan`, perhaps edited."),
    ] = None,
    script: Script = None,
    format_name: FormatName = None,
    narrate: Narrate = False,
    say: Say = None,
    review: Annotated[
        bool, typer.Option("--review", help="Stop for you after the plan and after the mix.")
    ] = False,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Clips of a higher priority are made sooner.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .wav or .flac file (default: ID.wav)."
        ),
    ] = None,
    print_id: Annotated[
        bool, typer.Option("--print-id", help="Print the story's id and nothing else, for scripts.")
    ] = False,
    dialogue: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="What speaks; the story is made of stems."),
    ] = None,
    music: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="What plays music; the story is made of stems."),
    ] = None,
    effects: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="What makes sounds; the story is made of stems."),
    ] = None,
    stems: Stems = None,
    gains: Annotated[
        list[str] | None,
        typer.Option(
            "--gain",
            metavar="STEM=DB",
            help="How loud a stem is, -60 to 12, such as music=-3; repeatable.",
        ),
    ] = None,
    ducking: Annotated[
        float | None,
        typer.Option(metavar="DB", help="What music and effects lose under speech, 0 to 40."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a story from an instruction or a script and write it to a file."""
    from api.engines.catalog import DEFAULT
    from api.stories.forking import forked, use_one_thread

    engine = engine or DEFAULT
    use_one_thread(engine, planner)
    from api.settings import read_settings
    from api.stories import handlers, planning
    from api.stories.schemas import parse_story
    from api.stories.service import check_usable
    from audiostory_core.audio.export import check_destination
    from audiostory_core.story.plan_files import read_plan
    from audiostory_core.story.rebalancing import remixed

    readings = read_say(say or [])
    written = None if plan is None else read_plan(plan)
    if written is None:
        instruction = read_instruction(instruction, script, format_name, narrate=narrate)
    elif instruction or script is not None or duration is not None:
        raise BadInput(
            "plan", str(plan), "brings its own instruction and duration", "Leave the others out."
        )
    if readings and written is None:
        written = planning.make(
            instruction,
            duration,
            language,
            planner=planner,
            engine=engine,
            say=readings,
            quiet=as_json or print_id,
        )
        instruction, duration, language = "", None, None
    elif readings and written is not None:
        written = written.model_copy(update={"say": written.say | readings})
    by_stem = {"dialogue": dialogue, "music": music, "effects": effects}
    named = {stem: name for stem, name in by_stem.items() if name is not None}
    engines = named if named or stems is not None else None
    edits = _balance(gains or [], ducking, has_stems=engines is not None)
    if written is not None and edits:
        written = written.model_copy(update={"mix": remixed(written.mix, edits)})
        edits = ()
    wanted = parse_story(
        instruction=instruction,
        duration_s=duration,
        language=language,
        seed=seed,
        engine=engine,
        engines=engines,
        planner=planner,
        parameters=read_parameters(context.meta, pairs or []),
        review=review,
        priority=priority,
        plan=written,
    )
    check_destination(output or handlers.unnamed(token_hex(4)))
    check_usable(wanted, read_settings())
    if stems is not None:
        handlers.check_folder(stems)
    share_one_arena()
    with forked(wanted):
        code = asyncio.run(
            handlers.create(
                wanted, output, as_json=as_json, prints_id=print_id, stems=stems, edits=edits
            )
        )
    raise typer.Exit(code)


def _balance(
    pairs: "Sequence[str]", depth_db: float | None, *, has_stems: bool
) -> "tuple[Edit, ...]":
    """Return the edit that sets how loud stems are, as `balance` does; none if nothing is set."""
    from audiostory_core.story.edits import read_edits

    gains: dict[str, str] = {}
    for pair in pairs:
        stem, equals, gain_db = pair.partition("=")
        if not equals or stem in gains:
            problem = "sets it twice" if equals else "is not STEM=DB"
            raise BadInput("gain", pair, problem, "Write, for example, --gain music=-3.")
        gains[stem] = gain_db
    if not gains and depth_db is None:
        return ()
    if not has_stems:
        field, value = ("gain", pairs[0]) if pairs else ("ducking", str(depth_db))
        problem = "is of stems, and every scene is one composite clip"
        raise BadInput(field, value, problem, "Add --stems FOLDER, or --dialogue ENGINE.")
    edit = {"op": "balance", "gain_db": gains, "depth_db": depth_db}
    try:
        return read_edits([edit])
    except BadInput as error:
        is_gain = error.field.startswith("edits.1.gain_db")
        field = "gain" if is_gain else "ducking"
        remedy = "Give dialogue, music or effects -60 to 12 dB." if is_gain else "Give 0 to 40 dB."
        raise BadInput(field, error.value, error.problem, remedy) from None


@app.command(cls=EngineCommand)
def plan(
    instruction: Instruction = "",
    duration: Duration = None,
    planner: Annotated[str, typer.Option(help="What makes the plan.")] = "clauses",
    weights: Weights = None,
    language: Language = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Whose longest clip the plan keeps to; the first by default."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .json file.")
    ] = None,
    script: Script = None,
    format_name: FormatName = None,
    narrate: Narrate = False,
    say: Say = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a plan file, for editors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan only: print the sub-events, and write them to a file that `create --plan` accepts."""
    from api.engines.catalog import DEFAULT
    from api.stories import planning

    if schema:
        if instruction:
            raise BadInput("schema", instruction, "is not planned with --schema", "Leave it out.")
        planning.write_schema(output)
        return
    planning.plan(
        read_instruction(instruction, script, format_name, narrate=narrate),
        duration,
        language,
        planner=planner,
        engine=engine or DEFAULT,
        output=output,
        as_json=as_json,
        say=read_say(say or []),
    )


@app.command()
def read(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A script, a book or subtitles.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="F",
            help="One of fountain, final_draft, stage_play, markdown, srt, webvtt, cue_sheet, epub, "
            "prose, instruction (default: by content and name).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a script is read: its elements in a table, and who speaks how often."""
    from api.stories import manuscripts
    from api.terminal.options import read_format

    manuscripts.show(file, read_format(format_name), as_json=as_json)


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
    from api.stories import handlers

    if plot is not None:
        from audiostory_core.audio.export import check_destination
        from audiostory_core.audio.plot import SUFFIXES

        check_destination(plot, SUFFIXES, "plot")
    asyncio.run(handlers.show(story_id, plot, as_json=as_json))


@app.command("list")
def list_stories(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the stories, newest first."""
    from api.stories import handlers

    asyncio.run(handlers.list_newest(limit, as_json=as_json))


@app.command()
def resume(
    story_id: StoryId,
    output: Output = None,
    weights: Weights = None,
    stems: Stems = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a story that was interrupted, and write it; nothing finished is made again."""
    from api.stories import handlers
    from api.stories.forking import use_one_thread_without_weights

    use_one_thread_without_weights()
    from audiostory_core.audio.export import check_destination

    if output is not None:
        check_destination(output)
    share_one_arena()
    raise typer.Exit(asyncio.run(handlers.resume(story_id, output, as_json=as_json, stems=stems)))


@app.command()
def approve(
    story_id: StoryId, output: Output = None, weights: Weights = None, as_json: AsJson = False
) -> None:
    """Approve the plan or the mix that a story waits with; with -o, go on and write the mix."""
    from api.stories import handlers
    from api.stories.forking import use_one_thread_without_weights

    use_one_thread_without_weights()
    from audiostory_core.audio.export import check_destination

    if output is not None:
        check_destination(output)
        share_one_arena()
    raise typer.Exit(asyncio.run(handlers.approve(story_id, output, as_json=as_json)))


@app.command()
def delete(
    story_id: StoryId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a story for good; its audio goes with the next `gc`. Its branches stay whole."""
    if not yes:
        typer.confirm(f"Delete story {story_id} with all its revisions and takes?", abort=True)
    asyncio.run(_delete(story_id))


async def _delete(story_id: str) -> None:
    from api.store import opened_store
    from api.terminal import console
    from storage import deletion

    async with opened_store() as (store, settings), store.database.write() as session:
        await deletion.delete_story(session, story_id)
    console.out.print(
        f"story {story_id} is deleted; `audiostory gc --delete` frees what only it was heard as, "
        f"once that is {settings.gc_min_age_h:g} h old",
        soft_wrap=True,
    )
