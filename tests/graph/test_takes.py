"""Takes: every clip ever made for a sub-event is kept, compared and chosen from."""

from collections.abc import Sequence

import numpy as np
import pytest

from api.revisions import service as revision_service
from audiostory_core.engines.protocol import UNWATCHED, ClipRequest, ClipResult, ProgressListener
from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.story.changes import ChooseTake, MoreTakes
from nodes.rows import derive_seed
from storage.errors import NotFound
from storage.models import RunState
from tests.support.author import Author, tone_in_catalog
from tests.support.fakes import ToneEngine
from tests.support.postgres import ON_BOTH_DATABASES

SECOND = 44_100


class _Failing(ToneEngine):
    """Can make nothing."""

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        raise EngineFailed("cannot make anything")


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


async def _finished(studio, instruction: str = "rain\nthunder\nbirds", **values) -> Author:
    story = await studio.add(instruction, **({"duration_s": 9.0} | values))
    await studio.run(story.id)
    return Author(studio, story.id)


def _reword(sub_event: int, caption: str, **told) -> dict:
    return {"op": "reword", "sub_event": sub_event, "caption": caption, "seed": 123} | told


@ON_BOTH_DATABASES
async def test_three_more_takes_have_seeds_of_their_own_and_change_nothing_else(studio):
    author = await _finished(studio)
    before, heard = await author.kept(), await author.heard()

    run = await author.more_takes(2, 3)

    takes = await author.takes(2)
    after = await author.kept()
    assert run.state == RunState.FINISHED
    assert author.made() == ["thunder"] * 3
    assert [(take.take, take.origin, take.is_heard) for take in takes] == [
        (1, "made", True),
        (2, "asked for", False),
        (3, "asked for", False),
        (4, "asked for", False),
    ]
    assert len({take.recipe["seed"] for take in takes}) == 4
    assert {take.status for take in takes} == {"finished"}
    assert before.is_kept_in(after)
    assert (after.scenes, after.mixes) == (before.scenes, before.mixes)
    assert np.array_equal(await author.heard(), heard)


async def test_more_takes_asked_for_again_are_others(studio):
    author = await _finished(studio)

    await author.more_takes(2, 2)
    await author.more_takes(2, 2)

    takes = await author.takes(2)
    assert len({take.clip for take in takes}) == len(takes) == 5


@ON_BOTH_DATABASES
async def test_chosen_take_is_heard_and_nothing_is_made(studio):
    author = await _finished(studio)
    await author.more_takes(2, 2)
    before, heard = await author.kept(), await author.heard()

    run = await author.choose(2, 3)

    takes = await author.takes(2)
    assert (run.waits_for, author.made()) == ("mix review", [])
    assert [take.is_heard for take in takes] == [False, False, True]
    assert before.new_segments(await author.kept()) == (1, 2)
    assert before.is_kept_in(await author.kept())
    assert not np.array_equal(await author.heard(), heard)
    assert (await author.scenes())[1].seed == takes[2].recipe["seed"]
    await author.choose(2, 1)
    assert np.array_equal(await author.heard(), heard)
    assert author.made() == []


