"""Keys to knock with, and applications that let in fewer."""

import httpx

from api.app import create_app
from api.http.deps import AppState
from api.settings import Settings
from storage import keys


async def make_key(studio, *scopes, name="someone"):
    async with studio.store.database.write() as session:
        row, key = await keys.add(session, name=name, scopes=scopes)
    return row.id, {"Authorization": f"Bearer {key}"}


def over(studio, **limits):
    """Return a client of an application with limits of its own."""
    settings = Settings(home=studio.settings.home, **limits)
    transport = httpx.ASGITransport(create_app(AppState(studio.store, settings, lambda: 1)))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
