"""What belongs to a story, whichever story the rows were made in: branches share scene versions."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Revision, SceneStem, SceneVersion, Story, Take
from storage.upsert import in_parts

CONDITION = '"condition":"'  # in a request, which is canonical JSON: quotes in texts are escaped
ID_LENGTH = 64


def condition_of(request: str) -> str:
    """Return the id of the condition that a clip's request names; empty if it names none."""
    return request.partition(CONDITION)[2][:ID_LENGTH]


async def list_sub_events(session: AsyncSession, story_id: str) -> list[int]:
    """List the sub-events that a revision of the story has, or had when it was made."""
    own = select(SceneVersion.sub_event_id).where(SceneVersion.story_id == story_id)
    ids = set(await session.scalars(own))
    listed: set[int] = set()
    for scenes in await session.scalars(
        select(Revision.scenes).where(Revision.story_id == story_id)
    ):
        listed.update(scenes)
    for some in in_parts(sorted(listed)):
        lineage = select(SceneVersion.sub_event_id).where(SceneVersion.id.in_(some))
        ids.update(await session.scalars(lineage))
    return sorted(ids)


async def list_clips(session: AsyncSession, story_id: str) -> list[str]:
    """List the keys of every clip that the story is, was or may be heard as."""
    keys: set[str] = set()
    for some in in_parts(await list_sub_events(session, story_id)):
        heard = (
            select(SceneStem.clip_key)
            .join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
            .where(SceneVersion.sub_event_id.in_(some), SceneStem.clip_key.is_not(None))
        )
        keys.update(key for key in await session.scalars(heard) if key is not None)
        keys.update(await session.scalars(select(Take.clip_key).where(Take.sub_event_id.in_(some))))
    return sorted(keys)


async def list_listening_stories(session: AsyncSession, clip_key: str) -> list[tuple[str, int]]:
    """List the stories that a clip belongs to, each with the sub-event it is a take of."""
    sub_events = set(
        await session.scalars(
            select(SceneVersion.sub_event_id)
            .join(SceneStem, SceneStem.scene_id == SceneVersion.id)
            .where(SceneStem.clip_key == clip_key)
        )
    )
    sub_events |= set(
        await session.scalars(select(Take.sub_event_id).where(Take.clip_key == clip_key))
    )
    lineage: dict[int, int] = {}
    hearing: set[tuple[str, int]] = set()
    for some in in_parts(sorted(sub_events)):
        for scene_id, sub_event_id, story_id in await session.execute(
            select(SceneVersion.id, SceneVersion.sub_event_id, SceneVersion.story_id).where(
                SceneVersion.sub_event_id.in_(some)
            )
        ):
            lineage[scene_id] = sub_event_id
            hearing.add((story_id, sub_event_id))
    branches = (
        select(Revision.story_id, Revision.scenes)
        .join(Story, Story.id == Revision.story_id)
        .where(Story.branched_from.is_not(None))
    )
    for story_id, scenes in await session.execute(branches):
        hearing |= {(story_id, lineage[scene_id]) for scene_id in lineage.keys() & set(scenes)}
    return sorted(hearing)
