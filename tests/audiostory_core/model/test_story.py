"""Whole stories by the network: what is read, what is made again, and what never is."""

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from sqlalchemy import select

from api.backups.bundles import back_up
from api.backups.restoration import restore
from api.revisions.service import resume
from audiostory_core.engines.audiostory.engine import AudioStory
from audiostory_core.errors import BadInput
from audiostory_core.model.generation import windows_of
from audiostory_core.model.network import Network
from audiostory_core.model.tiny.checkpoint import write_tiny
from audiostory_core.story.plan import StoryPlan, SubEvent, WrittenTokens
from storage.models import Condition, RunState, SceneStem, WorkKind
from storage.verification import verify
from tests.support.author import Author, tone_in_catalog
from tests.support.studio import Studio

THREE = "Rain on a roof.\nA dog barks.\nThunder rolls away."
QUICK = {"steps": 1, "guidance": 1.0}


@pytest.fixture(autouse=True)
def _tone():
    with tone_in_catalog():
        yield


@pytest.fixture(scope="module")
def network(untrained, shared_folder):
    torch.set_num_threads(1)
    network = Network(untrained, shared_folder / "models")
    yield network
    network.close()


@pytest.fixture
def story_of(studio, network):
    studio.engines["audiostory"] = AudioStory(network)

    async def make(instruction: str = THREE, **values) -> Author:
        told = {
            "engine": "audiostory",
            "duration_s": 1.0 * len(instruction.splitlines()),
            "tail_s": 0.2,
            "parameters": QUICK,
        }
        story = await studio.add(instruction, **(told | values))
        run = await studio.run(story.id)
        assert run.state == RunState.FINISHED, run.error
        return Author(studio, story.id)

    return make


def passes(network: Network) -> int:
    """How often the language model ran."""
    with network.reading() as (language_model, _):
        return language_model.forward_passes


async def conditions(author: Author) -> list[dict]:
    """What each scene is conditioned on, in order."""
    revision = await author.revision()
    async with author.studio.store.database.read() as session:
        rows = await session.execute(
            select(SceneStem.scene_id, Condition.data)
            .join(Condition, Condition.id == SceneStem.condition_id)
            .where(SceneStem.scene_id.in_(revision.scenes))
        )
        found = {row[0]: json.loads(row[1]) for row in rows}
    return [found[scene_id] for scene_id in revision.scenes]


async def clips(author: Author) -> list[str | None]:
    return [scene.clip for scene in await author.scenes()]


def changed(before: Sequence, after: Sequence) -> list[int]:
    return [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]


async def test_tensors_of_a_condition_are_a_file_and_its_ids_a_row(studio, story_of):
    author = await story_of()

    told = await conditions(author)
    files = sorted(path.stem for path in studio.store.audio.folder.glob("??/*.safetensors"))

    assert sorted(one["tensors"] for one in told) == files
    assert [one["caption"] for one in told] == THREE.split("\n")
    assert all(len(one["ids"].split()) > 80 for one in told)
    assert all(len(json.dumps(one)) < 4096 for one in told)


async def test_story_is_conditioned_by_one_pass_of_the_language_model(network, story_of):
    before = passes(network)
    await story_of("\n".join(f"Bell number {n}." for n in range(12)))

    assert passes(network) == before + 1


async def test_language_model_is_not_called_for_takes_choices_undo_or_resume(
    studio, network, story_of
):
    author = await story_of()
    told = passes(network)

    await author.more_takes(2, 2)
    await author.choose(2, 2)
    await author.undo()
    await studio.run(author.story_id)

    assert passes(network) == told


async def test_checkpoints_deleted_after_a_revision_call_no_language_model(
    studio, network, story_of
):
    author = await story_of()
    await author.ask({"op": "reword", "sub_event": 2, "caption": "A cat purrs."})
    async with studio.worker() as worker:  # drives the run until its clip is queued
        await worker.take_over_dead()
        assert await worker._drive_one()
        assert await worker._do_some(WorkKind.CONDITION)
        assert await worker._drive_one()
        worker.presence.close(leaves_leases=False)
    told = passes(network)
    for file in studio.settings.home.glob("checkpoints.db*"):
        file.unlink()

    run = await studio.run(author.story_id)

    assert (run.state, run.waits_for) == (RunState.PARKED, "mix review")
    assert passes(network) == told
    assert "A cat purrs." in await author.captions()


async def test_revising_scene_3_of_60_reads_the_first_window_only(network, story_of):
    author = await story_of("\n".join(f"Bell number {n}." for n in range(60)))
    before, told, heard = passes(network), await conditions(author), await clips(author)

    await author.edit({"op": "reword", "sub_event": 3, "caption": "A whistle.", "seed": 5})

    after = await conditions(author)
    assert passes(network) == before + 1
    assert after[2]["at"] == 2
    assert after[2]["carried"] == []
    assert changed(told, after) == [2]
    assert changed(heard, await clips(author)) == [2]


