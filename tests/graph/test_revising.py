"""An author revises a story: what is made again, what stays, and what is heard meanwhile."""

import numpy as np
import pytest
from sqlalchemy import update

from api.revisions import service as revision_service
from api.stories.queries import view_story
from api.stories.schemas import StoryView
from audiostory_core.errors import BadInput
from audiostory_core.story.plan import SubEvent
from storage import stories
from storage.errors import Conflict
from storage.models import ACTIVE, RunState, SceneVersion, WorkKind
from tests.support.author import Author, tone_in_catalog
from tests.support.cards import ENGINES, VARIABLE, write_card
from tests.support.fakes import LinePlanner
from tests.support.postgres import ON_BOTH_DATABASES

SECOND = 44_100
FIVE = "rain\nthunder\nbirds\nbells\nsea"


class WordlessPlanner(LinePlanner):
    """Understands no change in plain words."""

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        raise BadInput("change", change, "is not understood", "Say it in other words.")


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


async def _finished(studio, instruction: str = FIVE, **values) -> Author:
    duration_s = 3.0 * len(instruction.splitlines())
    story = await studio.add(instruction, **({"duration_s": duration_s} | values))
    run = await studio.run(story.id)
    assert run.state == RunState.FINISHED or run.waits_for, run.error
    return Author(studio, story.id)


def _reword(sub_event: int, caption: str, **told) -> dict:
    return {"op": "reword", "sub_event": sub_event, "caption": caption, "seed": 123} | told


async def _view(author: Author) -> StoryView:
    async with author.studio.store.database.read() as session:
        return view_story(*await stories.load(session, author.story_id))


async def _kinds(author: Author) -> list[str]:
    return [event.kind for event in await author.studio.events(author.story_id)]


@ON_BOTH_DATABASES
async def test_rewording_one_scene_makes_one_clip_one_body_and_two_seams(studio):
    author = await _finished(studio)
    before = await author.kept()

    run = await author.edit(_reword(3, "an owl"))

    after = await author.kept()
    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert author.made() == ["an owl"]
    assert before.new_segments(after) == (1, 2)
    assert len(after.files) - len(before.files) == 3  # the clip and two seams
    assert len(after.scenes) - len(before.scenes) == 1
    assert len(after.revisions) - len(before.revisions) == 1
    assert before.is_kept_in(after)


async def test_until_it_is_accepted_only_the_new_scene_and_its_seams_sound_different(studio):
    author = await _finished(studio)
    before, old = await author.heard(), await author.mix_row()

    await author.edit(_reword(3, "an owl"))

    after, mix = await author.heard(), await author.mix_row()
    first, last = 6 * SECOND, 10 * SECOND  # seams begin where scenes do and last a tail
    assert after.shape == before.shape
    assert np.array_equal(after[:, :first], before[:, :first])
    assert np.array_equal(after[:, last:], before[:, last:])
    assert not np.array_equal(after[:, first:last], before[:, first:last])
    assert not mix.is_accepted
    assert mix.mastering["gain_db"] == old.mastering["gain_db"]
    assert mix.mastering["of_revision"] == 1


async def test_accepting_recomputes_the_gain(studio):
    author = await _finished(studio)
    await author.edit(_reword(3, "loud owl"))
    heard = await author.mix_row()

    run = await author.approve()

    mix = await author.mix_row()
    assert run.state == RunState.FINISHED
    assert mix.is_accepted
    assert mix.mastering["of_revision"] == 2
    assert mix.mastering["gain_db"] != heard.mastering["gain_db"]
    assert mix.segments == heard.segments
    assert (await _kinds(author))[-2:] == ["mix.accepted", "run.finished"]


async def test_change_asked_for_as_accepted_does_not_stop_for_the_author(studio):
    author = await _finished(studio)

    run = await author.edit(_reword(3, "an owl"), accept=True)

    assert run.state == RunState.FINISHED
    assert (await author.mix_row()).mastering["of_revision"] == 2


