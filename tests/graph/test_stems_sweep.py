"""What a sweep keeps and removes of stories in stems."""

import os
import time
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from api.exports.service import open_mix
from api.revisions import service as revision_service
from audiostory_core.story.changes import MoreTakes
from storage import deletion
from storage.gc import Sweep, survey, sweep
from storage.models import Clip, RunState, SceneStem, Take, Work
from tests.support.author import Author, tone_in_catalog
from tests.support.postgres import ON_BOTH_DATABASES

DAY_S = 86_400.0
ENGINES = {"dialogue": "tone", "music": "tone", "effects": "tone"}
STEMS = (None, "dialogue", "music", "effects")
pytestmark = ON_BOTH_DATABASES


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


def _scene(caption: str, words: str) -> dict[str, Any]:
    layers = [
        {"kind": "ambience", "text": f"rain on {caption}"},
        {"kind": "music", "text": f"a piano in {caption}"},
        {"kind": "speech", "words": words, "speaker": "Anna"},
    ]
    return {"caption": caption, "duration_s": 3.0, "layers": layers}


async def _finished(studio, *scenes: dict[str, Any]) -> Author:
    plan = {
        "version": 2,
        "instruction": "A story of a test.",
        "language": "en",
        "sub_events": list(scenes),
    }
    story = await studio.add(plan["instruction"], given_plan=plan, engines=ENGINES)
    run = await studio.run(story.id)
    assert run.state == RunState.FINISHED, run.error
    return Author(studio, story.id)


async def _heard(author: Author) -> list[np.ndarray]:
    """The mix as it sounds, and each stem before the gain."""
    heard = [await author.heard()]
    for stem in STEMS:
        async with author.studio.store.database.read() as session:
            mix = await open_mix(session, author.studio.store.audio, author.story_id, stem)
        with mix:
            heard.append(mix.read(0, mix.samples))
    return heard


async def _age(store) -> None:
    """Make everything in the store two days old."""
    then = time.time() - 2 * DAY_S
    for path in store.audio.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))
    async with store.database.write() as session:
        await session.execute(update(Clip).values(finished_at=then))
        await session.execute(update(Work).values(queued_at=then))


async def _sweep(store) -> Sweep:
    await _age(store)
    foreseen = await survey(store.database, store.audio, store.exports, DAY_S)
    removed = await sweep(store.database, store.audio, store.exports, DAY_S)
    assert (sorted(foreseen.clips), sorted(foreseen.files)) == (
        sorted(removed.clips),
        sorted(removed.files),
    )
    assert foreseen.segments == removed.segments
    return removed


async def _clips(author: Author) -> dict[str, str]:
    """File of each clip that a story's scenes and takes are heard as, by key."""
    async with author.studio.store.database.read() as session:
        taken = select(Take.clip_key)
        of_scenes = select(SceneStem.clip_key)
        rows = await session.execute(
            select(Clip.key, Clip.file).where(Clip.key.in_(of_scenes) | Clip.key.in_(taken))
        )
        return {row.key: row.file for row in rows}


async def test_sweep_keeps_all_that_a_story_of_stems_is_heard_as(studio):
    author = await _finished(studio, _scene("the roof", "It is late."), _scene("a hall", "Go."))
    asked = MoreTakes(sub_event=2, count=2, stem="music")
    await revision_service.ask(studio.store.database, author.story_id, asked)
    await author.wait()
    layers = _scene("the roof", "It is early.")["layers"]
    await author.edit({"op": "reword", "sub_event": 1, "layers": layers}, accept=True)
    kept, heard = await author.kept(), await _heard(author)

    removed = await _sweep(studio.store)

    assert (removed.clips, removed.segments, removed.files) == ([], [], [])
    assert kept.is_kept_in(await author.kept())
    assert all(map(np.array_equal, await _heard(author), heard))


async def test_takes_of_a_stem_can_be_chosen_after_a_sweep_without_making_any(studio):
    author = await _finished(studio, _scene("the roof", "It is late."), _scene("a hall", "Go."))
    asked = MoreTakes(sub_event=2, count=2, stem="music")
    await revision_service.ask(studio.store.database, author.story_id, asked)
    await author.wait()
    newest = max(take.take for take in await author.takes(2))
    await author.choose(2, newest)
    await author.approve()
    chosen = await _heard(author)
    await author.undo()
    before = await _heard(author)
    assert not np.array_equal(before[3], chosen[3])

    await _sweep(studio.store)

    await author.redo()
    assert studio.engine.made == []
    assert all(map(np.array_equal, await _heard(author), chosen))
    await author.undo()
    assert studio.engine.made == []
    assert all(map(np.array_equal, await _heard(author), before))


async def test_deleted_story_of_stems_leaves_what_another_is_heard_as(studio):
    shared = _scene("the roof", "It is late.")
    author = await _finished(studio, shared, _scene("a hall", "Go."))
    kept, heard = await author.kept(), await _heard(author)
    own = await _clips(author)
    other = await _finished(studio, shared, _scene("a cave", "Stay."))
    gone = (await _clips(other)).keys() - own.keys()
    assert gone
    async with studio.store.database.write() as session:
        await deletion.delete_story(session, other.story_id)

    removed = await _sweep(studio.store)

    assert sorted(removed.clips) == sorted(gone)
    assert removed.segments
    assert kept.is_kept_in(await author.kept())
    assert set((await author.kept()).files) == set(kept.files)
    assert await _clips(author) == own
    assert all(map(np.array_equal, await _heard(author), heard))
    again = await _sweep(studio.store)
    assert (again.clips, again.segments, again.files) == ([], [], [])