async def test_later_window_carries_the_reasoning_and_the_last_two_captions(network, story_of):
    lines = [f"Bell number {n}." for n in range(14)]
    author = await story_of("\n".join(lines))

    told = await conditions(author)

    assert [one["at"] for one in told] == [*range(12), 0, 1]
    assert all(one["carried"] == [] for one in told[:12])
    assert all(one["carried"] == lines[10:12] for one in told[12:])
    assert len({one["reasoning"] for one in told}) == 1
    assert len({one["instruction"] for one in told}) == 1


async def test_what_follows_is_read_again_when_asked(network, story_of):
    author = await story_of("\n".join(f"Bell number {n}." for n in range(14)))
    before, told = passes(network), await conditions(author)

    await author.edit({"op": "reword", "sub_event": 11, "caption": "A whistle."}, follow=True)

    after = await conditions(author)
    assert passes(network) == before + 2  # both windows
    assert changed([one["tensors"] for one in told], [one["tensors"] for one in after]) == [
        10,
        11,
        12,
        13,
    ]
    assert after[12]["carried"][0] == "A whistle."


async def test_other_weights_are_refused_for_a_revision_and_nothing_is_lost(
    studio, network, story_of, tmp_path, untrained
):
    author = await story_of()
    heard = await clips(author)
    write_tiny(tmp_path / "other", seed=9, steps=0)
    studio.engines["audiostory"] = AudioStory(Network(tmp_path / "other", tmp_path / "models"))

    run = await author.edit({"op": "reword", "sub_event": 1, "caption": "A whistle."})

    assert run.state == RunState.FAILED
    assert "are not those that conditioned scene 2" in (run.error or "")
    assert (await clips(author))[1:] == heard[1:]
    studio.engines["audiostory"] = AudioStory(network)
    await resume(studio.store.database, author.story_id)
    run = await studio.run(author.story_id)
    assert run.waits_for == "mix review", run.error
    assert changed(heard, await clips(author)) == [0]


async def test_scene_of_another_engine_stands_between_scenes_of_the_network(studio, story_of):
    author = await story_of()

    run = await author.edit({"op": "reword", "sub_event": 2, "engine": "tone"}, follow=True)

    assert run.waits_for == "mix review", run.error
    assert [len(studio.engine.made)] == [1]


def test_unedited_caption_is_forced_by_the_models_own_ids_and_an_edited_one_is_not(network):
    engine = AudioStory(network)
    vocabulary = network.vocabulary
    own = [*vocabulary.encode_text(" "), *vocabulary.encode_text("Rain.")]
    assert own != vocabulary.encode_text("Rain.")
    written = WrittenTokens(
        vocabulary=network.revision, captions={"Rain.": " ".join(map(str, own))}
    )

    def ids(caption: str, told: WrittenTokens | None) -> list[int]:
        plan = StoryPlan(
            instruction="Rain",
            language="en",
            duration_s=2.0,
            sub_events=(SubEvent(caption=caption, duration_s=2.0),),
            written=told,
        )
        [made] = engine.interleave(plan, [0], {})
        return [int(one) for one in json.loads(made[0].data)["ids"].split()]

    def holds(whole: list[int], part: list[int]) -> bool:
        return any(whole[at : at + len(part)] == part for at in range(len(whole)))

    other = written.model_copy(update={"vocabulary": "0" * 64})
    assert holds(ids("Rain.", written), own)
    assert not holds(ids("Rain.", None), own)
    assert not holds(ids("Rain.", other), own)
    assert holds(ids("Rain!", written), vocabulary.encode_text("Rain!"))


async def test_same_story_twice_is_the_same_to_the_bit(story_of):
    first, second = await story_of(), await story_of()

    assert await clips(first) == await clips(second)
    heard = [await one.mix_row() for one in (first, second)]
    assert heard[0].segments == heard[1].segments


async def test_recipe_of_a_clip_holds_steps_guidance_and_precision(story_of):
    author = await story_of(parameters={"steps": 2, "guidance": 1.5})

    for take in await author.takes(1):
        recipe = json.dumps(take.model_dump(mode="json"))
        assert '"steps": 2' in recipe
        assert '"guidance": 1.5' in recipe
        assert '"precision": "float32"' in recipe


async def test_story_backed_up_is_restored_elsewhere_with_its_tensors(
    studio, story_of, tmp_path, migrated
):
    author = await story_of()
    before = await conditions(author)
    bundle = tmp_path / "story.audiostory"
    await back_up(studio.store, author.story_id, bundle)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(migrated, tmp_path / "elsewhere/studio.db")
    other = await Studio.make(tmp_path / "elsewhere")
    try:
        restored = await restore(other.store, bundle)
        there = Author(other, restored.story_id)
        assert await conditions(there) == before
        assert await verify(other.store.database, other.store.audio, restored.story_id) == []
        names = [f"{one['tensors']}.safetensors" for one in before]
        assert not other.store.audio.find_damaged(names)
    finally:
        await other.store.database.close()


def test_lengths_of_windows_follow_the_plan():
    windows = windows_of([20.0] * 30)

    assert [len(one) for one in windows[:-1]] == [7] * 4
    assert all(one.stop == two.start for one, two in pairwise(windows))
    with pytest.raises(BadInput):
        windows_of([151.0])
