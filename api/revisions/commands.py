"""Commands that revise a story: its scenes, takes and review."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.engines.options import EngineCommand
from api.operations.memory import share_one_arena
from api.revisions import scene_commands, version_commands
from api.revisions.shared_commands import Accept, Apply, Scene, applies, change_story, edit_story
from api.terminal.options import AsJson, Output, StoryId
from audiostory_core.errors import BadInput

app = typer.Typer()
app.add_typer(scene_commands.scenes, name="scene")
app.add_typer(version_commands.app)


@app.command(cls=EngineCommand)
@applies()
def revise(
    story_id: StoryId,
    scene: Scene,
    change: Annotated[
        str | None, typer.Option(help="Plain words, such as “make the siren more distant”.")
    ] = None,
    caption: Annotated[str | None, typer.Option(help="A new caption: what is heard.")] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", parser=float, help="Seconds of the scene.")
    ] = None,
    tone: Annotated[str | None, typer.Option(help="Such as tense or calm.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1)] = None,
    engine: Annotated[str | None, typer.Option(help="What makes this scene's clip.")] = None,
    *,
    apply: Apply,
) -> None:
    """Change one scene: its clip and its two seams are made again, nothing else."""
    options = {
        "change": change,
        "caption": caption,
        "duration_s": duration,
        "tone": tone,
        "seed": seed,
        "engine": engine,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    if not chosen:
        raise BadInput("scene", scene, "is to stay as it is", "Give --change, --caption or other.")
    edit = {"op": "reword", "sub_event": scene} | chosen
    edit_story(story_id, [edit], apply)


@app.command()
@applies()
def edit(
    story_id: StoryId,
    edits: Annotated[str, typer.Argument(metavar="FILE", help="JSON list of edits; - reads it.")],
    *,
    apply: Apply,
) -> None:
    """Make several changes at once, from a JSON file such as docs/authoring.md shows."""
    read = _read_json(edits)
    if not isinstance(read, list):
        raise BadInput("edits", edits, "is not a JSON list", "See docs/authoring.md.")
    edit_story(story_id, read, apply)


@app.command()
@applies("keep_total", "follow")
def balance(
    story_id: StoryId,
    scene: Annotated[
        int | None, typer.Option(min=1, help="Only in this scene (default: the whole story).")
    ] = None,
    dialogue: Annotated[float | None, typer.Option(metavar="DB", help="-60 to 12.")] = None,
    music: Annotated[float | None, typer.Option(metavar="DB", help="-60 to 12.")] = None,
    effects: Annotated[float | None, typer.Option(metavar="DB", help="-60 to 12.")] = None,
    ducking: Annotated[
        float | None,
        typer.Option(metavar="DB", help="What music and effects lose under speech, 0 to 40."),
    ] = None,
    attack: Annotated[
        float | None, typer.Option(metavar="S", help="How long they fade down before a word.")
    ] = None,
    release: Annotated[
        float | None, typer.Option(metavar="S", help="How long they take to come back.")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Set how loud the stems of a story are; no clip is made again."""
    gains = {"dialogue": dialogue, "music": music, "effects": effects}
    values = {"sub_event": scene, "depth_db": ducking, "attack_s": attack, "release_s": release}
    edit = {
        "op": "balance",
        "gain_db": {stem: gain_db for stem, gain_db in gains.items() if gain_db is not None},
    }
    chosen = {name: value for name, value in values.items() if value is not None}
    edit_story(story_id, [edit | chosen], apply)


