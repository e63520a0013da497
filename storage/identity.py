"""A store's identity: the database and the audio folder must belong together."""

import secrets
from pathlib import Path

from sqlalchemy import select

from storage.database import Database
from storage.errors import StoreUnusable
from storage.models import Store

STORE_ID_FILE = "store-id"


async def check_identity(database: Database, audio_folder: Path, fresh_id: str) -> str:
    """Return the store's id, made the first time.

    Args:
        database: the open database.
        audio_folder: made when missing.
        fresh_id: the id to take if the store has none yet.

    Raises:
        StoreUnusable: if the audio folder belongs to another store, or cannot be written.
    """
    async with database.read() as session:
        stored = await session.scalar(select(Store.store_id))
    if stored is None:
        async with database.write() as session:
            stored = await session.scalar(select(Store.store_id))
            if stored is None:
                stored = fresh_id
                session.add(Store(id=1, store_id=stored))
    _check_folder(audio_folder, stored)
    return stored


def _check_folder(audio_folder: Path, store_id: str) -> None:
    file = audio_folder / STORE_ID_FILE
    try:
        audio_folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            temporary = audio_folder / f"{secrets.token_hex(8)}.tmp"
            temporary.write_text(store_id, encoding="ascii")
            temporary.replace(file)  # a half-written id would lock the folder for ever
        kept_id = " ".join(file.read_text(encoding="ascii", errors="replace").split())
    except OSError as error:
        raise StoreUnusable(
            f"The audio folder {audio_folder} cannot be used: {error.strerror}. "
            "Fix its permissions, or name another folder in AUDIOSTORY_HOME."
        ) from error
    if kept_id != store_id:
        raise StoreUnusable(
            f"The audio folder {audio_folder} belongs to store {kept_id}, the database to "
            f"{store_id}. Mount the audio folder that belongs to this database."
        )
