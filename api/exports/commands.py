"""The command that writes a mix or a stem to a file."""

from pathlib import Path
from typing import Annotated

import typer

from api.terminal.options import StoryId, asynchronous
from audiostory_core.stem import Stem

app = typer.Typer()


@app.command()
@asynchronous
async def export(
    story_id: StoryId,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .wav or .flac file.")
    ],
    stem: Annotated[
        Stem | None,
        typer.Option(
            metavar="STEM",
            help="What dialogue, music or effects add to the mix, before the master gain; a .wav.",
        ),
    ] = None,
) -> None:
    """Write the mix of a story as it is now, or one stem of it; nothing is made for it."""
    from api.exports.writing import write_mix, write_stem
    from api.store import opened_store
    from api.terminal import console
    from audiostory_core.audio.export import check_destination

    check_destination(output)
    async with opened_store() as (store, _):
        if stem is None:
            await write_mix(store, story_id, output, is_shown=True)
        else:
            await write_stem(store, story_id, stem, output, is_shown=True)
    console.out.print(str(output), markup=False, soft_wrap=True)
