"""Deleting a story's rows; its audio goes with the next sweep, once nothing else names it.

Scene versions are shared by branches, takes by all wordings of a sub-event. What another story's
revision lists, or can choose from, is given to that story instead.
"""

from collections.abc import Sequence

from sqlalchemy import Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import exports, wants
from storage.errors import Conflict, NotFound
from storage.models import (
    ACTIVE,
    Delivery,
    Event,
    Mix,
    Revision,
    Run,
    SceneStem,
    SceneVersion,
    Story,
    SubEvent,
    Take,
    Webhook,
    Work,
    WorkKind,
    WorkWant,
)
from storage.upsert import in_parts
from storage.wants import WANTED


async def delete_story(session: AsyncSession, story_id: str) -> None:
    """Delete a story within a writing session; stories that share scenes with it keep them.

    Raises:
        NotFound: if there is no such story.
        Conflict: if it has an active run.
    """
    wanted = await _lock(session, story_id)
    exported = await exports.lock_of_story(session, story_id)
    heirs = await _find_heirs(session, story_id)
    await session.execute(delete(WorkWant).where(WorkWant.run_id.in_(_runs_of(story_id))))
    for kind, keys in wanted.items():
        await wants.withdraw_unwanted(session, kind, keys)
    await exports.forget_story(session, story_id, exported)
    await session.execute(delete(Run).where(Run.story_id == story_id))
    await _delete_revisions(session, story_id)
    await _hand_over(session, heirs)
    await _delete_scenes(session, story_id)
    for table in (Event, Delivery, Webhook):
        await session.execute(delete(table).where(table.story_id == story_id))
    await session.execute(delete(Story).where(Story.id == story_id))


async def _lock(session: AsyncSession, story_id: str) -> dict[WorkKind, list[str]]:
    """Lock what the story's workers would write, in their order; return the work it waits for."""
    waited_for = (
        select(Work.kind, Work.key)
        .join(WorkWant, WANTED)
        .where(WorkWant.run_id.in_(_runs_of(story_id)))
        .order_by(Work.key, Work.kind)
        .with_for_update(of=Work)
    )
    wanted: dict[WorkKind, list[str]] = {kind: [] for kind in WorkKind}
    for kind, key in dict.fromkeys((row[0], row[1]) for row in await session.execute(waited_for)):
        wanted[WorkKind(kind)].append(key)
    its_runs = select(Run).where(Run.story_id == story_id).order_by(Run.id).with_for_update()
    latest = list(await session.scalars(its_runs))
    if await session.get(Story, story_id, with_for_update=True) is None:
        raise NotFound("story", story_id)
    if any(run.state in ACTIVE for run in latest):
        raise Conflict(
            f"Story {story_id} is being worked on, or waits for its author. Cancel it first: "
            f"audiostory cancel {story_id}"
        )
    return wanted


async def _find_heirs(session: AsyncSession, story_id: str) -> dict[int, str]:
    """Find which of the story's scene versions stay, each with the story that gets it.

    A version stays if another story's revision lists it, and if it is the wording of a take of a
    sub-event that another story has: its author may still choose that take.
    """
    own = select(SceneVersion.id, SceneVersion.sub_event_id)
    rows = await session.execute(own.where(SceneVersion.story_id == story_id))
    lineage = {row.id: row.sub_event_id for row in rows}
    heirs: dict[int, str] = {}
    listed = select(Revision.story_id, Revision.scenes).where(Revision.story_id != story_id)
    async for other_id, scenes in await session.stream(listed.order_by(Revision.id)):
        for scene_id in lineage.keys() & set(scenes):
            heirs.setdefault(scene_id, other_id)
    sharing = {lineage[scene_id]: other_id for scene_id, other_id in heirs.items()}
    sharing |= await _reworded_elsewhere(session, story_id, sorted(set(lineage.values())))
    for some in in_parts(sorted(sharing)):
        takes = select(Take.scene_id, Take.sub_event_id).where(Take.sub_event_id.in_(some))
        for scene_id, sub_event_id in await session.execute(takes):
            if scene_id in lineage:
                heirs.setdefault(scene_id, sharing[sub_event_id])
    return heirs


async def _reworded_elsewhere(
    session: AsyncSession, story_id: str, sub_events: Sequence[int]
) -> dict[int, str]:
    """Find the sub-events that other stories have scene versions of."""
    others: dict[int, str] = {}
    for some in in_parts(sub_events):
        rows = await session.execute(
            select(SceneVersion.sub_event_id, SceneVersion.story_id)
            .where(SceneVersion.sub_event_id.in_(some), SceneVersion.story_id != story_id)
            .order_by(SceneVersion.id)
        )
        for sub_event_id, other_id in rows:
            others.setdefault(sub_event_id, other_id)
    return others


async def _delete_revisions(session: AsyncSession, story_id: str) -> None:
    own = select(Revision.id).where(Revision.story_id == story_id)
    await session.execute(delete(Mix).where(Mix.revision_id.in_(own)))
    await session.execute(
        update(Story)
        .where(Story.branched_from.in_(own))
        .values(branched_from=None)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(Revision)
        .where(Revision.parent_id.in_(own), Revision.story_id != story_id)
        .values(parent_id=None)
        .execution_options(synchronize_session=False)
    )
    await session.execute(delete(Revision).where(Revision.story_id == story_id))


async def _hand_over(session: AsyncSession, heirs: dict[int, str]) -> None:
    by_story: dict[str, list[int]] = {}
    for scene_id, other_id in heirs.items():
        by_story.setdefault(other_id, []).append(scene_id)
    for other_id, scene_ids in by_story.items():
        for some in in_parts(scene_ids):
            await session.execute(
                update(SceneVersion)
                .where(SceneVersion.id.in_(some))
                .values(story_id=other_id)
                .execution_options(synchronize_session=False)
            )


async def _delete_scenes(session: AsyncSession, story_id: str) -> None:
    """Delete the scene versions that are still the story's, and sub-events that have none left."""
    own = select(SceneVersion.id).where(SceneVersion.story_id == story_id)
    sub_events = set(
        await session.scalars(
            select(SceneVersion.sub_event_id).where(SceneVersion.story_id == story_id)
        )
    )
    await session.execute(delete(Take).where(Take.scene_id.in_(own)))
    await session.execute(delete(SceneStem).where(SceneStem.scene_id.in_(own)))
    await session.execute(delete(SceneVersion).where(SceneVersion.story_id == story_id))
    for some in in_parts(sorted(sub_events)):
        has_wording = select(SceneVersion.id).where(SceneVersion.sub_event_id == SubEvent.id)
        await session.execute(delete(SubEvent).where(SubEvent.id.in_(some), ~has_wording.exists()))


def _runs_of(story_id: str) -> Select[int]:
    return select(Run.id).where(Run.story_id == story_id)
