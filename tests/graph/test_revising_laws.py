"""What holds of a story whatever its author does to it, in whatever order."""

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.revisions import service as revision_service
from audiostory_core.errors import BadInput
from audiostory_core.story.changes import ChooseTake, Edits, MoreTakes
from audiostory_core.story.edits import read_edits
from audiostory_core.story.plan import seconds_of
from storage import clips, revisions
from storage.errors import Conflict, NotFound
from storage.models import ACTIVE
from tests.support.author import Author, Kept, tone_in_catalog

STEPS = 40
TAIL = 11_025  # samples
CAPTIONS = ["rain", "thunder", "birds", "bells", "a loud crash", "nan hiss", "sea"]
REFUSALS = (BadInput, Conflict, NotFound)


@dataclass
class Walk:
    """An author who does what comes into his mind, and what must stay true meanwhile."""

    author: Author
    random: random.Random
    accepted: dict[int, str] = field(default_factory=dict)  # digests of accepted mixes
    kept: Kept | None = None
    refused: int = 0
    done: list[str] = field(default_factory=list)

    async def step(self) -> None:
        deeds = [self._edit] * 5 + [self._undo, self._redo, self._switch]
        deeds += [self._more_takes, self._choose, self._choose, self._approve, self._approve]
        deed = self.random.choice(deeds)
        try:
            await deed()
        except REFUSALS:
            self.refused += 1

    async def check(self) -> None:
        """Assert what is always true of a story that is settled."""
        run = await self.author.studio.latest_run(self.author.story_id)
        assert run.state not in ACTIVE or run.waits_for == "mix review", (run.state, run.error)
        assert run.error is None
        await self._check_scenes()
        await self._check_history()
        self._check_engine()

    async def _check_scenes(self) -> None:
        studio, revision = self.author.studio, await self.author.revision()
        async with studio.store.database.read() as session:
            versions = await revisions.list_scenes(session, revision)
            stems = await revisions.list_stems(session, revision.scenes)
            heard = [stems[version.id]["composite"] for version in versions]
            keys = [stem.clip_key for stem in heard]
            made = await clips.list_by_key(session, keys)
        requests = [json.loads(made[key].request) for key in keys]
        assert sum(version.samples for version in versions) == revision.samples
        for version, stem, told in zip(versions, heard, requests, strict=True):
            tail = 0 if version is versions[-1] else TAIL
            assert told["samples"] == version.samples + tail
            assert told["parameters"]["tail_samples"] == tail
            assert made[stem.clip_key].file is not None
            assert stem.is_judged
            assert version.caption == told["caption"]
        sound = await self.author.heard()
        assert sound.shape == (2, revision.samples)

    async def _check_history(self) -> None:
        now = await self.author.kept()
        if self.kept is not None:
            assert self.kept.segments.items() <= now.segments.items()
            assert self.kept.files.items() <= now.files.items()
            assert _without(self.kept.takes) == _among(now.takes, self.kept.takes)
            assert _without(self.kept.revisions) == _among(now.revisions, self.kept.revisions)
            assert _without(self.kept.scenes) == _among(now.scenes, self.kept.scenes)
        for revision_id, mix in now.mixes.items():
            if mix["is_accepted"] and revision_id not in self.accepted:
                self.accepted[revision_id] = await self.author.digest(revision_id)
        for revision_id in self.random.sample(sorted(self.accepted), min(2, len(self.accepted))):
            assert await self.author.digest(revision_id) == self.accepted[revision_id]
        self.kept = now

    def _check_engine(self) -> None:
        asked = [repr(one) for one in self.author.studio.engine.made]
        assert len(set(asked)) == len(asked)

    async def _ask(self, asked: Any) -> None:
        self.done.append(str(asked))
        accept = self.random.random() < 0.3
        database = self.author.studio.store.database
        await revision_service.ask(database, self.author.story_id, asked, accept=accept)

    async def _edit(self) -> None:
        count = self.random.choice([1, 1, 1, 2, 3])
        edits = [self._any_edit(await self._length()) for _ in range(count)]
        total = self.random.choice(["move", "move", "keep"])
        follow = self.random.random() < 0.2
        await self._ask(Edits(edits=read_edits(edits), total=total, follow=follow))

    def _any_edit(self, length: int) -> dict[str, Any]:
        place = self.random.randint(1, length)
        duration_s = self.random.choice([0.5, 0.75, 1.2345, 2.0])
        caption = self.random.choice(CAPTIONS)
        edits = [
            {"op": "reword", "sub_event": place, "caption": caption},
            {"op": "reword", "sub_event": place, "seed": self.random.randint(0, 5)},
            {"op": "reword", "sub_event": place, "duration_s": duration_s},
            {"op": "reword", "sub_event": place, "change": "louder"},
            {"op": "insert", "at": place, "caption": caption, "duration_s": duration_s},
            {"op": "delete", "sub_event": place},
            {"op": "move", "sub_event": place, "to": self.random.randint(1, length)},
            {"op": "split", "sub_event": place, "at_s": 0.6},
            {"op": "merge", "sub_event": place},
        ]
        return self.random.choice(edits)

    async def _more_takes(self) -> None:
        place = self.random.randint(1, await self._length())
        await self._ask(MoreTakes(sub_event=place, count=self.random.randint(1, 2)))

    async def _choose(self) -> None:
        place = self.random.randint(1, await self._length())
        takes = await self.author.takes(place)
        await self._ask(ChooseTake(sub_event=place, take=self.random.randint(1, len(takes))))

    async def _undo(self) -> None:
        self.done.append("undo")
        await revision_service.undo(self.author.studio.store.database, self.author.story_id)

    async def _redo(self) -> None:
        self.done.append("redo")
        await revision_service.redo(self.author.studio.store.database, self.author.story_id)

    async def _switch(self) -> None:
        numbers = [row["number"] for row in (self.kept.revisions if self.kept else {}).values()]
        named = self.random.choice(numbers or [1])
        self.done.append(f"switch {named}")
        await revision_service.switch(
            self.author.studio.store.database, self.author.story_id, named
        )

    async def _approve(self) -> None:
        self.done.append("approve")
        await revision_service.approve(self.author.studio.store.database, self.author.story_id)

    async def _length(self) -> int:
        return len((await self.author.revision()).scenes)


JUDGED = ("condition_id", "clip_key", "rerolls", "is_judged", "flags")  # set once a clip is made


def _without(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {
        key: {name: row[name] for name in row if name not in JUDGED} for key, row in rows.items()
    }


def _among(now: dict[int, dict[str, Any]], before: dict[int, Any]) -> dict[int, dict[str, Any]]:
    return _without({key: now[key] for key in before})


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


async def _take_steps(walk: Walk, steps: int) -> None:
    for _ in range(steps):
        await walk.author.studio.settle(walk.author.story_id)
        await walk.check()
        await walk.step()
    await walk.author.studio.settle(walk.author.story_id)
    await walk.check()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_the_author_does_the_story_holds(studio, seed):
    story = await studio.add("rain\nthunder\nbirds", duration_s=3.0, tail_s=seconds_of(TAIL))
    walk = Walk(Author(studio, story.id), random.Random(seed))
    async with studio.worker() as worker:
        working = asyncio.create_task(worker.work())
        walking = asyncio.create_task(_take_steps(walk, STEPS))
        await asyncio.wait({working, walking}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await working
        await walking

    assert walk.refused < STEPS / 2
    assert len(walk.accepted) > 3
    for revision_id, digest in walk.accepted.items():
        assert await walk.author.digest(revision_id) == digest
