"""What another process does in a test: little, and imported quickly."""

import asyncio

from api.settings import Settings
from api.store import open_store
from storage import events


def commit_events(settings: Settings, story_id: str, count: int, payload: int = 0) -> None:
    """Append events to a story, each in a transaction of its own.

    Args:
        settings: of the store.
        story_id: of a story that exists.
        count: of events.
        payload: characters that each carries.
    """

    async def commit() -> None:
        store = await open_store(settings)
        for turn in range(count):
            async with store.database.write() as session:
                await events.append(session, story_id, "test", turn=turn, payload="x" * payload)
        await store.database.close()

    asyncio.run(commit())
