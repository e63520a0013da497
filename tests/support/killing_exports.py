"""Chaos of exports: workers are killed while they write the file of a mix.

A kill counts if the export is claimed by an owner that was there before it and is gone after it.
"""

import asyncio
import hashlib
import random
from dataclasses import asdict, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from api.exports.media_type import AudioKind
from api.exports.schemas import ExportCreate
from api.exports.service import open_mix, request_export
from audiostory_core.audio.export import export
from storage import exports
from storage.models import Export, Mix, Work, WorkState
from storage.worker_lock import is_dead
from tests.support import tone_process
from tests.support.finished_stories import Shelved
from tests.support.studio import Studio

WORKERS = 2
LOOK_S = 0.005  # between two looks at the row
MAX_KILLS = 6  # of one export


@dataclass
class ExportFigures:
    """What was done to exports, and what it cost them."""

    exports: int = 0
    kills: int = 0  # all
    counted: int = 0
    requested_again: int = 0  # times that one had killed three workers
    repeated: int = 0  # finished more than once
    different: int = 0  # files that are not those of an undisturbed export

    def as_text(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in asdict(self).items())


@dataclass
class ExportChaos:
    """Has one export after the other made by processes that are killed.

    Args:
        studio: whose store the processes work on.
        story: whose mix is exported, at another gain each time.
        folder: for the log, and for files that are made undisturbed.
        rng: chooses instants and victims.
    """

    studio: Studio
    story: Shelved
    folder: Path
    rng: random.Random
    figures: ExportFigures = field(default_factory=ExportFigures)
    _workers: list[BaseProcess] = field(default_factory=list)

    async def play(self, number: int) -> None:
        """Have one export made, and hold its file against that of an undisturbed one."""
        store = self.studio.store
        async with store.database.write() as session:
            mix = await session.get_one(Mix, self.story.revision_id)
            mix.mastering = mix.mastering | {"gain_db": -number / 100}
        wanted = ExportCreate(format=self.rng.choice(list(AudioKind)))
        key = (await request_export(store, self.story.id, wanted)).id
        try:
            made = await self._kill_until_made(wanted, key)
        finally:
            await asyncio.to_thread(self._end)
        async with store.database.read() as session:
            undisturbed = await open_mix(session, store.audio, self.story.id)
        path = self.folder / f"undisturbed.{wanted.format}"
        with undisturbed:
            await asyncio.to_thread(export, undisturbed, path)
        name = f"{hashlib.sha256(path.read_bytes()).hexdigest()}.{wanted.format}"
        events = await self.studio.events(self.story.id)
        finished = [event.data["export"] for event in events if event.kind == "export.finished"]
        self.figures.exports += 1
        self.figures.repeated += finished.count(key) - 1
        self.figures.different += made.file != name or not store.audio.is_whole(name)
        assert (self.figures.repeated, self.figures.different) == (0, 0)

    async def _kill_until_made(self, wanted: ExportCreate, key: str) -> Export:
        kills = 0
        while True:
            self._fill_up()
            made, queued = await self._look(key)
            if queued.state == WorkState.FINISHED:
                return made
            if queued.state == WorkState.FAILED:
                self.figures.requested_again += 1
                await request_export(self.studio.store, self.story.id, wanted)
            elif kills < MAX_KILLS and self._is_being_made(queued):
                await asyncio.sleep(self.rng.uniform(0.0, 0.3))
                kills += 1
                await self._kill_one(key)
            await asyncio.sleep(LOOK_S)

    def _is_being_made(self, queued: Work) -> bool:
        is_claimed = queued.state == WorkState.CLAIMED and queued.owner is not None
        return is_claimed and not is_dead(self.studio.store.workers, queued.owner or "")

    async def _kill_one(self, key: str) -> None:
        victim, workers = self.rng.choice(self._workers), self.studio.store.workers
        _, before = await self._look(key)
        was_made = self._is_being_made(before)
        victim.kill()
        await asyncio.to_thread(victim.join)
        _, after = await self._look(key)
        is_same = after.state == WorkState.CLAIMED and after.owner == before.owner
        self.figures.kills += 1
        self.figures.counted += was_made and is_same and is_dead(workers, after.owner or "")

    async def _look(self, key: str) -> tuple[Export, Work]:
        async with self.studio.store.database.read() as session:
            return await exports.get(session, self.story.id, key)

    def _fill_up(self) -> None:
        self._workers = [process for process in self._workers if process.is_alive()]
        crew = tone_process.Crew(self.studio.settings, self.folder / "exports.log")
        while len(self._workers) < WORKERS:
            self._workers.append(crew.work())

    def _end(self) -> None:
        for process in self._workers:
            process.kill()
            process.join()
        self._workers.clear()
