"""Layers with a shape in stories: what is made again for it, what is stored, and what comes back."""

import json
import shutil

import pytest

from api.backups.bundles import back_up
from api.backups.restoration import restore
from storage import revisions, stories
from storage.models import RunState
from tests.support.author import Author, tone_in_catalog
from tests.support.postgres import ON_BOTH_DATABASES
from tests.support.studio import Studio

RAIN = {"kind": "ambience", "text": "rain", "scenes": 2, "gain_db": -6.0}
BELL = {"kind": "sfx", "text": "a bell"}
PLAN = {
    "version": 2,
    "instruction": "rain and bells",
    "language": "en",
    "duration_s": 12.0,
    "sub_events": [
        {"caption": "first", "duration_s": 3.0, "layers": [RAIN]},
        {"caption": "second", "duration_s": 3.0, "layers": [BELL]},
        {"caption": "third", "duration_s": 3.0, "layers": [BELL]},
        {"caption": "last", "duration_s": 3.0, "layers": [BELL]},
    ],
}


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


@pytest.fixture
async def author(studio):
    story = await studio.add(PLAN["instruction"], duration_s=12.0, given_plan=PLAN)
    run = await studio.run(story.id)
    assert run.state == RunState.FINISHED, run.error
    return Author(studio, story.id)


def _shape(sub_event, **shape):
    return {"op": "shape", "sub_event": sub_event, "layer": 1} | shape


def _requested(author):
    """The layers of the clips made since the last wait began, by caption."""
    return {
        request.caption: [layer.model_dump(exclude_none=True) for layer in request.layers]
        for request in author.studio.engine.made
    }


@ON_BOTH_DATABASES
async def test_scenes_are_requested_with_the_layers_that_reach_them(author):
    requested = _requested(author)

    heard = {"kind": "ambience", "text": "rain", "gain_db": -6.0}
    assert requested == {
        "first": [heard],
        "second": [heard | {"start_s": 0.0}, BELL],
        "third": [BELL],
        "last": [BELL],
    }
    assert {request.version for request in author.studio.engine.made} == {2}


async def test_shape_of_a_layer_is_made_again_where_it_is_heard_and_nowhere_else(author):
    run = await author.edit(_shape(1, gain_db=-12, clear=["scenes"]))

    assert run.waits_for == "mix review", run.error
    assert _requested(author) == {
        "first": [{"kind": "ambience", "text": "rain", "gain_db": -12.0}],
        "second": [BELL],
    }
    assert [layer.scenes for layer in (await author.scenes())[0].layers] == [None]
    assert (await author.revision()).summary == "scene 1, layer 1: -12 dB, no scenes"
    assert (await author.revision()).plan["version"] == 2


async def test_scene_put_into_a_span_is_made_and_the_others_are_kept(author):
    await author.edit({"op": "insert", "at": 2, "caption": "new", "duration_s": 2.0})

    assert author.made() == ["new"]
    assert (await author.scenes())[0].layers[0].scenes == 3


async def test_chosen_take_makes_again_what_its_layers_reach(author):
    before = [scene.clip for scene in await author.scenes()]
    await author.edit(_shape(1, scenes=3), accept=True)
    assert sorted(author.made()) == ["third"]

    await author.choose(1, 1)

    assert [scene.clip for scene in await author.scenes()] == before
    assert author.made() == []  # as it was, so that its clip is still there


async def test_layer_that_reaches_over_the_end_is_a_note(author):
    await author.edit(_shape(3, scenes=9, clear=[]), accept=True)

    notes = (await author.revision()).plan["notes"]
    assert notes == [
        "Scene 3: “a bell” is to be heard in 9 scenes, but 2 are left; it ends with the story."
    ]


async def test_shapes_and_version_are_in_a_backup_and_come_back(author, tmp_path, migrated):
    bundle = tmp_path / "story.audiostory"
    await back_up(author.studio.store, author.story_id, bundle)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(migrated, tmp_path / "elsewhere/studio.db")
    other = await Studio.make(tmp_path / "elsewhere")

    await restore(other.store, bundle)

    async with other.store.database.read() as session:
        story = await stories.get(session, author.story_id)
        revision = await revisions.get(session, story.revision_id)
        scenes = await revisions.list_wordings(session, revision.scenes)
    assert revision.plan["version"] == 2
    assert [scene.layers for scene in scenes] == [
        event["layers"] for event in json.loads(json.dumps(PLAN["sub_events"]))
    ]
    await other.store.database.close()
