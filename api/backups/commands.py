"""Commands that write a story to a file and read it back."""

import re
from pathlib import Path
from typing import Annotated

import typer

from api.terminal.options import AsJson, StoryId, asynchronous
from audiostory_core.errors import BadInput

STORY_ID = re.compile(r"[0-9a-z]{1,40}", re.ASCII)

app = typer.Typer()


@app.command()
@asynchronous
async def backup(
    story_id: StoryId,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .audiostory file (default: ID.audiostory)."
        ),
    ] = None,
) -> None:
    """Write a story with every revision, take and clip to one file, for `restore`."""
    from api.backups import bundles
    from api.store import opened_store
    from api.terminal import console

    if not STORY_ID.fullmatch(story_id):  # before it names a file
        raise BadInput("story", story_id, "is no story's id", "See `audiostory list`.")
    destination = output or Path(f"{story_id}.audiostory")
    async with opened_store() as (store, _):
        length = await bundles.back_up(store, story_id, destination)
    console.out.print(f"{destination}: {length / 1e6:.1f} MB", markup=False, soft_wrap=True)


@app.command()
@asynchronous
async def restore(
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Restore a story from its backup, here or elsewhere; nothing is made again.

    It keeps its id unless that is taken. Restore only what you trust: its clips are trusted to be
    what their recipes make.
    """
    from api.backups import restoration
    from api.store import opened_store
    from api.terminal import console

    async with opened_store() as (store, _):
        restored = await restoration.restore(store, bundle)
    if as_json:
        console.print_json(
            {"story": restored.story_id, "was": restored.was, "files": restored.files}
        )
        return
    renamed = f", which was {restored.was}" if restored.was != restored.story_id else ""
    console.out.print(f"story {restored.story_id}{renamed}: {restored.files} audio files")
