"""A story's events as they happen, replayed from wherever a client left off, and its progress."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

from anyio import CancelScope
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.http.access import one_stream
from api.http.deps import AppState, AppStateDep
from storage import events
from storage.progress import Progress, measure

router = APIRouter(prefix="/stories", tags=["events"])
LOOK_S = 1.0  # between two measurements of progress, and at most between two looks at the log
AfterNumber = Annotated[int, Query(ge=0, le=2**62, description="Where Last-Event-ID is not sent.")]


@router.get(
    "/{story_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(one_stream)],
    summary="Stream a story's events",
)
async def get_events(
    story_id: str,
    state: AppStateDep,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**62)] = None,
    after: AfterNumber = 0,
    progress: Annotated[bool, Query(description="Add `progress`, once a second.")] = False,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events after `Last-Event-ID`, then new ones, without gap or duplicate.

    A comment is sent after every 15 s of silence. `progress` events have no id: they are not
    replayed.
    """
    database = state.store.database
    heard = after if last_event_id is None else last_event_id
    last_measured: Progress | None = None
    while not state.closing.is_set():
        seen = database.changes()
        # Whoever leaves in the middle of a query must not take a connection along.
        with CancelScope(shield=True):
            async with database.read() as session:
                fresh = await events.list_after(session, story_id, heard)
                is_due = progress and not fresh
                measured = (
                    await measure(session, story_id, last_measured) if is_due else last_measured
                )
        for event in fresh:
            heard = event.number
            data = event.data | {"at": event.created_at}
            yield ServerSentEvent(data=data, event=event.kind, id=str(event.number))
        if measured is not None and measured != last_measured:
            last_measured = measured
            yield ServerSentEvent(data=asdict(measured), event="progress")
        if not fresh:
            await _rest(state, seen, is_measuring=progress)


@router.get("/{story_id}/progress", summary="Get a story's progress")
async def get_progress(story_id: str, state: AppStateDep) -> Progress:
    """Return the progress of the newest run, and when its mix should be ready."""
    async with state.store.database.read() as session:
        return await measure(session, story_id)


async def _rest(state: AppState, seen: int, *, is_measuring: bool) -> None:
    """Wait for a commit, for the service to close, or for `LOOK_S`."""
    if not is_measuring:
        await state.store.database.wait_for_change(seen, LOOK_S)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(state.closing.wait(), LOOK_S)
