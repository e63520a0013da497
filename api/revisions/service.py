"""What an author asks of a story that is planned: changes, takes, other revisions.

Everything is checked here, against the story as it stands, and made by the story's run: the
answer comes at once, and a worker does what takes time. Light enough for the HTTP process.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from api.revisions.checks import Read, check_remark, check_takes, drafts_of
from api.revisions.wording import Resolve
from api.settings import Settings
from audiostory_core.errors import BadInput
from audiostory_core.story.changes import (
    Change,
    Edits,
    MoreTakes,
    Remark,
)
from audiostory_core.story.editing import Preview, diff, preview
from audiostory_core.story.plan import StoryPlan
from audiostory_core.story.stored import plan_of, scene_from_row
from storage import events, mixes, revisions, runs, stories
from storage.database import Database
from storage.errors import Conflict
from storage.models import (
    ACTIVE,
    FOR_WORKERS,
    Revision,
    Run,
    RunState,
    Story,
    Wait,
)

COPIED = (
    "instruction", "duration_s", "language", "seed", "engine", "engines", "planner", "parameters",
    "tail_s", "priority", "next_ordinal",
)  # fmt: skip # of a story to its branch

REVIEWS = (Wait.PLAN_REVIEW, Wait.MIX_REVIEW)  # a failed clip cannot be approved


async def ask(
    database: Database,
    story_id: str,
    change: Change,
    *,
    accept: bool = False,
    base: int | None = None,
    words: Resolve | None = None,
    settings: Settings | None = None,
) -> Run:
    """Have a change made by the story's run, or by a new one if it has ended.

    Args:
        database: of the store.
        story_id: of the story.
        change: the change.
        accept: do not stop for the author with the new mix.
        base: number of the revision the author was looking at.
        words: tells what edits in plain words do; without it the story's run finds out.
        settings: of this installation; None: as the environment says.

    Raises:
        BadInput: naming the field of the change that cannot be made.
        NotFound: if there is no such story, or no such take.
        Conflict: if the story is not planned yet, or has moved on from `base`.
    """
    async with database.read() as session:
        read = await read_plan(session, story_id)
        _check_base(read, base)
        await check_takes(session, read, change)
    if isinstance(change, Edits):
        await drafts_of(read, change, words, settings)
    if isinstance(change, Remark):
        await check_remark(read, change, words)
    async with database.write() as session:
        story, latest, _ = await stories.load(session, story_id)
        run = await runs.lock(session, latest.id)
        if base is not None:
            _check_pending(run)
        if story.revision_id != read.revision.id:
            raise Conflict("The story has just changed. Look at it again, then ask again.")
        edit = change.model_dump(mode="json", exclude_none=True)
        if run.state not in ACTIVE:
            is_heard = accept or isinstance(change, MoreTakes)
            return await stories.queue_run(
                session, story, review=not is_heard, edits=[edit], approved=[Wait.PLAN_REVIEW]
            )
        if accept:
            run.review = False
        await runs.ask(session, run, [edit])
        return run


async def look_ahead(
    database: Database,
    story_id: str,
    change: Edits,
    words: Resolve | None = None,
    settings: Settings | None = None,
) -> list[Preview]:
    """Say what edits would do to each scene, without asking for them; see `ask`.

    Raises:
        BadInput: naming the field of the edit that cannot be made.
        NotFound: if there is no such story.
        Conflict: if the story is not planned yet.
    """
    async with database.read() as session:
        read = await read_plan(session, story_id)
    return preview(read.plan, await drafts_of(read, change, words, settings), follow=change.follow)


async def reject(
    database: Database,
    story_id: str,
    remark: str,
    base: int | None = None,
    words: Resolve | None = None,
) -> Run:
    """Have a story planned as a remark asks, or planned again with it.

    Raises:
        BadInput: if the remark is empty, or asks for nothing that its planner can do.
        NotFound: if there is no such story.
        Conflict: if the story is not planned yet, or has moved on from `base`.
    """
    if not remark.strip():
        raise BadInput("remark", remark, "is empty", "Say what is wrong with the plan.")
    return await ask(database, story_id, Remark(remark=remark), base=base, words=words)


async def approve(database: Database, story_id: str) -> str | None:
    """Approve what the story waits for; return its name, or None if it waits for nothing.

    Raises:
        NotFound: if there is no such story.
    """
    async with database.write() as session:
        _, run, _ = await stories.load(session, story_id)
        review = run.waits_for
        if run.state != RunState.PARKED or review not in REVIEWS:
            return None
        await runs.approve(session, run, review)
    return review


async def cancel(database: Database, story_id: str) -> Run:
    """Stop what is being done for a story; what is finished stays.

    Raises:
        NotFound: if there is no such story.
        Conflict: if nothing is being done for it.
    """
    async with database.write() as session:
        _, run, _ = await stories.load(session, story_id)
        if run.state not in ACTIVE:
            raise Conflict(f"The story is {run.state}; there is nothing to cancel.")
        await runs.cancel(session, run)
        return run


async def resume(database: Database, story_id: str) -> Run:
    """Go on with a story that failed, was cancelled, or waits with clips that failed.

    Does nothing to one that is being worked on or is finished.

    Raises:
        NotFound: if there is no such story.
    """
    async with database.write() as session:
        story, run, _ = await stories.load(session, story_id)
        if run.state == RunState.CANCELLED:
            return await stories.queue_run(session, story, review=run.review, approved=run.approved)
        await runs.retry(session, run)
        return run


async def undo(database: Database, story_id: str) -> Revision:
    """Go back to the revision before the current one.

    Raises:
        NotFound: if there is no such story.
        Conflict: if there is none before it, or clips are being made.
    """
    async with database.write() as session:
        story, current = await _movable(session, story_id)
        if current.parent_id is None:
            raise Conflict("This is the first revision; there is nothing to undo.")
        parent = await revisions.get(session, current.parent_id)
        redo = [*story.redo, current.id]
        await _go_to(session, story, parent)
        story.redo = redo
        return parent


async def redo(database: Database, story_id: str) -> Revision:
    """Go forward to the revision that was undone last.

    Raises:
        NotFound: if there is no such story.
        Conflict: if nothing was undone, or clips are being made.
    """
    async with database.write() as session:
        story, _ = await _movable(session, story_id)
        if not story.redo:
            raise Conflict("Nothing was undone since the last change.")
        *left, revision_id = story.redo
        revision = await revisions.get(session, revision_id)
        await _go_to(session, story, revision)
        story.redo = left
        return revision


async def switch(database: Database, story_id: str, named: int | str) -> Revision:
    """Make a revision the current one, by number or name.

    Raises:
        NotFound: if there is no such story or revision.
        Conflict: if clips are being made.
    """
    async with database.write() as session:
        story, current = await _movable(session, story_id)
        revision = await revisions.find(session, story_id, named)
        if revision.id != current.id:
            await _go_to(session, story, revision)
            story.redo = []
        return revision


async def name(
    database: Database, story_id: str, named: int | str, new_name: str | None
) -> Revision:
    """Name a revision.

    Raises:
        BadInput: if the name is empty, longer than 100 characters, or looks like a number.
        NotFound: if there is no such story or revision.
        Conflict: if another revision has that name.
    """
    if new_name is not None and (
        not new_name.strip() or len(new_name) > 100 or new_name.strip().isdigit()
    ):
        raise BadInput("name", new_name, "is not a name", "Give 1 to 100 characters, not a number.")
    async with database.write() as session:
        await stories.get(session, story_id)
        revision = await revisions.find(session, story_id, named)
        await revisions.set_name(session, revision, None if new_name is None else new_name.strip())
        return revision


async def branch(
    database: Database, story_id: str, named: int | str | None, owner_key: str | None
) -> Story:
    """Begin a story of its own as a revision of another; nothing is made again for it.

    Raises:
        NotFound: if there is no such story or revision.
        Conflict: if the story is not planned yet.
    """
    async with database.write() as session:
        await stories.lock(session, story_id)
        story, revision = await _read(session, story_id)
        if named is not None:
            revision = await revisions.find(session, story_id, named)
        values = {field: getattr(story, field) for field in COPIED}
        begun = await stories.add_without_run(
            session,
            **values,
            owner_key=owner_key,
            review=story.review,
            branched_from=revision.id,
        )
        first = await revisions.copy(session, begun, revision)
        mix = await revisions.find_mix(session, revision.id)
        if mix is not None:
            await mixes.copy(session, mix, first)
        is_accepted = mix is not None and mix.is_accepted
        await stories.queue_run(session, begun, review=not is_accepted, approved=[Wait.PLAN_REVIEW])
        return begun


async def difference(database: Database, story_id: str, before: int | str, after: int | str) -> str:
    """Tell in words how two revisions of a story differ.

    Raises:
        NotFound: if there is no such story or revision.
    """
    async with database.read() as session:
        story = await stories.get(session, story_id)
        sides = []
        for named in (before, after):
            revision = await revisions.find(session, story_id, named)
            lineage = await revisions.list_lineage(session, revision.scenes)
            sides.append((await _plan(session, story, revision), lineage))
    (old, old_lineage), (new, new_lineage) = sides
    return diff(old, new, old_lineage, new_lineage)


async def read_plan(session: AsyncSession, story_id: str) -> Read:
    """Read a story with its current revision.

    Raises:
        NotFound: if there is no such story.
        Conflict: if it is not planned yet.
    """
    story, run, revision = await stories.load(session, story_id)
    if revision is None:
        raise Conflict("The story is not planned yet. Follow its events, then ask again.")
    engines = tuple(await revisions.list_engines(session, revision.scenes))
    return Read(story, run, revision, await _plan(session, story, revision), engines)


async def _plan(session: AsyncSession, story: Story, revision: Revision) -> StoryPlan:
    scenes = await revisions.list_wordings(session, revision.scenes)
    return plan_of(story, revision, [scene_from_row(scene) for scene in scenes])


async def _read(session: AsyncSession, story_id: str) -> tuple[Story, Revision]:
    story, _, revision = await stories.load(session, story_id)
    if revision is None:
        raise Conflict("The story is not planned yet. Follow its events, then ask again.")
    return story, revision


def _check_base(read: Read, base: int | None) -> None:
    if base is not None and base != read.revision.number:
        raise Conflict(
            f"The story is at revision {read.revision.number}, not {base} any more. "
            "Look at it again, then ask again."
        )
    if base is not None:
        _check_pending(read.run)


def _check_pending(run: Run) -> None:
    """Refuse a change of a revision that is about to give way to another."""
    changes = [change for change in run.pending_changes if change["kind"] != "takes"]
    if run.state in ACTIVE and changes:
        raise Conflict(
            "A change of the story is pending, and its revision will be another. "
            "Wait until it is made, look at it again, then ask again."
        )


async def _movable(session: AsyncSession, story_id: str) -> tuple[Story, Revision]:
    """Return a story that may move to another revision, and where it is.

    Raises:
        NotFound: if there is no such story.
        Conflict: if it is not planned yet, or is being worked on.
    """
    story, revision = await _read(session, story_id)
    _, latest, _ = await stories.load(session, story_id)
    run = await runs.lock(session, latest.id)
    is_busy = (
        run.state == RunState.RUNNING or run.waits_for in FOR_WORKERS or bool(run.pending_changes)
    )
    if is_busy and run.state in ACTIVE:
        raise Conflict("The story is being worked on. Wait until it is done, or cancel it first.")
    return story, revision


async def _go_to(session: AsyncSession, story: Story, revision: Revision) -> None:
    run = await stories.find_latest_run(session, story.id)
    if run is not None:
        runs.forget_refusal(run)
    active = run if run is not None and run.state in ACTIVE else None
    await revisions.move_to(session, story, active, revision)
    await events.append(session, story.id, "revision.current", revision=revision.number)
    mix = await revisions.find_mix(session, revision.id)
    if active is not None:
        await runs.wake(session, active)
    elif mix is None or not mix.is_accepted:
        await stories.queue_run(session, story, review=True, approved=[Wait.PLAN_REVIEW])


def describe(lines: Sequence[Preview]) -> str:
    """Say in a line what a preview amounts to."""
    remade = sum(line.is_remade for line in lines)
    gone = sum(line.number is None for line in lines)
    kept = len(lines) - remade - gone
    return f"{remade} made again, {kept} kept" + (f", {gone} deleted" if gone else "")
