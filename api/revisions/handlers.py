"""What the commands that revise a story do once their input is known to be good."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.revisions import service, tables
from api.revisions.queries import view_revisions, view_takes
from api.revisions.wording import Question
from api.store import OpenStore, opened_store
from api.stories import handlers as story_handlers
from api.stories.handlers import DONE
from api.stories.queries import view_story
from api.stories.schemas import StoryStatus
from api.terminal import console
from audiostory_core.errors import BadInput
from audiostory_core.story.changes import Change, Edits
from audiostory_core.story.editing import Draft, Preview
from audiostory_core.story.plan import seconds_of
from storage import clips, stories
from storage.audio_files import AudioFiles
from storage.database import Database
from storage.models import Revision

Moved = Callable[[Database], Awaitable[Revision]]


async def change(
    story_id: str,
    change: Change,
    target: Path | None,
    *,
    accept: bool,
    as_json: bool,
    is_reported: bool = True,
) -> int:
    """Ask for a change, make it, and write the mix if a file is named; return the exit code.

    Args:
        story_id: of the story.
        change: the change.
        target: a file for the mix, accepted or not; None writes none.
        accept: do not wait for the author's approval.
        as_json: print JSON.
        is_reported: print the story as it then is.
    """
    async with opened_store() as (store, settings):
        async with store.database.read() as session:
            story, _, _ = await stories.load(session, story_id)
        await service.ask(
            store.database,
            story_id,
            change,
            accept=accept,
            words=_resolve,
            settings=settings,
        )
        return await story_handlers.make_and_write(
            store,
            settings,
            story_id,
            target,
            as_json=as_json,
            is_reported=is_reported,
            since_event=story.next_event - 1,
        )


async def preview(story_id: str, change: Edits, *, as_json: bool) -> int:
    """Print what edits would do; return the exit code."""
    async with opened_store() as (store, settings):
        lines = await service.look_ahead(store.database, story_id, change, _resolve, settings)
    if as_json:
        console.print_json([_as_json(line) for line in lines])
    else:
        tables.show_preview(lines)
        console.out.print(service.describe(lines))
    return DONE


async def list_takes(story_id: str, scene: int, folder: Path | None, *, as_json: bool) -> None:
    """Print the takes of a scene, and write them as WAV files if a folder is named, each as loud as the others.

    Raises:
        BadInput: if the folder or a file in it cannot be written.
    """
    async with opened_store() as (store, _):
        async with store.database.read() as session:
            _, listed = await view_takes(session, story_id, scene)
            made = await clips.list_by_key(session, [take.clip for take in listed])
        if folder is not None:
            _make_folder(folder)
            for take in listed:
                file = made[take.clip].file
                if file is not None:
                    path = folder / f"scene-{scene}-take-{take.take}.wav"
                    _write_take(store.audio, file, take.matched_gain_db, path)
    if as_json:
        console.print_json([take.model_dump(mode="json") for take in listed])
    else:
        tables.show_takes(listed)


async def move(story_id: str, moved: Moved, *, as_json: bool) -> None:
    """Make another revision the current one and tell which."""
    async with opened_store() as (store, _):
        revision = await moved(store.database)
        await _tell_revision(store, story_id, revision, as_json=as_json)


async def history(story_id: str, limit: int, *, as_json: bool) -> None:
    """Print the revisions of a story, newest first."""
    async with opened_store() as (store, _), store.database.read() as session:
        listed = await view_revisions(session, story_id, limit)
    if as_json:
        console.print_json([revision.model_dump(mode="json") for revision in listed])
    else:
        tables.show_history(listed)


async def difference(story_id: str, before: str, after: str) -> None:
    """Print how two revisions differ."""
    async with opened_store() as (store, _):
        text = await service.difference(store.database, story_id, before, after)
    console.out.print(text, markup=False, soft_wrap=True)


async def branch(story_id: str, named: str | None, *, as_json: bool) -> None:
    """Begin a story as a revision of another and print its id."""
    async with opened_store() as (store, _):
        begun = await service.branch(store.database, story_id, named, owner_key=None)
        async with store.database.read() as session:
            view = view_story(*await stories.load(session, begun.id))
    if as_json:
        console.print_json(view.model_dump(mode="json"))
    else:
        console.out.print(f"story {begun.id}; go on with: audiostory resume {begun.id}")


async def cancel(story_id: str) -> None:
    """Stop what is being done for a story."""
    async with opened_store() as (store, _):
        await service.cancel(store.database, story_id)
    console.out.print(f"cancelled; go on with: audiostory resume {story_id}")


async def _resolve(question: Question) -> list[Draft]:
    """Resolve edits in this process, which may load a planner."""
    from api.revisions.wording_process import look_ahead  # noqa: PLC0415 - loads what foley hears in words
    from audiostory_core.planners.clauses.planner import Clauses  # noqa: PLC0415 - it too

    return await asyncio.to_thread(lambda: look_ahead(Clauses(), question))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise BadInput("output", str(folder), problem, "Name a folder you may write.") from error


def _write_take(audio: AudioFiles, file: str, gain_db: float, path: Path) -> None:
    from audiostory_core.audio.export import export  # noqa: PLC0415 - numpy takes a moment
    from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment  # noqa: PLC0415

    clip, mastering = MixSegment.whole(audio.path(file)), MasterGain(gain_db, limiting=False)
    with Mixdown([clip], mastering, audio.is_intact) as take:
        export(take, path)


async def _tell_revision(
    store: OpenStore, story_id: str, revision: Revision, *, as_json: bool
) -> None:
    async with store.database.read() as session:
        view = view_story(*await stories.load(session, story_id))
    if as_json:
        console.print_json(view.model_dump(mode="json"))
        return
    named = f" “{revision.name}”" if revision.name else ""
    length = f"{console.counted(len(revision.scenes), 'scene')}, {seconds_of(revision.samples):g} s"
    line = f"revision {revision.number}{named}: {revision.summary} ({length})"
    console.out.print(line, markup=False)
    if view.status == StoryStatus.IN_REVIEW:
        console.show_review(view)
    elif view.status != StoryStatus.FINISHED:
        console.out.print(f"go on with: audiostory resume {story_id}", markup=False)


def _as_json(line: Preview) -> dict[str, object]:
    return {
        "number": line.number,
        "was": line.was,
        "sub_event": line.event.model_dump(mode="json"),
        "is_made_again": line.is_remade,
        "reason": line.reason,
    }
