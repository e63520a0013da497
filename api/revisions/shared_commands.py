"""Options that commands which revise a story share, and what they do with them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from api.operations.memory import share_one_arena
from api.terminal.options import AsJson, Output
from audiostory_core.errors import BadInput

Scene = Annotated[int, typer.Argument(metavar="SCENE", min=1, help="Number of the scene, from 1.")]
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


def edit_story(story_id: str, edits: list[dict[str, Any]], apply: Apply) -> None:
    """Check edits, then preview or make them."""
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
    change_story(story_id, change, apply)


def change_story(story_id: str, change: Any, apply: Apply) -> None:
    """Make a change and write the mix if a file is named."""
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
