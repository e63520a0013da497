"""Opening the data folder; light enough for the HTTP process."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings, read_settings
from storage.audio_files import AudioFiles
from storage.database import Database
from storage.errors import StoreUnusable
from storage.identity import check_identity


@dataclass(frozen=True)
class OpenStore:
    """The database and the audio folder that belongs to it."""

    database: Database
    audio: AudioFiles
    exports: Path  # files made for download, disposable
    workers: Path  # signs of life


async def open_store(settings: Settings) -> OpenStore:
    """Open the database and the data folder, made or migrated first if need be.

    Raises:
        StoreTooNew: if a newer version made it.
        StoreUnusable: if it cannot be made or written, or its audio folder is of another store;
            `is_passing` if its server does not answer.
    """
    database = Database.open(settings.database)
    audio = AudioFiles(settings.home / "audio")
    try:
        await check_identity(database, audio.folder, uuid.uuid4().hex)
    except StoreUnusable:
        await database.close()
        raise
    return OpenStore(database, audio, settings.home / "exports", settings.home / "workers")


@asynccontextmanager
async def opened_store() -> AsyncIterator[tuple[OpenStore, Settings]]:
    """Open the data folder that the environment names, for the time of a command; see `open_store`."""
    settings = read_settings()
    store = await open_store(settings)
    try:
        yield store, settings
    finally:
        await store.database.close()