@pytest.mark.parametrize(("scene", "seams"), [(1, 1), (5, 1)])
async def test_first_or_last_scene_has_one_seam(studio, scene, seams):
    author = await _finished(studio)
    before = await author.kept()

    await author.edit(_reword(scene, "an owl"))

    assert author.made() == ["an owl"]
    assert before.new_segments(await author.kept()) == (1, seams)


async def test_only_scene_has_no_seam(studio):
    author = await _finished(studio, "rain")
    before = await author.kept()

    await author.edit(_reword(1, "an owl"))

    assert author.made() == ["an owl"]
    assert before.new_segments(await author.kept()) == (1, 0)


async def test_several_scenes_are_revised_in_one_request(studio):
    author = await _finished(studio)
    before = await author.kept()

    await author.edit(_reword(1, "an owl"), _reword(4, "a dog", seed=4))

    assert sorted(author.made()) == ["a dog", "an owl"]
    assert before.new_segments(await author.kept()) == (2, 3)
    assert await author.captions() == ["an owl", "thunder", "birds", "a dog", "sea"]


async def test_change_in_plain_words_is_resolved_by_the_planner(studio):
    author = await _finished(studio)

    await author.edit({"op": "reword", "sub_event": 2, "change": "more distant"})

    assert author.made() == ["thunder, more distant"]


@pytest.mark.parametrize(("follow", "made"), [(False, 1), (True, 4)])
async def test_what_follows_is_conditioned_again_only_if_asked(studio, follow, made):
    author = await _finished(studio)
    inserted = {"op": "insert", "at": 3, "caption": "an owl", "duration_s": 2.0}

    await author.edit(inserted, follow=follow)

    assert len(author.made()) == made
    assert "an owl" in author.made()


LAST = ["sea"]
EDITS = [
    ({"op": "insert", "at": 2, "caption": "owl", "duration_s": 2.0}, ["owl"], 17.0),
    ({"op": "insert", "at": 6, "caption": "owl", "duration_s": 2.0}, ["owl", "sea"], 17.0),
    ({"op": "delete", "sub_event": 2}, [], 12.0),
    ({"op": "delete", "sub_event": 5}, ["bells"], 12.0),
    ({"op": "move", "sub_event": 1, "to": 3}, [], 15.0),
    ({"op": "move", "sub_event": 5, "to": 1}, ["bells", "sea"], 15.0),
    ({"op": "split", "sub_event": 2, "at_s": 1.25}, ["thunder", "thunder"], 15.0),
    ({"op": "split", "sub_event": 5, "at_s": 1.25}, ["sea", "sea"], 15.0),
    ({"op": "merge", "sub_event": 2}, ["thunder. birds"], 15.0),
    ({"op": "merge", "sub_event": 4}, ["bells. sea"], 15.0),
]


@pytest.mark.parametrize(("edit", "made", "duration_s"), EDITS)
async def test_edits_make_again_only_what_they_touch_and_the_last(studio, edit, made, duration_s):
    author = await _finished(studio)
    before = await author.kept()

    await author.edit(edit)

    scenes = await author.scenes()
    assert sorted(author.made()) == made
    assert sum(round(scene.duration_s * SECOND) for scene in scenes) == duration_s * SECOND
    assert (await author.heard()).shape == (2, duration_s * SECOND)
    assert before.is_kept_in(await author.kept())


async def test_kept_total_is_exact_to_the_sample(studio):
    author = await _finished(studio)
    edit = {"op": "reword", "sub_event": 2, "duration_s": 3.7001}

    await author.edit(edit, total="keep")

    lengths = [round(scene.duration_s * SECOND) for scene in await author.scenes()]
    assert lengths[1] == round(3.7001 * SECOND)
    assert sum(lengths) == 15 * SECOND
    assert (await author.heard()).shape == (2, 15 * SECOND)
    assert len(author.made()) == 5


