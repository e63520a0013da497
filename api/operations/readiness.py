"""Whether what is asked for will be made: each thing it takes, looked at by itself."""

import asyncio
import shutil
import time
from dataclasses import dataclass, field

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.http.deps import AppState
from api.operations.log_rate import log_seldom
from storage.errors import StoreError, StoreUnusable
from storage.schema import SCHEMA
from storage.worker_lock import count_alive

PROBE_S = 5.0  # the audio folder is written to no more often than this


class HealthCheck(BaseModel):
    """One thing that the service needs."""

    name: str  # "database", "audio folder", "workers", "webhooks" or "disk"
    is_ok: bool
    detail: str
    remedy: str | None = None


@dataclass
class Folder:
    """The last look at whether the audio folder can be written."""

    looked_at: float | None = None
    error: str | None = None
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


async def examine(state: AppState, folder: Folder) -> list[HealthCheck]:
    """Look at everything, one failure not keeping the next from being seen."""
    return [
        await _check_database(state),
        await _check_folder(state, folder),
        await _check_workers(state),
        _check_webhooks(state),
        await asyncio.to_thread(_check_disk, state),
    ]


async def count_workers(state: AppState) -> int:
    """Count the workers that are alive: those of this process, or all that leave a sign of life."""
    return max(state.count_workers(), await asyncio.to_thread(count_alive, state.store.workers))


async def _check_database(state: AppState) -> HealthCheck:
    name = "database"
    try:
        await state.store.database.ping()
        async with state.store.database.read() as session:
            revision = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except (StoreError, SQLAlchemyError) as error:
        log_seldom(str(error))  # names places of this machine, which not everybody is to know
        remedy = "Bring the database back; the service goes on by itself then. The log tells more."
        return HealthCheck(name=name, is_ok=False, detail="It cannot be read.", remedy=remedy)
    if revision != SCHEMA:
        detail = f"Its schema is {revision}; this version works with {SCHEMA}."
        remedy = "Start the service with the version that migrated the database."
        return HealthCheck(name=name, is_ok=False, detail=detail, remedy=remedy)
    return HealthCheck(name=name, is_ok=True, detail=f"It answers, with schema {SCHEMA}.")


async def _check_folder(state: AppState, folder: Folder) -> HealthCheck:
    async with folder.looking:
        now = time.monotonic()
        if folder.looked_at is None or now - folder.looked_at > PROBE_S:
            try:
                await asyncio.to_thread(state.store.audio.probe)
                folder.error = None
            except StoreUnusable as error:
                folder.error = str(error)
            folder.looked_at = now
    if folder.error is not None:
        log_seldom(folder.error)
        remedy = "Free some space there, mount it, or fix its permissions. The log tells more."
        detail = "It cannot be written."
        return HealthCheck(name="audio folder", is_ok=False, detail=detail, remedy=remedy)
    return HealthCheck(name="audio folder", is_ok=True, detail="It can be written.")


async def _check_workers(state: AppState) -> HealthCheck:
    alive = await count_workers(state)
    if alive == 0:
        remedy = "Wait a little: they are being restarted. Else start `audiostory worker`."
        return HealthCheck(name="workers", is_ok=False, detail="No worker is alive.", remedy=remedy)
    return HealthCheck(name="workers", is_ok=True, detail=f"{alive} alive.")


def _check_webhooks(state: AppState) -> HealthCheck:
    name = "webhooks"
    if not state.is_sending():
        remedy = "Wait a little: it begins again by itself. The log tells what broke it off."
        return HealthCheck(name=name, is_ok=False, detail="Nothing is sent.", remedy=remedy)
    return HealthCheck(name=name, is_ok=True, detail="What falls due is sent.")


def _check_disk(state: AppState) -> HealthCheck:
    least = state.settings.least_free_mb
    try:
        free = shutil.disk_usage(state.store.audio.folder).free >> 20
    except OSError as error:
        remedy = "Mount the audio folder."
        detail = f"It cannot be looked at: {error.strerror}."
        return HealthCheck(name="disk", is_ok=False, detail=detail, remedy=remedy)
    if free < least:
        detail = f"{free} MiB are free, less than {least} MiB."
        remedy = "Free some space: `audiostory gc --delete` removes what nobody can hear."
        return HealthCheck(name="disk", is_ok=False, detail=detail, remedy=remedy)
    return HealthCheck(name="disk", is_ok=True, detail=f"{free} MiB are free.")
