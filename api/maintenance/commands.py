"""Commands that keep a store in order: sweep it, delete from it, verify it, back it up."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.terminal.options import AsJson, StoryId

FAILED = 1

app = typer.Typer()


@app.command()
def gc(
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what is found, not only list it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the clips and files that nobody can hear any more, and with --delete remove them.

    What is younger than AUDIOSTORY_GC_MIN_AGE_H hours (24) stays, and so does every take.
    """
    from api.maintenance import handlers

    asyncio.run(handlers.collect(delete=delete, as_json=as_json))


@app.command()
def delete(
    story_id: StoryId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a story for good; its audio goes with the next `gc`. Its branches stay whole."""
    from api.maintenance import handlers

    if not yes:
        typer.confirm(f"Delete story {story_id} with all its revisions and takes?", abort=True)
    asyncio.run(handlers.delete(story_id))


@app.command()
def verify(
    story_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A story; without it, everything.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Have damaged clips made again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every audio file again and compare it with its hash; exit code 1 if one is damaged."""
    from api.maintenance import handlers

    if asyncio.run(handlers.verify(story_id, should_repair=repair, as_json=as_json)):
        raise typer.Exit(FAILED)


@app.command()
def backup(
    story_id: StoryId,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .audiostory file; ID.audiostory."),
    ] = None,
) -> None:
    """Write a story with every revision, take and clip to one file, for `restore`."""
    from api.maintenance import handlers

    asyncio.run(handlers.back_up(story_id, output or Path(f"{story_id}.audiostory")))


@app.command()
def restore(
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Put a story back from its backup, here or elsewhere; nothing is made again.

    Its id is the old one unless that is taken. Restore only what you trust: its clips are taken
    for what their recipes make.
    """
    from api.maintenance import handlers

    asyncio.run(handlers.restore(bundle, as_json=as_json))
