"""Exports: files of mixes that were requested for stories, made through the queue of work.py.

Equal requests are one piece of work and one file, of whichever stories. The row of a story is
what wants the work; rows are locked in the order work, export, story.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import stories, wants, work
from storage.announcements import tell_of_export
from storage.errors import NotFound
from storage.models import (
    AT_REST,
    IS_OPEN_WORK,
    Export,
    Work,
    WorkKind,
    WorkState,
    now_s,
)
from storage.upsert import in_parts, insert_new
from storage.wants import EXPORTED, Wanted

NOTED_S = 600.0  # before the use of an export is noted again


async def want(
    session: AsyncSession, story_id: str, wanted: Wanted, *, revision: int, stem: str | None
) -> tuple[Export, Work]:
    """Request an export for a story, and queue it unless it is made; what had failed is tried again.

    Stories take turns, as with other work: a story's next export comes after its last one that
    waits, but not before those of others that have come to their turn; see `wants.want_all`.

    Args:
        session: a writing session.
        story_id: of the story.
        wanted: the work; what it needs is the format.
        revision: number of the one whose mix it is.
        stem: which one it is; None: the mix.

    Raises:
        NotFound: if there is no such story.
    """
    story = await stories.get(session, story_id)
    queued = await _insert_locked(session, wanted, story_id, story.priority)
    await stories.lock(session, story_id)
    made = await _find_made(session, wanted.key)
    is_new = await insert_new(
        session,
        Export,
        story_id=story_id,
        key=wanted.key,
        revision=revision,
        format=wanted.needs,
        stem=stem,
        file=made and made.file,
        bytes=made and made.bytes,
        finished_at=made and made.finished_at,
    )
    if not is_new:
        await _note(session, story_id, wanted.key, revision=revision)
    is_lost = queued.state == WorkState.FINISHED and made is None
    if is_lost or queued.state in (WorkState.WITHDRAWN, WorkState.FAILED):
        _queue_again(queued)
        queued.start_tag = await _next_turn(session, story_id, story.priority)
    queued.priority = max(queued.priority, story.priority)
    await session.flush()
    return await get(session, story_id, wanted.key)


async def get(session: AsyncSession, story_id: str, key: str) -> tuple[Export, Work]:
    """Get an export of a story with its work.

    Raises:
        NotFound: if the story has none of that key.
    """
    wanted = select(Export, Work).join(Work, EXPORTED)
    row = (await session.execute(wanted.where(_is_of(story_id, key)))).one_or_none()
    if row is None:
        raise NotFound(f"export of story {story_id}", key)
    return row[0], row[1]


async def list_newest(session: AsyncSession, story_id: str) -> list[tuple[Export, Work]]:
    """List the exports of a story with their work, newest first."""
    listed = await session.execute(
        select(Export, Work)
        .join(Work, EXPORTED)
        .where(Export.story_id == story_id)
        .order_by(Export.requested_at.desc(), Export.key)
    )
    return [(export, queued) for export, queued in listed]


async def find_made(session: AsyncSession, story_id: str, key: str) -> Export | None:
    """Find an export of a story that has a file."""
    return await session.scalar(
        select(Export).where(_is_of(story_id, key), Export.file.is_not(None))
    )


async def is_use_noted(session: AsyncSession, export: Export) -> bool:
    """Tell whether a use of an export was noted just now."""
    is_recent = export.used_at >= now_s() - NOTED_S
    return bool(await session.scalar(select(is_recent)))


async def note_use(session: AsyncSession, story_id: str, key: str) -> None:
    """Keep an export from being swept for another while."""
    await _note(session, story_id, key)


async def complete(session: AsyncSession, claimed: Work, file: str, size: int) -> bool:
    """Finish an export whose file is in place; False if nobody waits, or another took it over."""
    if not await wants.has_interest(session, [claimed]):
        await work.give_back(session, [claimed])
        return False
    if not await work.finish(session, claimed):
        return False
    await session.execute(
        update(Export)
        .where(Export.key == claimed.key)
        .values(file=file, bytes=size, finished_at=now_s(), used_at=now_s())
        .execution_options(synchronize_session=False)
    )
    await tell_of_export(session, claimed.key, "export.finished")
    return True


async def forget(session: AsyncSession, story_id: str, key: str) -> None:
    """Forget an export of a story; what nobody else wants is withdrawn.

    Raises:
        NotFound: if the story has none of that key.
    """
    await _lock(session, [key])
    gone = delete(Export).where(_is_of(story_id, key)).returning(Export.key)
    if (await session.execute(gone)).scalar_one_or_none() is None:
        raise NotFound(f"export of story {story_id}", key)
    await remove_unwanted(session, [key])


async def lock_of_story(session: AsyncSession, story_id: str) -> list[str]:
    """Lock the work on a story's exports; return their keys."""
    keys = list(await session.scalars(select(Export.key).where(Export.story_id == story_id)))
    return [queued.key for queued in await _lock(session, keys)]


async def forget_story(session: AsyncSession, story_id: str, keys: Sequence[str]) -> None:
    """Forget the exports of a story whose work is locked."""
    await session.execute(delete(Export).where(Export.story_id == story_id))
    await remove_unwanted(session, keys)