async def test_chosen_take_of_another_duration_moves_the_total(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl", duration_s=1.5), accept=True)
    assert (await author.heard()).shape == (2, 7.5 * SECOND)

    await author.choose(2, 1)

    assert author.made() == []
    assert (await author.heard()).shape == (2, 9 * SECOND)
    assert [scene.caption for scene in await author.scenes()] == ["rain", "thunder", "birds"]


@pytest.mark.parametrize("is_last", [True, False])
async def test_chosen_take_that_ends_otherwise_than_its_place_needs_is_made_again(studio, is_last):
    author = await _finished(studio)
    moved = {"op": "move", "sub_event": 2, "to": 3} if is_last else None
    moved = moved or {"op": "move", "sub_event": 3, "to": 1}
    place = 3 if is_last else 1
    await author.edit(moved, accept=True)

    await author.choose(place, 1)  # was made with a tail if it is last now, and without if not

    scene = (await author.scenes())[place - 1]
    lengths = {take.take: take.recipe["samples"] for take in await author.takes(place)}
    assert author.made() == []  # the take that fits is there: the same wording and seed
    assert lengths[2] == 3 * SECOND + (0 if is_last else SECOND)
    assert scene.clip == (await author.takes(place))[1].clip


async def test_other_take_of_a_scene_that_became_the_last_is_made_without_a_tail(studio):
    author = await _finished(studio)
    await author.more_takes(2, 1)
    await author.edit({"op": "delete", "sub_event": 3}, accept=True)

    await author.choose(2, 2)

    assert author.made() == ["thunder"]
    [request] = studio.engine.made
    assert request.samples == 3 * SECOND
    assert request.seed == (await author.takes(2))[1].recipe["seed"]
    assert (await author.heard()).shape == (2, 6 * SECOND)


async def test_every_clip_ever_made_stays_a_take_with_its_recipe(studio):
    author = await _finished(studio, "rain\nnan hiss\nbirds")
    studio.engine.bad_seeds = frozenset()
    await author.edit(_reword(2, "an owl"), accept=True)
    await author.undo()
    await author.edit(_reword(2, "a dog", seed=5), accept=True)

    takes = await author.takes(2)

    assert [(take.caption, take.origin) for take in takes] == [
        ("nan hiss", "made"),
        ("nan hiss", "re-rolled"),
        ("nan hiss", "re-rolled"),
        ("an owl", "made"),
        ("a dog", "made"),
    ]
    for take in takes:
        assert take.recipe["engine"] == "tone"
        assert take.recipe["engine_revision"] == "1"
        assert take.recipe["caption"] == take.caption
        assert take.recipe["parameters"] == {"story_seed": 7, "tail_samples": SECOND}
        assert take.measures
    assert takes[3].recipe["seed"] == 123


async def test_what_the_check_finds_is_in_its_event_in_words_and_by_a_code(studio):
    author = await _finished(studio, "rain\nnan hiss\nbirds")

    kinds = {"clip.rerolled", "scene.flagged"}
    noted = [event for event in await studio.events(author.story_id) if event.kind in kinds]

    assert [event.kind for event in noted] == ["clip.rerolled", "clip.rerolled", "scene.flagged"]
    for event in noted:
        assert event.data["codes"] == ["not_finite"]
        assert event.data["reasons"] == ["it holds values that are not numbers"]


async def test_takes_that_were_undone_can_be_chosen(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"), accept=True)
    await author.undo()

    await author.choose(2, 2)

    assert author.made() == []
    assert [scene.caption for scene in await author.scenes()] == ["rain", "an owl", "birds"]


async def test_rerolled_scene_has_more_takes_with_seeds_that_the_check_did_not_use(studio):
    story = await studio.add("rain\nnan hiss\nbirds", duration_s=9.0)
    seed = derive_seed(story.seed, 1)
    studio.engine.bad_seeds = frozenset({seed})
    await studio.run(story.id)
    author = Author(studio, story.id)

    await author.more_takes(2, 2)

    takes = await author.takes(2)
    seeds = [take.recipe["seed"] for take in takes]
    assert [take.origin for take in takes] == ["made", "re-rolled", "asked for", "asked for"]
    assert len(set(seeds)) == 4
    assert [take.is_heard for take in takes] == [False, True, False, False]


async def test_take_that_cannot_be_made_does_not_fail_the_story(studio):
    author = await _finished(studio)
    heard = await author.heard()
    studio.engine = _Failing()

    run = await author.more_takes(2, 1)

    assert (run.state, run.error) == (RunState.FINISHED, None)
    assert (await author.takes(2))[1].status == "failed"
    assert "cannot" in (await author.takes(2))[1].error
    assert np.array_equal(await author.heard(), heard)
    with pytest.raises(BadInput, match="failed"):
        await author.choose(2, 2)


async def test_take_that_failed_is_tried_again_when_more_are_asked_for(studio):
    author = await _finished(studio)
    working, studio.engine = studio.engine, _Failing()
    await author.more_takes(2, 1)
    studio.engine = working

    await author.more_takes(2, 1)

    assert [take.status for take in await author.takes(2)] == ["finished", "failed", "finished"]


@pytest.mark.parametrize("asked", [MoreTakes(sub_event=4), ChooseTake(sub_event=4, take=1)])
async def test_scene_that_is_not_there_has_no_takes(studio, asked):
    author = await _finished(studio)

    with pytest.raises(BadInput) as refused:
        await revision_service.ask(studio.store.database, author.story_id, asked)

    assert refused.value.field == "sub_event"


async def test_take_that_is_not_there_is_not_found(studio):
    author = await _finished(studio)

    with pytest.raises(NotFound):
        await author.choose(2, 2)


async def test_takes_follow_a_scene_that_moves(studio):
    author = await _finished(studio)
    await author.more_takes(1, 1)

    await author.edit({"op": "move", "sub_event": 1, "to": 2}, accept=True)

    assert [take.caption for take in await author.takes(2)] == ["rain", "rain"]
    assert len(await author.takes(1)) == 1


async def test_takes_of_a_branch_are_those_of_its_origin(studio):
    author = await _finished(studio)
    await author.more_takes(2, 1)
    begun = await revision_service.branch(studio.store.database, author.story_id, None, None)
    other = Author(studio, begun.id)
    await other.wait()

    await other.choose(2, 2)

    assert other.made() == []
    assert [take.is_heard for take in await other.takes(2)] == [False, True]
    assert [take.is_heard for take in await author.takes(2)] == [True, False]


async def test_takes_asked_for_during_the_review_of_the_mix_do_not_end_it(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"))

    run = await author.more_takes(2, 1)

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert len(await author.takes(2)) == 3


async def test_takes_of_a_scene_whose_clip_is_not_queued_are_refused_in_an_event(studio):
    author = await _finished(studio, review=True)

    run = await author.more_takes(2, 1)

    refused = [e for e in await studio.events(author.story_id) if e.kind == "change.refused"]
    assert "no take yet" in refused[0].data["error"]
    assert run.waits_for == "plan review"
