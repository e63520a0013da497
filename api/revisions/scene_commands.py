"""Commands on the scenes of a story: which there are, in which order, and their layers."""

from typing import Annotated, Any

import typer

from api.revisions.shared_commands import Apply, Scene, applies, edit_story
from api.terminal.options import StoryId, seconds

scenes = typer.Typer(
    help="Insert, delete, move, split and merge scenes; change their layers.", no_args_is_help=True
)
Layer = Annotated[int, typer.Argument(metavar="LAYER", min=1, help="Number of its layer, from 1.")]
Text = Annotated[str | None, typer.Option(help="What is heard, such as: a door creaks.")]
Kind = Annotated[str | None, typer.Option(help="ambience, sfx or music; speech of a line to add.")]
Words = Annotated[str | None, typer.Option(help="What is said.")]
Speaker = Annotated[str | None, typer.Option(help="Who says it, a name of the cast.")]
Manner = Annotated[str | None, typer.Option(help="How it is said, such as: whispering.")]


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
    edit_story(story_id, [edit], apply)


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
    edit_story(story_id, [edit], apply)


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
    edit_story(story_id, [edit], apply)


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
    edit_story(story_id, [edit], apply)


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
    edit_story(story_id, [edit], apply)


@scenes.command("shape")
@applies("keep_total")
def shape_layer(
    story_id: StoryId,
    scene: Scene,
    layer: Layer,
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
    edit_story(story_id, [{"op": "shape", "sub_event": scene, "layer": layer} | chosen], apply)


@scenes.command("swap")
@applies("keep_total")
def swap_scenes(
    story_id: StoryId,
    scene: Scene,
    other: Annotated[int, typer.Argument(metavar="OTHER", min=1, help="The other scene.")],
    *,
    apply: Apply,
) -> None:
    """Let two scenes change places."""
    edit_story(story_id, [{"op": "swap", "sub_event": scene, "other": other}], apply)


@scenes.command("layer")
@applies("keep_total")
def change_layer(
    story_id: StoryId,
    scene: Scene,
    layer: Layer,
    text: Text = None,
    kind: Kind = None,
    words: Words = None,
    speaker: Speaker = None,
    manner: Manner = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take back: speaker or manner.")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Change what a layer is: a sound's text or kind; a line's words, speaker or manner."""
    values = {"text": text, "kind": kind, "words": words, "speaker": speaker, "manner": manner}
    edit = {"op": "layer", "sub_event": scene, "layer": layer, "clear": clear or None} | values
    edit_story(story_id, [_set(edit)], apply)


@scenes.command("add-layer")
@applies("keep_total")
def add_layer(
    story_id: StoryId,
    scene: Scene,
    text: Text = None,
    kind: Kind = None,
    words: Words = None,
    speaker: Speaker = None,
    manner: Manner = None,
    at: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Which layer it becomes (the last).")
    ] = None,
    *,
    apply: Apply,
) -> None:
    """Let a scene have another sound (--text) or spoken line (--words)."""
    layer = {"text": text, "words": words, "speaker": speaker, "manner": manner}
    named = _set({"kind": kind or ("sfx" if words is None else "speech")} | layer)
    edit = {"op": "add_layer", "sub_event": scene, "layer": named, "at": at}
    edit_story(story_id, [_set(edit)], apply)


@scenes.command("remove-layer")
@applies("keep_total")
def remove_layer(story_id: StoryId, scene: Scene, layer: Layer, *, apply: Apply) -> None:
    """Take a layer out of a scene that has others."""
    edit_story(story_id, [{"op": "remove_layer", "sub_event": scene, "layer": layer}], apply)


def _set(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that were given."""
    return {name: value for name, value in values.items() if value is not None}
