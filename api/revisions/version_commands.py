"""Commands on the versions that a story had."""

import asyncio
from functools import partial
from typing import Annotated

import typer

from api.terminal.options import AsJson, StoryId

app = typer.Typer()
Revision = Annotated[str, typer.Argument(metavar="REVISION", help="Number or name; see history.")]


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
