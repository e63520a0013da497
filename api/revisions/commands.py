"""Commands that revise a story: scenes, takes, review, and the versions it had."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from api.engines.options import EngineCommand
from api.operations.memory import share_one_arena
from api.terminal.options import AsJson, Output, StoryId, seconds
from audiostory_core.errors import BadInput

app = typer.Typer()
scenes = typer.Typer(help="Insert, delete, move, split and merge scenes.", no_args_is_help=True)
app.add_typer(scenes, name="scene")

Scene = Annotated[int, typer.Argument(metavar="SCENE", min=1, help="Number of the scene, from 1.")]
Revision = Annotated[str, typer.Argument(metavar="REVISION", help="Number or name; see history.")]
KeepTotal = Annotated[
    bool, typer.Option("--keep-total", help="Keep the story's length; other scenes give or take.")
]
Follow = Annotated[
    bool, typer.Option("--follow", help="Condition again, and so make again, what follows.")
]
Accept = Annotated[
    bool, typer.Option("--accept", help="Do not wait for `approve`: the new mix is accepted.")
]
Preview = Annotated[
    bool, typer.Option("--preview", help="Only say which clips would be made again, and why.")
]


@dataclass(frozen=True)
class Apply:
    """How edits are applied, and what becomes of the mix: options that several commands share."""

    keep_total: KeepTotal = False
    follow: Follow = False
    accept: Accept = False
    preview: Preview = False
    output: Output = None
    as_json: AsJson = False


def applies(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `Apply`, in place of its parameter `apply`.

    Args:
        without: options that mean nothing to it.
    """
    hints = get_type_hints(Apply, include_extras=True)
    options = [
        Parameter(
            field.name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(Apply)
        if field.name not in without
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            chosen = {option.name: values.pop(option.name) for option in options}
            command(**values, apply=Apply(**chosen))

        own = [each for each in signature(command).parameters.values() if each.name != "apply"]
        parameters = [*own, *options]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        vars(run)["__signature__"] = Signature(parameters)
        return run

    return decorate


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
    _edit(story_id, [edit], apply)


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
    _edit(story_id, read, apply)


@scenes.command("insert")
@applies()
def insert_scene(
    story_id: StoryId,
    at: Annotated[int, typer.Argument(metavar="AT", min=1, help="Which number it becomes.")],
    caption: Annotated[str, typer.Argument(help="What is heard.")],
    duration: Annotated[float, typer.Option(metavar="S", parser=float, help="Seconds.")],
    *,
    apply: Apply,
) -> None:
    """Put in a new scene."""
    edit = {"op": "insert", "at": at, "caption": caption, "duration_s": duration}
    _edit(story_id, [edit], apply)


@scenes.command("shape")
@applies("keep_total")
def shape_layer(
    story_id: StoryId,
    scene: Scene,
    layer: Annotated[
        int, typer.Argument(metavar="LAYER", min=1, help="Number of its layer, from 1.")
    ],
    gain: Annotated[float | None, typer.Option(metavar="DB", help="-60 to 12.")] = None,
    pan: Annotated[float | None, typer.Option(help="-1 left, 0 middle, 1 right.")] = None,
    distance: Annotated[float | None, typer.Option(help="0 near to 1 far.")] = None,
    start: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds from the start of the scene.")
    ] = None,
    fade_in: Annotated[float | None, typer.Option(metavar="S", help="Seconds.")] = None,
    fade_out: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds, to its end or its last scene's.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many times it happens.")] = None,
    pace: Annotated[
        str | None, typer.Option(help="very slow, slow, normal, fast or very fast.")
    ] = None,
    spanned: Annotated[
        int | None, typer.Option("--scenes", help="How many scenes it is heard in.")
    ] = None,
    pause: Annotated[
        float | None, typer.Option(metavar="S", help="Silence before a spoken line.")
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take back, such as gain_db.")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Shape one layer of a scene: how loud, where, when, how often."""
    values = {
        "gain_db": gain, "pan": pan, "distance": distance, "start_s": start, "fade_in_s": fade_in,
        "fade_out_s": fade_out, "count": count, "pace": pace, "scenes": spanned,
        "pause_before_s": pause, "clear": clear or None,
    }  # fmt: skip
    chosen = {name: value for name, value in values.items() if value is not None}
    _edit(story_id, [{"op": "shape", "sub_event": scene, "layer": layer} | chosen], apply)


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
    _edit(story_id, [edit | chosen], apply)


@scenes.command("delete")
@applies()
def delete_scene(
    story_id: StoryId,
    scene: Scene,
    *,
    apply: Apply,
) -> None:
    """Take a scene out; `undo` brings it back."""
    edit = {"op": "delete", "sub_event": scene}
    _edit(story_id, [edit], apply)


@scenes.command("move")
@applies("keep_total")
def move_scene(
    story_id: StoryId,
    scene: Scene,
    to: Annotated[int, typer.Argument(metavar="TO", min=1, help="Which number it becomes.")],
    *,
    apply: Apply,
) -> None:
    """Hear a scene earlier or later."""
    edit = {"op": "move", "sub_event": scene, "to": to}
    _edit(story_id, [edit], apply)


@scenes.command("split")
@applies("keep_total", "follow")
def split_scene(
    story_id: StoryId,
    scene: Scene,
    at: Annotated[
        float, typer.Argument(metavar="S", parser=seconds, help="Seconds from its start.")
    ],
    *,
    apply: Apply,
) -> None:
    """Make two scenes of one."""
    edit = {"op": "split", "sub_event": scene, "at_s": at}
    _edit(story_id, [edit], apply)


@scenes.command("merge")
@applies("keep_total", "follow")
def merge_scenes(
    story_id: StoryId,
    scene: Scene,
    *,
    apply: Apply,
) -> None:
    """Make one scene of this and the one after it."""
    edit = {"op": "merge", "sub_event": scene}
    _edit(story_id, [edit], apply)


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
    _change(story_id, ChooseTake(sub_event=scene, take=take), apply)


@app.command()
def reject(
    story_id: StoryId,
    remark: Annotated[str, typer.Argument(help="What is wrong with the plan.")],
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Have a story planned again; the remark tells the planner why."""
    from audiostory_core.story.changes import Remark

    if not remark.strip():
        raise BadInput("remark", remark, "is empty", "Say what is wrong with the plan.")
    _change(story_id, Remark(remark=remark), Apply(output=output, as_json=as_json))


@app.command()
def cancel(story_id: StoryId) -> None:
    """Stop what is being done for a story, whoever does it; finished clips stay."""
    from api.revisions import handlers

    asyncio.run(handlers.cancel(story_id))


@app.command()
def undo(story_id: StoryId, as_json: AsJson = False) -> None:
    """Go back to the revision before the current one."""
    from api.revisions import handlers, service

    moved = partial(service.undo, story_id=story_id)
    asyncio.run(handlers.move(story_id, moved, as_json=as_json))


@app.command()
def redo(story_id: StoryId, as_json: AsJson = False) -> None:
    """Go forward to the revision that was undone last."""
    from api.revisions import handlers, service

    moved = partial(service.redo, story_id=story_id)
    asyncio.run(handlers.move(story_id, moved, as_json=as_json))


@app.command()
def switch(story_id: StoryId, revision: Revision, as_json: AsJson = False) -> None:
    """Make any revision the current one."""
    from api.revisions import handlers, service

    moved = partial(service.switch, story_id=story_id, named=revision)
    asyncio.run(handlers.move(story_id, moved, as_json=as_json))


@app.command()
def name(
    story_id: StoryId,
    revision: Revision,
    new_name: Annotated[str, typer.Argument(metavar="NAME", help="An empty one removes the name.")],
    as_json: AsJson = False,
) -> None:
    """Give a revision a name that other commands accept."""
    from api.revisions import handlers, service

    moved = partial(service.name, story_id=story_id, named=revision, new_name=new_name or None)
    asyncio.run(handlers.move(story_id, moved, as_json=as_json))


@app.command()
def history(
    story_id: StoryId,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 30,
    as_json: AsJson = False,
) -> None:
    """List the revisions of a story with what each changed."""
    from api.revisions import handlers

    asyncio.run(handlers.history(story_id, limit, as_json=as_json))


@app.command()
def diff(story_id: StoryId, before: Revision, after: Revision) -> None:
    """Tell in words how two revisions differ."""
    from api.revisions import handlers

    asyncio.run(handlers.difference(story_id, before, after))


@app.command()
def branch(
    story_id: StoryId,
    revision: Annotated[
        str | None, typer.Argument(metavar="REVISION", help="Default: the current one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Begin a story of its own as a revision of this one; nothing is made again for it."""
    from api.revisions import handlers

    asyncio.run(handlers.branch(story_id, revision, as_json=as_json))


def _edit(story_id: str, edits: list[dict[str, Any]], apply: Apply) -> None:
    from api.revisions import handlers
    from audiostory_core.story.changes import MAX_EDITS, Edits
    from audiostory_core.story.editing import Total
    from audiostory_core.story.edits import read_edits

    if not 1 <= len(edits) <= MAX_EDITS:
        raise BadInput("edits", len(edits), "is not a number of edits", f"Give 1 to {MAX_EDITS}.")
    total = Total.KEEP if apply.keep_total else Total.MOVE
    change = Edits(edits=read_edits(edits), total=total, follow=apply.follow)
    if apply.preview:
        previewing = handlers.preview(story_id, change, as_json=apply.as_json)
        raise typer.Exit(asyncio.run(previewing))
    _change(story_id, change, apply)


def _change(story_id: str, change: Any, apply: Apply) -> None:
    from api.revisions import handlers
    from api.stories.forking import use_one_thread_without_weights

    use_one_thread_without_weights()
    from audiostory_core.audio.export import check_destination

    if apply.output is not None:
        check_destination(apply.output)
    share_one_arena()
    changing = handlers.change(
        story_id, change, apply.output, accept=apply.accept, as_json=apply.as_json
    )
    raise typer.Exit(asyncio.run(changing))


def _read_json(named: str) -> Any:
    from audiostory_core.json_text import NotJson, parse

    remedy = "Give a JSON list of edits, as docs/authoring.md shows."
    try:
        text = sys.stdin.read() if named == "-" else Path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "cannot be read"
        raise BadInput("edits", named, problem.lower(), remedy) from error
    try:
        return parse(text)
    except NotJson as error:
        raise BadInput("edits", named, str(error), remedy) from error
