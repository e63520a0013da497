"""A store from before foley's sound had a number goes on, and nothing finished is made again.

tests/data/killed_store.zip was made by the release whose revision was a hash of foley's source: a
story with a revised scene, one that waits for the review of its plan, and one whose process was
killed when the first of its four clips was finished.
"""

import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select

from api.revisions import service as revision_service
from audiostory_core.engines.foley.engine import SOUND, Foley
from audiostory_core.engines.protocol import UNWATCHED, ClipRequest, ClipResult, ProgressListener
from audiostory_core.planners.clauses.planner import Clauses
from storage.models import Clip, Mix, RunState, SegmentRow, Story
from storage.schema import migrate
from tests.support.author import Author
from tests.support.studio import Studio

STORE = Path(__file__).parent.parent / "data/killed_store.zip"
BY_SOURCE = "f876b3c005af1d54"  # the revision of every clip in it
REVISED, REVIEWED, KILLED = 1, 3, 2  # seeds of the stories


@dataclass
class Noting:
    """Foley, and the requests it was given."""

    foley: Foley = field(default_factory=Foley)
    requests: list[ClipRequest] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.foley, name)

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        self.requests += requests
        return self.foley.synthesize(requests, watch)

    def made(self) -> list[str]:
        return [request.caption for request in self.requests]


@pytest.fixture
def foley():
    noting = Noting()
    yield noting
    noting.close()


@pytest.fixture
async def old_studio(tmp_path, foley) -> AsyncIterator[Studio]:
    home = tmp_path / "home"
    with zipfile.ZipFile(STORE) as archive:
        archive.extractall(home)
    migrate(home / "studio.db")
    studio = await Studio.make(home)
    studio.engines["foley"], studio.planners["clauses"] = foley, Clauses()
    yield studio
    await studio.store.database.close()


async def _author(studio: Studio, seed: int) -> Author:
    async with studio.store.database.read() as session:
        story = (await session.scalars(select(Story).where(Story.seed == seed))).one()
    return Author(studio, story.id)


async def _rows(studio: Studio, table: type[Any]) -> list[dict[str, Any]]:
    async with studio.store.database.read() as session:
        rows = (await session.scalars(select(table))).all()
        columns = inspect(table).mapper.column_attrs
        return [{column.key: getattr(row, column.key) for column in columns} for row in rows]


async def _finished(studio: Studio) -> dict[str, dict[str, Any]]:
    rows = await _rows(studio, Clip)
    return {row["key"]: row for row in rows if row["file"] is not None}


def _revision(clip: dict[str, Any]) -> str:
    return json.loads(clip["request"])["engine_revision"]


async def test_killed_story_goes_on_and_only_what_was_not_finished_is_made(old_studio, foley):
    before = await _finished(old_studio)
    queued = {row["key"] for row in await _rows(old_studio, Clip)} - before.keys()
    author = await _author(old_studio, KILLED)
    assert len(queued) == 3

    run = await author.wait()

    after = await _finished(old_studio)
    assert run.state == RunState.FINISHED, run.error
    assert sorted(foley.made()) == ["a beep", "a bell", "a car horn"]
    assert before.items() <= after.items()
    assert after.keys() == before.keys() | queued
    assert {_revision(clip) for clip in after.values()} == {BY_SOURCE}
    assert (await author.heard()).shape == (2, 4 * 22_050)


async def test_planned_story_is_made_under_the_number_of_the_sound(old_studio, foley):
    before = await _finished(old_studio)
    author = await _author(old_studio, REVIEWED)

    run = await author.approve()

    after = await _finished(old_studio)
    heard = {scene.clip for scene in await author.scenes()}
    assert run.state == RunState.FINISHED or run.waits_for == "mix review", run.error
    assert {"a whistle", "a clock ticks"} <= set(foley.made())
    assert before.items() <= after.items()
    assert {_revision(after[key]) for key in heard} == {str(SOUND)}


async def test_takes_are_heard_and_undone_without_a_clip_made_again(old_studio, foley):
    author = await _author(old_studio, REVISED)
    before = await _finished(old_studio)
    mixes, segments = await _rows(old_studio, Mix), await _rows(old_studio, SegmentRow)
    revised = await author.heard()

    await revision_service.undo(old_studio.store.database, author.story_id)
    original = await author.heard()
    await author.choose(2, 2)

    after = await _finished(old_studio)
    assert "a distant bell" not in foley.made()
    assert before.items() <= after.items()
    assert (original != revised).any()
    assert [row for row in await _rows(old_studio, SegmentRow) if row in segments] == segments
    assert [row for row in await _rows(old_studio, Mix) if row in mixes] == mixes
    assert (await author.captions())[1] == "a distant bell"
    assert ((await author.heard()) == revised).all()