async def sweep(session: AsyncSession, keys: Sequence[str], min_age_s: float) -> list[str]:
    """Forget those of some exports that are still unused; return them.

    The work is locked first, so that nobody requests one of them meanwhile.
    """
    locked = [queued.key for queued in await _lock(session, keys)]
    stale = select(Export).join(Work, EXPORTED).where(Export.key.in_(locked), is_unused(min_age_s))
    swept = list(await session.scalars(stale))
    for export in swept:
        await session.delete(export)
    await session.flush()
    await remove_unwanted(session, locked)
    return sorted({export.key for export in swept})


def is_unused(min_age_s: float) -> ColumnElement[bool]:
    """Match an export, joined to its work, that nobody makes and nobody has used for a while."""
    return and_(Work.state.in_(AT_REST), Export.used_at < now_s() - min_age_s)


async def list_unused(session: AsyncSession, min_age_s: float) -> list[str]:
    """List the keys of exports that nobody has used for a while."""
    unused = select(Export.key).join(Work, EXPORTED).where(is_unused(min_age_s)).distinct()
    return list(await session.scalars(unused.order_by(Export.key)))


async def list_files(
    session: AsyncSession, story_id: str | None = None, used_s: float | None = None
) -> dict[str, list[str]]:
    """Return the keys of finished exports by file.

    Args:
        session: a reading session.
        story_id: of the story whose they are; None: of all.
        used_s: leave out those that nobody has used for so long; None leaves out none.
    """
    made = select(Export.file, Export.key).where(Export.file.is_not(None)).distinct()
    if story_id is not None:
        made = made.where(Export.story_id == story_id)
    if used_s is not None:
        made = made.join(Work, EXPORTED).where(~is_unused(used_s))
    keys: dict[str, list[str]] = {}
    for file, key in await session.execute(made.order_by(Export.key)):
        keys.setdefault(file or "", []).append(key)
    return keys


async def make_again(session: AsyncSession, key: str, file: str) -> bool:
    """Queue an export whose file was lost or damaged; False if it has another by now."""
    locked = await _lock(session, [key])
    lost = (
        update(Export)
        .where(Export.key == key, Export.file == file)
        .values(file=None, bytes=None, finished_at=None)
        .returning(Export.key)
        .execution_options(synchronize_session=False)
    )
    if not list(await session.scalars(lost)):
        return False
    for queued in locked:
        _queue_again(queued)
    return True


async def remove_unwanted(session: AsyncSession, keys: Sequence[str]) -> None:
    """Remove work on exports, locked before, that no story has; who does some of it will notice."""
    for some in in_parts(sorted(keys)):
        await session.execute(
            delete(Work)
            .where(
                Work.kind == WorkKind.EXPORT,
                Work.key.in_(some),
                Work.state != WorkState.CLAIMED,
                ~exists().where(EXPORTED),
            )
            .execution_options(synchronize_session=False)
        )


async def _insert_locked(
    session: AsyncSession, wanted: Wanted, story_id: str, priority: int
) -> Work:
    """Queue work unless it is there; lock it."""
    while True:  # again where what was there is swept at this moment
        await insert_new(
            session,
            Work,
            kind=WorkKind.EXPORT,
            key=wanted.key,
            needs=wanted.needs,
            request=wanted.request,
            state=WorkState.QUEUED,
            attempt=0,
            priority=priority,
            start_tag=await _next_turn(session, story_id, priority),
        )
        for queued in await _lock(session, [wanted.key]):
            return queued


async def _next_turn(session: AsyncSession, story_id: str, priority: int) -> int:
    latest = await session.scalar(
        select(func.max(Work.start_tag))
        .join(Export, EXPORTED)
        .where(IS_OPEN_WORK, Export.story_id == story_id)
    )
    return max(latest or 0, await wants.serving(session, priority, [WorkKind.EXPORT])) + 1


async def _note(session: AsyncSession, story_id: str, key: str, **values: int) -> None:
    await session.execute(
        update(Export)
        .where(_is_of(story_id, key))
        .values(used_at=now_s(), **values)
        .execution_options(synchronize_session=False)
    )


async def _find_made(session: AsyncSession, key: str) -> Export | None:
    made = select(Export).where(Export.key == key, Export.file.is_not(None)).limit(1)
    return await session.scalar(made)


async def _lock(session: AsyncSession, keys: Sequence[str]) -> list[Work]:
    locked: list[Work] = []
    for some in in_parts(sorted(keys)):
        of_them = select(Work).where(Work.kind == WorkKind.EXPORT, Work.key.in_(some))
        fresh = of_them.order_by(Work.key).with_for_update()
        locked += await session.scalars(fresh.execution_options(populate_existing=True))
    return locked


def _queue_again(queued: Work) -> None:
    queued.state, queued.attempt = WorkState.QUEUED, 0
    queued.owner = queued.expires_at = queued.progress = queued.error = None
    queued.is_bad_input = False


def _is_of(story_id: str, key: str) -> ColumnElement[bool]:
    return and_(Export.story_id == story_id, Export.key == key)
