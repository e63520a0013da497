"""An author at work on a studio of the tests: what he asks for, and what is there afterwards."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import inspect, select

from api.engines import planners
from api.exports.service import open_mix
from api.revisions import service as revision_service
from api.revisions.queries import view_takes
from api.revisions.schemas import TakeView
from api.stories.queries import view_scenes
from api.stories.schemas import SceneView
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.story.changes import ChooseTake, Edits, MoreTakes
from audiostory_core.story.edits import read_edits
from storage import mixes, revisions, stories
from storage.models import Mix, Revision, Run, SceneVersion, SegmentRow, Take
from tests.support.cards import ENGINES, engines_in
from tests.support.studio import Studio


@contextmanager
def tone_in_catalog() -> Iterator[None]:
    """Have the edge know the tests' engine and planner, as it knows those that are shipped."""
    planners.PLANNERS["lines"] = "tests.support.fakes:LinePlanner"
    try:
        with engines_in(ENGINES):
            yield
    finally:
        del planners.PLANNERS["lines"]


@dataclass(frozen=True)
class Kept:
    """Everything of a store that a change might touch: rows as dicts, files by their digest."""

    scenes: dict[int, dict[str, Any]]
    revisions: dict[int, dict[str, Any]]
    segments: dict[int, dict[str, Any]]
    mixes: dict[int, dict[str, Any]]
    takes: dict[int, dict[str, Any]]
    files: dict[str, str]

    def is_kept_in(self, later: "Kept") -> bool:
        """Whether all of it is still there, unchanged."""
        return all(
            getattr(self, name).items() <= getattr(later, name).items()
            if name == "files"
            else all(
                getattr(later, name).get(key) == row for key, row in getattr(self, name).items()
            )
            for name in ("scenes", "revisions", "segments", "mixes", "takes", "files")
        )

    def new_segments(self, later: "Kept") -> tuple[int, int]:
        """Bodies and seams that are only in the later one."""
        fresh = [row for key, row in later.segments.items() if key not in self.segments]
        seams = sum(row["seam"] is not None for row in fresh)
        return len(fresh) - seams, seams


@dataclass(frozen=True)
class Author:
    """Asks for changes of one story and has them made.

    Args:
        studio: where the story is.
        story_id: of the story.
    """

    studio: Studio
    story_id: str

    async def ask(self, *edits: dict[str, Any], accept: bool = False, **options: Any) -> Run:
        """Ask for edits, without having them made."""
        asked = Edits(edits=read_edits(edits), **options)
        return await revision_service.ask(
            self.studio.store.database, self.story_id, asked, accept=accept
        )

    async def edit(self, *edits: dict[str, Any], accept: bool = False, **options: Any) -> Run:
        """Have edits made; the clips that were made for it are in `studio.engine.made`."""
        await self.ask(*edits, accept=accept, **options)
        return await self.wait()

    async def more_takes(self, sub_event: int, count: int) -> Run:
        asked = MoreTakes(sub_event=sub_event, count=count)
        await revision_service.ask(self.studio.store.database, self.story_id, asked)
        return await self.wait()

    async def choose(self, sub_event: int, take: int) -> Run:
        asked = ChooseTake(sub_event=sub_event, take=take)
        await revision_service.ask(self.studio.store.database, self.story_id, asked)
        return await self.wait()

    async def approve(self) -> Run:
        assert await revision_service.approve(self.studio.store.database, self.story_id)
        return await self.wait()

    async def undo(self) -> Run:
        await revision_service.undo(self.studio.store.database, self.story_id)
        return await self.wait()

    async def redo(self) -> Run:
        await revision_service.redo(self.studio.store.database, self.story_id)
        return await self.wait()

    async def switch(self, named: int | str) -> Run:
        await revision_service.switch(self.studio.store.database, self.story_id, named)
        return await self.wait()

    async def wait(self) -> Run:
        """Work until the story is settled; only what is made in this wait is in `made`."""
        self.studio.engine.made.clear()
        return await self.studio.run(self.story_id)

    def made(self) -> list[str]:
        """Captions of the clips made since the last wait began."""
        return [request.caption for request in self.studio.engine.made]

    async def revision(self, named: int | str | None = None) -> Revision:
        """Read the current revision, or one by number or name."""
        async with self.studio.store.database.read() as session:
            if named is not None:
                return await revisions.find(session, self.story_id, named)
            story = await stories.get(session, self.story_id)
            return await revisions.get(session, story.revision_id)

    async def scenes(self) -> list[SceneView]:
        revision = await self.revision()
        async with self.studio.store.database.read() as session:
            return await view_scenes(session, revision)

    async def captions(self) -> list[str]:
        return [scene.caption for scene in await self.scenes()]

    async def takes(self, sub_event: int) -> list[TakeView]:
        async with self.studio.store.database.read() as session:
            _, listed = await view_takes(session, self.story_id, sub_event)
        return listed

    async def mix_row(self, named: int | str | None = None) -> Mix:
        revision = await self.revision(named)
        async with self.studio.store.database.read() as session:
            found = await revisions.find_mix(session, revision.id)
        assert found is not None
        return found

    async def heard(self) -> np.ndarray:
        """Samples of the current mix."""
        async with self.studio.store.database.read() as session:
            mix = await open_mix(session, self.studio.store.audio, self.story_id)
        with mix:
            return mix.read(0, mix.samples)

    async def digest(self, revision_id: int) -> str:
        """Digest of a mix as it sounds, current or not."""
        audio = self.studio.store.audio
        async with self.studio.store.database.read() as session:
            row = await revisions.find_mix(session, revision_id)
            listed = await mixes.list_segments(session, row)
        parts = [MixSegment(audio.path(one.file), one.offset, one.samples) for one in listed]
        mastering = MasterGain(row.mastering["gain_db"], row.mastering["limiting"])
        with Mixdown(parts, mastering) as mix:
            return hashlib.sha256(mix.read(0, mix.samples).tobytes()).hexdigest()

    async def kept(self) -> Kept:
        """Read all that a change might touch."""
        tables = {
            "scenes": SceneVersion,
            "revisions": Revision,
            "segments": SegmentRow,
            "mixes": Mix,
            "takes": Take,
        }
        read: dict[str, Any] = {}
        async with self.studio.store.database.read() as session:
            for name, table in tables.items():
                rows = (await session.scalars(select(table))).all()
                read[name] = {inspect(row).identity[0]: _columns(row) for row in rows}
        folder = self.studio.store.audio.folder
        files = {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.suffix in (".flac", ".au")
        }
        return Kept(**read, files=files)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(row).mapper.column_attrs}