@app.command()
@applies("keep_total")
def shape(
    story_id: StoryId,
    kind: Annotated[
        str | None, typer.Option(help="Only ambience, sfx, music or speech (default: all).")
    ] = None,
    gain: Annotated[float | None, typer.Option(metavar="DB", help="-60 to 12.")] = None,
    pan: Annotated[float | None, typer.Option(help="-1 left, 0 middle, 1 right.")] = None,
    distance: Annotated[float | None, typer.Option(help="0 near to 1 far.")] = None,
    fade_in: Annotated[float | None, typer.Option(metavar="S", help="Seconds.")] = None,
    fade_out: Annotated[float | None, typer.Option(metavar="S", help="Seconds.")] = None,
    pace: Annotated[
        str | None, typer.Option(help="very slow, slow, normal, fast or very fast.")
    ] = None,
    pause: Annotated[
        float | None, typer.Option(metavar="S", help="Silence before spoken lines.")
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take back, such as gain_db.")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Shape all layers of a story, or all of one kind; `scene shape` is of one layer."""
    values = {
        "kind": kind, "gain_db": gain, "pan": pan, "distance": distance, "fade_in_s": fade_in,
        "fade_out_s": fade_out, "pace": pace, "pause_before_s": pause, "clear": clear or None,
    }  # fmt: skip
    chosen = {name: value for name, value in values.items() if value is not None}
    edit_story(story_id, [{"op": "shape_all"} | chosen], apply)


@app.command()
@applies("keep_total")
def voice(
    story_id: StoryId,
    speaker: Annotated[str, typer.Argument(metavar="SPEAKER", help="A name of the cast.")],
    description: Annotated[str, typer.Argument(help="Such as: a tired old woman.")],
    scene: Annotated[
        int | None, typer.Option(min=1, help="Only in this scene (default: the whole story).")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Describe the voice of a speaker; the scenes in which they speak are made again."""
    edit: dict[str, Any] = {"op": "voice", "speaker": speaker, "description": description}
    if scene is not None:
        edit |= {"sub_event": scene}
    edit_story(story_id, [edit], apply)


@app.command()
@applies("keep_total")
def language(
    story_id: StoryId,
    code: Annotated[str, typer.Argument(metavar="CODE", help="Such as en, es, fr, de, zh, ja.")],
    *,
    apply: Apply,
) -> None:
    """Let a story be read in another language; its words are not translated."""
    edit_story(story_id, [{"op": "language", "language": code}], apply)


@app.command()
def takes(
    story_id: StoryId,
    scene: Scene,
    more: Annotated[
        int | None, typer.Option(min=1, max=16, help="Make so many more, with other seeds.")
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option(help="Of which stem to make more, where the scene has several."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Write them as WAV, one as loud as another."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every clip a scene ever had, with its recipe; or make more, or write them to compare."""
    from api.revisions import handlers
    from api.stories.forking import use_one_thread_without_weights
    from api.stories.handlers import BAD_INPUT
    from audiostory_core.story.changes import MoreTakes, read_stem

    use_one_thread_without_weights()

    async def run() -> int:
        code = 0
        if more is not None:
            code = await handlers.change(
                story_id,
                MoreTakes(sub_event=scene, count=more, stem=read_stem(stem)),
                None,
                accept=False,
                as_json=as_json,
                is_reported=False,
            )
        if code == BAD_INPUT:
            return code
        await handlers.list_takes(story_id, scene, folder, as_json=as_json)
        return code

    share_one_arena()
    raise typer.Exit(asyncio.run(run()))


@app.command()
def choose(
    story_id: StoryId,
    scene: Scene,
    take: Annotated[int, typer.Argument(metavar="TAKE", min=1, max=1_000_000, help="See takes.")],
    accept: Accept = False,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Hear a scene as one of its takes."""
    from audiostory_core.story.changes import ChooseTake

    apply = Apply(accept=accept, output=output, as_json=as_json)
    change_story(story_id, ChooseTake(sub_event=scene, take=take), apply)


@app.command()
def reject(
    story_id: StoryId,
    remark: Annotated[str, typer.Argument(help="What is wrong with the plan.")],
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Change a plan as the remark asks, or have it planned again with it."""
    from audiostory_core.story.changes import Remark

    if not remark.strip():
        raise BadInput("remark", remark, "is empty", "Say what is wrong with the plan.")
    change_story(story_id, Remark(remark=remark), Apply(output=output, as_json=as_json))


@app.command()
def cancel(story_id: StoryId) -> None:
    """Stop what is being done for a story, whoever does it; finished clips stay."""
    from api.revisions import handlers

    asyncio.run(handlers.cancel(story_id))


def _read_json(named: str) -> Any:
    from audiostory_core.author_files import check_regular
    from audiostory_core.json_text import NotJson, parse

    remedy = "Give a JSON list of edits, as docs/authoring.md shows."
    try:
        if named == "-":
            text = sys.stdin.read()
        else:
            check_regular(Path(named), "edits", remedy)
            text = Path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "cannot be read"
        raise BadInput("edits", named, problem.lower(), remedy) from error
    try:
        return parse(text)
    except NotJson as error:
        raise BadInput("edits", named, str(error), remedy) from error
