"""Events that tell the stories which have a clip or an export what has become of it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage import events
from storage.models import Export, SceneVersion, Take


async def tell_of_clip(session: AsyncSession, key: str, kind: str, **data: str) -> None:
    """Append an event to every story that has a clip as a take."""
    heard = await session.execute(
        select(SceneVersion.story_id, Take.sub_event_id, Take.number, Take.stem)
        .join(SceneVersion, SceneVersion.id == Take.scene_id)
        .where(Take.clip_key == key)
        .order_by(SceneVersion.story_id, Take.id)
    )
    for story_id, sub_event_id, number, stem in heard.all():
        labels = {"scene": sub_event_id, "take": number, "stem": stem, "clip": key}
        await events.append(session, story_id, kind, **labels, **data)


async def tell_of_export(session: AsyncSession, key: str, kind: str, **data: str) -> None:
    """Append an event to every story that has requested an export."""
    requested = select(Export).where(Export.key == key).order_by(Export.story_id)
    for export in list(await session.scalars(requested)):
        labels = {"export": key, "revision": export.revision, "format": export.format}
        await events.append(session, export.story_id, kind, **labels, stem=export.stem, **data)
