"""A story in stems: a clip for each, their sum as the mix, and one clip made where one changes."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from api.exports.service import open_mix
from api.revisions import service as revision_service
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.errors import BadInput
from audiostory_core.stem import engine_names
from audiostory_core.story.changes import ChooseTake, MoreTakes
from audiostory_core.story.edits import read_edits
from storage import mixes
from storage.models import RunState, SegmentRow, Take
from tests.support.author import Author, tone_in_catalog
from tests.support.postgres import ON_BOTH_DATABASES

RAIN = {"kind": "ambience", "text": "rain on a roof"}
PIANO = {"kind": "music", "text": "slow piano"}
ENGINES = {"dialogue": "tone", "music": "tone", "effects": "tone"}


def _says(words: str) -> dict[str, Any]:
    return {"kind": "speech", "words": words, "speaker": "Anna"}


def _scene(caption: str, *layers: dict[str, Any]) -> dict[str, Any]:
    return {"caption": caption, "duration_s": 3.0, "layers": layers}


PLAN = {
    "version": 2,
    "instruction": "A story of a test.",
    "language": "en",
    "duration_s": 15.0,
    "sub_events": [
        _scene("rain", RAIN, _says("It is late.")),
        _scene("a piano", PIANO, RAIN),
        _scene("she speaks", _says("Who is there?"), PIANO),
        _scene("nobody", {"kind": "sfx", "text": "a door"}, _says("Nobody.")),
        _scene("the end"),
    ],
}


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


async def _finished(studio, **values: Any) -> Author:
    story = await studio.add(
        PLAN["instruction"], **({"given_plan": PLAN, "engines": ENGINES} | values)
    )
    run = await studio.run(story.id)
    assert run.state == RunState.FINISHED, run.error
    return Author(studio, story.id)


async def _stem(author: Author, stem: str | None = None) -> np.ndarray:
    """The samples of a stem, or of the mix before its gain."""
    async with author.studio.store.database.read() as session:
        mix = await open_mix(session, author.studio.store.audio, author.story_id, stem)
    with Mixdown(mix.source) as read:
        return read.read(0, read.samples)


def _made(studio) -> Counter[str]:
    return Counter(request.stem.value for request in studio.engine.made)


@ON_BOTH_DATABASES
async def test_each_scene_has_a_clip_for_each_stem_that_it_needs(studio):
    author = await _finished(studio)

    scenes = await author.scenes()

    assert [[stem.stem for stem in scene.stems] for scene in scenes] == [
        ["dialogue", "effects"],
        ["effects", "music"],
        ["dialogue", "music"],
        ["dialogue", "effects"],
        ["composite"],
    ]
    assert _made(studio) == {"dialogue": 3, "effects": 3, "music": 2, "composite": 1}
    lines = [r for r in studio.engine.made if r.stem == "dialogue"]
    assert {r.samples for r in lines} == {3 * 44_100}  # without a tail
    assert all(layer.kind == "speech" for r in lines for layer in r.layers)


async def test_sum_of_the_stems_is_the_mix_before_its_gain(studio):
    author = await _finished(studio)

    whole = await _stem(author)

    stems = [await _stem(author, s) for s in ("composite", "dialogue", "music", "effects")]
    assert whole.shape == (2, 15 * 44_100)
    assert np.abs(sum(stems) - whole).max() < 1e-6
    assert all(np.abs(stem).max() > 0.01 for stem in stems)
    assert np.abs(stems[1][:, 3 * 44_100 : 6 * 44_100]).max() == 0.0  # nobody speaks there


@ON_BOTH_DATABASES
async def test_changed_line_makes_one_clip_one_body_and_two_seams(studio):
    author = await _finished(studio)
    before = await author.kept()
    changed = [_says("Who is it?"), PIANO]

    run = await author.edit({"op": "reword", "sub_event": 3, "layers": changed})

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert _made(studio) == {"dialogue": 1}
    after = await author.kept()
    fresh = [row for key, row in after.segments.items() if key not in before.segments]
    # Of the dialogue, its body and what of it lies under its seam; of the sum, what it is heard in.
    assert sum(row["file"] is not None for row in fresh) == 2
    assert sum(row["file"] is None for row in fresh) <= 5
    assert before.is_kept_in(after)


async def test_changed_line_leaves_other_stems_of_its_scene_as_they_were(studio):
    author = await _finished(studio)
    music, effects = await _stem(author, "music"), await _stem(author, "effects")
    balance = (await author.mix_row()).balance

    await author.edit({"op": "reword", "sub_event": 3, "layers": [_says("Who is it?"), PIANO]})

    if (await author.mix_row()).balance == balance:  # spoken at the same times
        assert np.array_equal(await _stem(author, "music"), music)
    assert np.array_equal(
        (await _stem(author, "effects"))[:, : 2 * 44_100], effects[:, : 2 * 44_100]
    )


async def test_undone_change_sounds_as_before_and_makes_nothing(studio):
    author = await _finished(studio)
    before = await author.heard()
    await author.edit(
        {"op": "reword", "sub_event": 1, "layers": [RAIN, _says("It is early.")]}, accept=True
    )
    assert not np.array_equal(await author.heard(), before)

    await author.undo()

    assert studio.engine.made == []
    assert np.array_equal(await author.heard(), before)


@ON_BOTH_DATABASES
async def test_takes_are_of_a_stem_and_chosen_apart(studio):
    author = await _finished(studio)
    ask = MoreTakes(sub_event=2, count=2, stem="music")
    await revision_service.ask(studio.store.database, author.story_id, ask)
    await author.wait()
    assert _made(studio) == {"music": 2}
    async with studio.store.database.read() as session:
        stems = [take.stem for take in await session.scalars(select(Take))]
    assert stems.count("music") == 4
    scene = (await author.scenes())[1]
    effects = next(stem.clip for stem in scene.stems if stem.stem == "effects")
    newest = await _newest_take(author, scene.scene)

    choose = ChooseTake(sub_event=2, take=newest.number)
    await revision_service.ask(studio.store.database, author.story_id, choose)
    await author.wait()

    assert studio.engine.made == []
    heard = {stem.stem: stem.clip for stem in (await author.scenes())[1].stems}
    assert heard == {"music": newest.clip_key, "effects": effects}


async def _newest_take(author: Author, sub_event_id: int) -> Take:
    newest = select(Take).where(Take.sub_event_id == sub_event_id).order_by(Take.number.desc())
    async with author.studio.store.database.read() as session:
        return (await session.scalars(newest)).first()


async def test_chosen_take_leaves_the_balance_as_it_is(studio):
    author = await _finished(studio)
    ask = MoreTakes(sub_event=2, count=1, stem="music")
    await revision_service.ask(studio.store.database, author.story_id, ask)
    await author.wait()
    newest = await _newest_take(author, (await author.scenes())[1].scene)
    gains = {"op": "balance", "sub_event": 2, "gain_db": {"music": -20}}
    await author.edit(gains, accept=True)
    before = (await author.mix_row()).balance

    await author.choose(2, newest.number)

    balance = (await author.mix_row()).balance
    assert balance["gains"] == before["gains"]
    assert -20 in [gain for _, gain in balance["gains"]["music"]]


async def test_more_takes_of_a_scene_of_several_stems_say_of_which(studio):
    author = await _finished(studio)

    ask = MoreTakes(sub_event=1, count=1)
    with pytest.raises(BadInput, match="dialogue, effects"):
        await revision_service.ask(studio.store.database, author.story_id, ask)


async def test_story_without_engines_of_stems_is_composite(studio):
    author = await _finished(studio, engines=None)

    assert _made(studio) == {"composite": 5}
    row = await author.mix_row()
    assert (row.stems, row.balance) == (["composite"], None)


async def test_clips_make_their_segments_and_stitch_little(studio, monkeypatch):
    from nodes import stitch  # noqa: PLC0415 - its own name is a function of it

    rendered = []
    monkeypatch.setattr(
        stitch, "_render_all", _counting(stitch._render_all, rendered), raising=True
    )

    author = await _finished(studio)

    row = await author.mix_row()
    assert len(row.segments) == len(set(row.segments)) or row.stems
    async with studio.store.database.read() as session:
        count = len((await session.scalars(select(SegmentRow.id))).all())
    assert len(rendered) < count / 2
    assert set(mixes.chains_of(row)) == {"sum", "composite", "dialogue", "music", "effects"}


def _counting(render, rendered):
    def counted(missing, services):
        rendered.extend(missing)
        return render(missing, services)

    return counted


async def test_branch_of_a_story_of_stems_goes_on_in_stems(studio):
    author = await _finished(studio)
    heard = await author.heard()

    begun = await revision_service.branch(studio.store.database, author.story_id, None, None)
    other = Author(studio, begun.id)
    await other.wait()

    assert studio.engine.made == []
    assert np.array_equal(await other.heard(), heard)
    await other.edit({"op": "reword", "sub_event": 3, "layers": [_says("Who is it?"), PIANO]})
    assert _made(studio) == {"dialogue": 1}
    await other.edit({"op": "balance", "gain_db": {"music": -6}}, accept=True)
    assert studio.engine.made == []


@ON_BOTH_DATABASES
async def test_balance_makes_no_clip_and_is_undone_to_the_bit(studio):
    author = await _finished(studio)
    before, music = await author.heard(), await _stem(author, "music")

    await author.edit(
        {"op": "balance", "gain_db": {"music": -6}, "depth_db": 0},
        {"op": "balance", "sub_event": 2, "gain_db": {"effects": -60}},
        accept=True,
    )

    assert studio.engine.made == []
    quiet, second = await _stem(author, "music"), slice(4 * 44_100, 5 * 44_100)
    there = np.abs(music[:, second]) > 0.01
    assert np.allclose((quiet[:, second] / music[:, second])[there], 10 ** (-6 / 20), rtol=1e-3)
    effects = (await _stem(author, "effects"))[:, 5 * 44_100 : 6 * 44_100]
    assert 0 < np.abs(effects).max() < 1e-3
    assert (await author.revision()).plan["mix"]["ducking"]["depth_db"] == 0
    await author.undo()
    assert np.array_equal(await author.heard(), before)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ({"sub_event": 2, "depth_db": 3}, "is of the whole story"),
        ({}, "changes nothing"),
        ({"sub_event": 9, "gain_db": {"music": 1}}, "more than the 5"),
    ],
)
async def test_balance_that_cannot_be_is_refused_at_once(studio, edit, problem):
    author = await _finished(studio)

    with pytest.raises(BadInput, match=problem):
        await author.edit({"op": "balance", **edit})


@pytest.mark.parametrize("gains", [{"music": 13}, {"music": float("nan")}, {"drums": 0}])
def test_gains_out_of_range_are_refused(gains):
    with pytest.raises(BadInput, match="gain_db"):
        read_edits([{"op": "balance", "gain_db": gains}])


async def test_composite_story_has_nothing_to_balance(studio):
    author = await _finished(studio, engines=None)

    with pytest.raises(BadInput, match="composite"):
        await author.edit({"op": "balance", "gain_db": {"music": -6}})


async def test_rejected_plan_keeps_how_the_stems_are_mixed(studio):
    mixed = PLAN | {"mix": {"gain_db": {"music": -6.0}, "ducking": {"depth_db": 12.0}}}
    story = await studio.add(
        PLAN["instruction"], given_plan=mixed, engines=ENGINES, review=True, duration_s=5.0
    )
    await studio.run(story.id)
    author = Author(studio, story.id)
    before = (await author.revision()).plan["mix"]

    await revision_service.reject(studio.store.database, story.id, "shorter")
    await author.wait()

    revision = await author.revision()
    assert (revision.number, revision.plan["mix"]) == (2, before)


def test_engines_of_a_story_are_named_once():
    assert engine_names("foley", None) == ("foley",)
    assert engine_names("foley", {"dialogue": "kokoro"}) == ("kokoro", "foley")
    assert engine_names("foley", dict.fromkeys(ENGINES, "tone")) == ("tone",)