async def test_change_that_cannot_be_made_is_refused_where_it_is_asked(studio):
    author = await _finished(studio)
    before = await author.kept()

    with pytest.raises(BadInput) as refused:
        await author.ask({"op": "delete", "sub_event": 1}, {"op": "delete", "sub_event": 5})

    assert refused.value.field == "edits.2.sub_event"
    assert await author.kept() == before
    assert (await studio.latest_run(author.story_id)).state == RunState.FINISHED


@ON_BOTH_DATABASES
async def test_change_that_an_earlier_one_made_impossible_is_refused_in_an_event(studio):
    author = await _finished(studio)
    await author.ask({"op": "delete", "sub_event": 5})
    await author.ask(_reword(5, "an owl"))

    run = await author.wait()

    events = await studio.events(author.story_id)
    refused = [event.data for event in events if event.kind == "change.refused"]
    assert len(refused) == 1
    assert "4 sub-events" in refused[0]["error"]
    assert await author.captions() == ["rain", "thunder", "birds", "bells"]
    view = await _view(author)
    assert (run.state, view.error) == (RunState.PARKED, None)
    assert view.refusal == refused[0]["error"]
    assert (await author.heard()).shape == (2, 12 * SECOND)


async def test_refused_change_of_a_finished_story_leaves_it_finished(studio):
    author = await _finished(studio)
    before = await author.kept()
    studio.planner = WordlessPlanner()
    await author.ask({"op": "reword", "sub_event": 5, "change": "louder"})

    run = await author.wait()

    view = await _view(author)
    assert "change.refused" in await _kinds(author)
    assert (run.state, view.error) == (RunState.FINISHED, None)
    assert view.refusal.startswith("change 'louder': is not understood")
    assert (await studio.events(author.story_id))[-1].data == {"run": run.number}
    assert await author.kept() == before


async def test_refusal_is_told_until_the_author_goes_on(studio):
    author = await _finished(studio)
    await author.edit(_reword(5, "an owl"))
    planner = studio.planner

    async def refuse():
        studio.planner = WordlessPlanner()
        await author.edit({"op": "reword", "sub_event": 5, "change": "louder"})
        assert (await _view(author)).refusal
        studio.planner = planner

    await refuse()
    await author.edit(_reword(4, "a cat"))
    assert (await _view(author)).refusal is None
    await refuse()
    await revision_service.undo(studio.store.database, author.story_id)
    assert (await _view(author)).refusal is None


async def test_change_asked_while_clips_are_made_is_made_next(studio):
    story = await studio.add(FIVE, duration_s=15.0)
    author = Author(studio, story.id)
    await _drive(studio)
    assert (await studio.latest_run(story.id)).waits_for == "clips"

    await author.ask(_reword(3, "an owl"))
    await author.wait()

    assert sorted(author.made()) == ["an owl", "bells", "rain", "sea", "thunder"]
    assert await author.captions() == ["rain", "thunder", "an owl", "bells", "sea"]


async def test_edits_during_the_review_of_the_plan_make_no_clip_and_are_reviewed_again(studio):
    author = await _finished(studio, review=True)

    run = await author.edit(_reword(3, "an owl"))
    assert (author.made(), run.waits_for) == ([], "plan review")
    run = await author.approve()

    assert run.waits_for == "mix review"
    assert sorted(author.made()) == ["an owl", "bells", "rain", "sea", "thunder"]


async def test_rejected_plan_is_planned_again_with_the_remarks_and_reviewed_again(studio):
    author = await _finished(studio, review=True)

    for remark in ("shorter", "no birds"):
        await revision_service.reject(studio.store.database, author.story_id, remark)
        run = await author.wait()

    assert run.waits_for == "plan review"
    assert [brief.remarks for brief in studio.planner.planned] == [
        (),
        ("shorter",),
        ("shorter", "no birds"),
    ]
    assert (await author.revision()).number == 3
    run = await author.approve()
    assert run.waits_for == "mix review"
    assert len(author.made()) == 5


async def test_rejected_finished_story_waits_with_its_new_plan(studio):
    author = await _finished(studio)

    await revision_service.reject(studio.store.database, author.story_id, "shorter")
    run = await author.wait()

    assert (run.state, run.waits_for) == (RunState.PARKED, "plan review")
    assert author.made() == []


