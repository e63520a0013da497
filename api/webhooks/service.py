"""Storing a webhook whose target is allowed."""

from api.webhooks.addresses import check_target
from api.webhooks.schemas import WebhookCreate, WebhookCreated
from storage import webhooks
from storage.database import Database


async def create_webhook(
    database: Database, wanted: WebhookCreate, owner_key: str | None, *, allow_private: bool
) -> WebhookCreated:
    """Store a webhook whose target is allowed.

    Raises:
        BadInput: if the target is refused.
        NotFound: if there is no such story.
        Conflict: if its owner has too many.
    """
    await check_target(wanted.url, allow_private=allow_private)
    async with database.write() as session:
        webhook = await webhooks.add(
            session,
            url=wanted.url,
            story_id=wanted.story_id,
            kinds=wanted.kinds,
            owner_key=owner_key,
        )
        await session.refresh(webhook)
    return WebhookCreated.of(webhook)
