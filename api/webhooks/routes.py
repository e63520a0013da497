"""Webhooks: addresses that hear of events."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.http.access import HasCaller, check_story
from api.http.deps import AppStateDep
from api.webhooks.schemas import DeliveryView, WebhookCreate, WebhookCreated, WebhookView
from api.webhooks.service import create_webhook
from storage import webhooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post("", status_code=201, summary="Create a webhook")
async def post_webhook(
    wanted: WebhookCreate, state: AppStateDep, caller: HasCaller, response: Response
) -> WebhookCreated:
    """Post events to an address, signed as Standard Webhooks specifies.

    Only this response holds the secret. An address that is not on the Internet is refused.
    """
    database = state.store.database
    if wanted.story_id is not None:
        await check_story(database, caller, wanted.story_id)
    made = await create_webhook(
        database, wanted, caller.key_id, allow_private=state.settings.webhook_allow_private
    )
    response.headers["Location"] = f"/v1/webhooks/{made.id}"
    return made


@router.get("", summary="List webhooks")
async def get_webhooks(state: AppStateDep, caller: HasCaller) -> list[WebhookView]:
    """List the webhooks, oldest first."""
    async with state.store.database.read() as session:
        return [
            WebhookView.of(webhook)
            for webhook in await webhooks.list_oldest(session, caller.sees_only)
        ]


@router.get("/{webhook_id}", summary="Get a webhook")
async def get_webhook(webhook_id: str, state: AppStateDep, caller: HasCaller) -> WebhookView:
    """Return a webhook."""
    async with state.store.database.read() as session:
        return WebhookView.of(await webhooks.get(session, webhook_id, caller.sees_only))


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook")
async def delete_webhook(webhook_id: str, state: AppStateDep, caller: HasCaller) -> None:
    """Delete a webhook and its pending deliveries."""
    async with state.store.database.write() as session:
        webhook = await webhooks.get(session, webhook_id, caller.sees_only)
        await webhooks.remove(session, webhook)


@router.get("/{webhook_id}/deliveries", summary="List deliveries")
async def get_deliveries(
    webhook_id: str,
    state: AppStateDep,
    caller: HasCaller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[DeliveryView]:
    """List what was sent, or is to be sent, to a webhook, newest first."""
    async with state.store.database.read() as session:
        await webhooks.get(session, webhook_id, caller.sees_only)
        rows = await webhooks.list_deliveries(session, webhook_id, limit)
    return [DeliveryView.of(delivery, kind) for delivery, kind in rows]


@router.post("/{webhook_id}/test", status_code=202, summary="Send a test event")
async def post_test(webhook_id: str, state: AppStateDep, caller: HasCaller) -> DeliveryView:
    """Queue a `webhook.test`; its delivery shows the result."""
    async with state.store.database.write() as session:
        webhook = await webhooks.get(session, webhook_id, caller.sees_only)
        delivery = await webhooks.add_test(session, webhook)
    return DeliveryView.of(delivery, webhooks.TEST_KIND)