async def test_finished_story_is_revised_in_a_new_run_by_other_processes_days_later(studio):
    author = await _finished(studio)
    for file in studio.settings.home.glob("checkpoints.db*"):
        file.unlink()

    run = await author.edit(_reword(2, "an owl"))

    assert run.number == 2
    assert author.made() == ["an owl"]


@ON_BOTH_DATABASES
async def test_undo_and_redo_make_nothing_and_sound_as_before(studio):
    author = await _finished(studio)
    first, first_heard = await author.revision(), await author.heard()
    await author.edit(_reword(2, "an owl"), accept=True)
    second_heard = await author.heard()

    run = await author.undo()
    assert (run.state, author.made()) == (RunState.FINISHED, [])
    assert (await author.revision()).id == first.id
    assert np.array_equal(await author.heard(), first_heard)

    run = await author.redo()
    assert (run.state, author.made()) == (RunState.FINISHED, [])
    assert np.array_equal(await author.heard(), second_heard)


async def test_undo_of_a_change_that_was_not_accepted_ends_its_review(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"))

    run = await author.undo()

    assert run.state == RunState.FINISHED
    assert await author.captions() == FIVE.splitlines()
    run = await author.redo()
    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert author.made() == []


async def test_author_goes_back_and_forth_without_a_worker(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"))
    database = studio.store.database

    for _ in range(2):
        await revision_service.undo(database, author.story_id)
        await revision_service.redo(database, author.story_id)
    await revision_service.undo(database, author.story_id)
    run = await author.wait()

    assert (run.state, author.made()) == (RunState.FINISHED, [])
    assert (await author.revision()).number == 1


async def test_undo_waits_for_changes_that_were_asked_for_before_it(studio):
    author = await _finished(studio)
    await author.ask(_reword(2, "an owl"))

    with pytest.raises(Conflict, match="being worked on"):
        await revision_service.undo(studio.store.database, author.story_id)


async def test_change_after_undo_ends_redo_and_the_undone_revision_stays(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"), accept=True)
    await author.undo()
    await author.edit(_reword(2, "a dog", seed=5), accept=True)

    with pytest.raises(Conflict):
        await revision_service.redo(studio.store.database, author.story_id)
    assert (await author.revision()).number == 3
    await author.switch(2)

    assert author.made() == []
    assert await author.captions() == ["rain", "an owl", "birds", "bells", "sea"]


async def test_first_revision_cannot_be_undone(studio):
    author = await _finished(studio)

    with pytest.raises(Conflict, match="nothing to undo"):
        await revision_service.undo(studio.store.database, author.story_id)


async def test_undo_waits_until_clips_are_made(studio):
    author = await _finished(studio)
    await author.ask(_reword(2, "an owl"))
    await _drive(studio)

    with pytest.raises(Conflict, match="being worked on"):
        await revision_service.undo(studio.store.database, author.story_id)


async def test_named_revision_is_found_again(studio):
    author = await _finished(studio)
    database = studio.store.database
    await revision_service.name(database, author.story_id, 1, " the quiet one ")
    await author.edit(_reword(2, "an owl"), accept=True)

    with pytest.raises(Conflict, match="Revision 1"):
        await revision_service.name(database, author.story_id, 2, "the quiet one")
    with pytest.raises(BadInput):
        await revision_service.name(database, author.story_id, 2, "7")
    await author.switch("the quiet one")

    assert (await author.revision()).number == 1


@ON_BOTH_DATABASES
async def test_branch_makes_nothing_and_both_stories_go_their_own_way(studio):
    author = await _finished(studio)
    heard = await author.heard()
    before = await author.kept()
    studio.engine.made.clear()

    begun = await revision_service.branch(studio.store.database, author.story_id, None, None)
    other = Author(studio, begun.id)
    run = await other.wait()

    assert (run.state, other.made()) == (RunState.FINISHED, [])
    assert np.array_equal(await other.heard(), heard)
    await other.edit(_reword(2, "an owl"), accept=True)
    await author.edit(_reword(4, "a dog", seed=9), accept=True)
    assert await other.captions() == ["rain", "an owl", "birds", "bells", "sea"]
    assert await author.captions() == ["rain", "thunder", "birds", "a dog", "sea"]
    assert before.is_kept_in(await author.kept())


async def test_branch_of_a_story_that_was_never_mixed_is_made_on_its_own(studio):
    author = await _finished(studio, review=True)

    begun = await revision_service.branch(studio.store.database, author.story_id, None, None)
    other = Author(studio, begun.id)
    run = await other.wait()

    assert run.waits_for == "mix review"
    assert len(other.made()) == 5


async def test_cancelled_change_goes_on_where_it_was(studio):
    author = await _finished(studio)
    await author.ask(_reword(2, "an owl"))
    await _drive(studio)
    await revision_service.cancel(studio.store.database, author.story_id)
    assert (await studio.latest_run(author.story_id)).state == RunState.CANCELLED

    await revision_service.resume(studio.store.database, author.story_id)
    run = await author.wait()

    assert run.state not in ACTIVE or run.waits_for == "mix review"
    assert author.made() == ["an owl"]


async def test_clip_that_cannot_be_made_is_reworded_away(studio):
    author = await _finished(studio)
    run = await author.edit(_reword(2, "fails"))
    assert (run.state, run.waits_for) == (RunState.PARKED, "clip review")

    run = await author.edit(_reword(2, "an owl"))

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert author.made() == ["an owl"]


async def test_change_to_a_clip_that_is_there_makes_nothing(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"))

    await author.edit(_reword(2, "thunder"))
    made_back = author.made()
    await author.edit(_reword(2, "an owl"))

    assert made_back == ["thunder"]  # another seed than the first
    assert author.made() == []


async def test_revision_that_was_not_accepted_is_reviewed_when_undo_leads_back_to_it(studio):
    author = await _finished(studio)
    await author.edit(_reword(2, "an owl"))
    await author.edit(_reword(4, "a dog", seed=8))
    await author.approve()

    run = await author.undo()

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert author.made() == []
    run = await author.approve()
    assert run.state == RunState.FINISHED
    assert (await author.mix_row()).mastering["of_revision"] == 2


async def _drive(studio) -> None:
    """Drive the run that is queued until it waits for clips that nobody makes."""
    await studio.offer()
    async with studio.worker() as worker:
        assert await worker._drive_one()
        while await worker._do_some(WorkKind.CONDITION):
            assert await worker._drive_one()
        worker.presence.close()


async def test_a_scene_keeps_to_what_its_own_engine_makes_at_once(studio, monkeypatch, tmp_path):
    brief = write_card(tmp_path / "brief", "[limits]\nlongest_clip_s = 2.5")
    monkeypatch.setenv(VARIABLE, f"{ENGINES},{brief}")
    author = await _finished(studio)

    with pytest.raises(BadInput) as at_once:
        await author.ask({"op": "reword", "sub_event": 2, "engine": "brief"})
    async with studio.store.database.write() as session:
        scene_id = (await author.revision()).scenes[1]
        is_second = SceneVersion.id == scene_id
        await session.execute(update(SceneVersion).where(is_second).values(engine="brief"))
    with pytest.raises(BadInput) as later:
        await author.ask(_reword(2, "an owl"))
    await author.edit(_reword(1, "an owl"))

    assert at_once.value.field == later.value.field == "edits.1"
    assert author.made() == ["an owl"]


async def test_an_engine_that_no_worker_has_is_refused_and_the_story_goes_on(studio):
    author = await _finished(studio)

    run = await author.edit({"op": "reword", "sub_event": 2, "engine": "foley"})

    assert (run.state, author.made()) == (RunState.FINISHED, [])
    assert "is not usable here" in run.error
    assert "change.refused" in await _kinds(author)
    assert (await author.revision()).number == 1
