"""A story's events as they happen, replayed from wherever a client left off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.edge import HasEdge
from storage import events, stories

router = APIRouter(prefix="/stories", tags=["events"])
LOOK_S = 0.2  # between two looks at the log


async def known_story(story_id: str, edge: HasEdge) -> str:
    """Return the id of a story that exists: a stream that has begun cannot answer 404."""
    async with edge.store.database.read() as session:
        await stories.get(session, story_id)
    return story_id


@router.get(
    "/{story_id}/events", response_class=EventSourceResponse, summary="A story's events, live"
)
async def get_events(
    story_id: Annotated[str, Depends(known_story)],
    edge: HasEdge,
    last_event_id: Annotated[int, Header(ge=0, le=2**62)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events after `Last-Event-ID`, then those to come, without gap or duplicate."""
    while not edge.closing.is_set():
        async with edge.store.database.read() as session:
            fresh = await events.list_after(session, story_id, last_event_id)
        for event in fresh:
            last_event_id = event.number
            data = event.data | {"at": event.created_at}
            yield ServerSentEvent(data=data, event=event.kind, id=str(event.number))
        if not fresh:
            with suppress(TimeoutError):
                await asyncio.wait_for(edge.closing.wait(), LOOK_S)
