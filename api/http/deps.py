"""What routes work with: the open store and who is at work."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.revisions.wording import Resolve
from api.settings import Settings
from api.store import OpenStore


@dataclass(frozen=True)
class AppState:
    """The state of the HTTP process."""

    store: OpenStore
    settings: Settings
    count_workers: Callable[[], int]  # that are alive
    is_sending: Callable[[], bool] = lambda: True  # webhooks what falls due
    words: Resolve | None = None  # tells what changes in plain words do
    is_public: bool = False  # others than this machine can reach it
    closing: asyncio.Event = field(default_factory=asyncio.Event)  # set: endless responses end
    exporting: asyncio.Lock = field(default_factory=asyncio.Lock)  # one file at a time


async def app_state_of(request: Request) -> AppState:
    """Return what the application was made over."""
    state: AppState = request.app.state.state
    return state


AppStateDep = Annotated[AppState, Depends(app_state_of)]
