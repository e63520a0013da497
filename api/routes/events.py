"""A story's events as they happen, replayed from wherever a client left off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.access import one_stream
from api.edge import HasEdge
from storage import events

router = APIRouter(prefix="/stories", tags=["events"])
LOOK_S = 0.2  # between two looks at the log


@router.get(
    "/{story_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(one_stream)],
    summary="A story's events, live",
)
async def get_events(
    story_id: str,
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
