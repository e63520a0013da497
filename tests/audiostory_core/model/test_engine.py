"""The network as an engine: batches, memory, progress, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from audiostory_core.engines.audiostory.engine import AudioStory, Batch, Progress, Recipe
from audiostory_core.engines.protocol import UNWATCHED, ClipRequest, Condition
from audiostory_core.errors import BadInput, Cancelled, EngineFailed
from audiostory_core.model.network import Network
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SoundLayer, SpeechLayer, StoryPlan, SubEvent

SECOND = 44_100
CAPTIONS = ("Rain on a roof.", "A dog barks.", "Thunder rolls away.")


@pytest.fixture(scope="module")
def network(untrained, shared_folder):
    torch.set_num_threads(1)
    network = Network(untrained, shared_folder / "models")
    yield network
    network.close()


@pytest.fixture(scope="module")
def engine(network):
    return AudioStory(network)


def plan_of(*captions: str, seconds: float = 2.0, **told) -> StoryPlan:
    events = tuple(SubEvent(caption=caption, duration_s=seconds) for caption in captions)
    return StoryPlan(
        instruction="Rain, a dog and thunder",
        language="en",
        duration_s=seconds * len(events),
        sub_events=events,
        **told,
    )


def conditions_of(engine, plan, places=None, known=None) -> dict[int, Condition]:
    made = {}
    for part in engine.interleave(plan, places or range(len(plan.sub_events)), known or {}):
        made |= part
    return made


@pytest.fixture(scope="module")
def requests(engine):
    conditions = conditions_of(engine, plan_of(*CAPTIONS))
    return [
        ClipRequest(
            caption=caption,
            layers=(),
            samples=round(seconds * SECOND),
            seed=seed,
            language="en",
            condition=conditions[at],
            parameters={"steps": 2, "guidance": 4.0, "precision": "float32"},
        )
        for at, (caption, seconds, seed) in enumerate(
            zip(CAPTIONS, (0.7, 1.3, 1.0), (3, 2**40 + 3, 2**63 - 1), strict=True)
        )
    ]


class Watched:
    """Keeps what it is told, and loses interest after so many steps."""

    def __init__(self, most: int = 10**9) -> None:
        self.shares: dict[int, list[float]] = {}
        self.left = most

    def step(self, index: int, done: float) -> None:
        self.shares.setdefault(index, []).append(done)
        self.left -= 1
        if self.left < 0:
            raise Cancelled


class SmallDevice:
    """The synthesizer of a device that holds two clips; implements what a batch uses of it."""

    def __init__(self, whole: Synthesizer, holds: int) -> None:
        self.device, self.fuse, self.decode = whole.device, whole.fuse, whole.decode
        self._whole = whole
        self.holds = holds
        self.tried: list[int] = []

    def sample(self, condition, *args, **options):
        self.tried.append(len(condition))
        options["on_step"](1, 2)
        if len(condition) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._whole.sample(condition, *args, **options)


def test_network_reads_the_shape_of_a_layer_in_words(engine):
    def read(**shape):
        layers = (SoundLayer(kind="sfx", text="a dog barks", **shape),)
        event = SubEvent(caption="A dog barks.", duration_s=2.0, layers=layers)
        plan = plan_of("A dog barks.").model_copy(update={"sub_events": (event,)})
        return conditions_of(engine, plan)[0]

    plain, shaped = read(), read(count=3, distance=0.9)

    assert plain.id == conditions_of(engine, plan_of("A dog barks."))[0].id
    assert shaped.tensors != plain.tensors
    assert json.loads(shaped.data)["caption"] == "A dog barks. (a dog barks: far away, 3 times)"


def test_clip_is_the_same_alone_and_in_a_batch_of_mixed_lengths(engine, requests):
    together = engine.synthesize(requests)

    for request, result in zip(requests, together, strict=True):
        [alone] = engine.synthesize([request])
        assert result.waveform.shape == (2, request.samples)
        assert result.waveform.dtype == np.float32
        assert np.abs(result.waveform - alone.waveform).max() <= 1e-5


def test_clip_follows_from_its_condition_seed_and_recipe(engine, requests):
    first = requests[0]
    others = [
        replace(first, seed=first.seed + 1),
        replace(first, condition=requests[1].condition),
        replace(first, parameters={**first.parameters, "steps": 3}),
        replace(first, parameters={**first.parameters, "guidance": 2.0}),
    ]
    made = engine.synthesize([first, replace(first, caption="another"), *others])

    assert np.array_equal(made[0].waveform, made[1].waveform)
    for other in made[2:]:
        assert np.abs(made[0].waveform - other.waveform).max() > 1e-3


def test_progress_of_each_clip_rises_step_by_step_to_the_end(engine, requests):
    watched = Watched()
    engine.synthesize(requests, watched)

    for shares in watched.shares.values():
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert len(shares) == 3  # two steps and the decoding


def test_cancelled_batch_leaves_the_engine_usable(engine, requests):
    [before] = engine.synthesize(requests[:1])
    with pytest.raises(Cancelled):
        engine.synthesize(requests, Watched(most=1))
    [after] = engine.synthesize(requests[:1])

    assert np.array_equal(before.waveform, after.waveform)


def test_batch_that_does_not_fit_is_made_in_halves_and_progress_never_falls(
    network, engine, requests
):
    whole = engine.synthesize(requests)
    small = SmallDevice(network.synthesizer("float32"), holds=1)
    watched = Watched()
    conditions = [engine._conditioning.read(request) for request in requests]
    batch = Batch(
        small, Recipe(2, 4.0, "float32"), requests, conditions, Progress(watched, len(requests))
    )
    made = batch.make(range(3))

    assert small.tried == [3, 1, 2, 1, 1]
    for at, result in enumerate(whole):
        assert np.abs(made[at] - result.waveform).max() <= 1e-5
    assert all(shares == sorted(shares) for shares in watched.shares.values())


def test_clip_that_does_not_fit_alone_is_one_clear_error(network, engine, requests):
    small = SmallDevice(network.synthesizer("float32"), holds=0)
    conditions = [engine._conditioning.read(request) for request in requests]
    batch = Batch(small, Recipe(2, 4.0, "float32"), requests, conditions, Progress(UNWATCHED, 3))

    with pytest.raises(EngineFailed, match="not enough memory on cpu for one clip"):
        batch.make(range(3))


def test_words_that_would_be_spoken_are_listed_as_not_made(engine, requests):
    asked = replace(requests[0], layers=(SpeechLayer(words="Hello there"),))
    [result] = engine.synthesize([asked])

    assert result.unmatched == ("not spoken: “Hello there”",)


def test_clip_longer_than_the_network_makes_is_refused(engine, requests):
    with pytest.raises(EngineFailed, match=r"31 s long; audiostory makes at most 29\.95"):
        engine.synthesize([replace(requests[0], samples=31 * SECOND)])


def test_scene_longer_than_a_clip_is_refused_before_anything_is_read(engine, network):
    plan = plan_of("Rain.", "Wind.", seconds=40.0)
    with pytest.raises(BadInput) as refused:
        conditions_of(engine, plan)

    assert refused.value.field == "sub_events.1.duration_s"


def test_condition_of_other_weights_is_refused(engine, requests):
    other = Condition(requests[0].condition.data.replace(b'"weights": "', b'"weights": "f'))
    with pytest.raises(BadInput, match=r"are not those that conditioned scene 1 \(f"):
        conditions_of(engine, plan_of(*CAPTIONS), [1], {0: other})
    foreign = Condition(other.data, requests[0].condition.tensors)
    with pytest.raises(EngineFailed, match="conditioned by the weights f"):
        engine.synthesize([replace(requests[0], condition=foreign)])


def test_damaged_tensors_are_one_clear_error(engine, requests):
    data, tensors = requests[0].condition.data, requests[0].condition.tensors
    for broken in (tensors[:100], tensors[: len(tensors) // 2], b""):
        asked = replace(requests[0], condition=Condition(data, broken))
        with pytest.raises(EngineFailed, match="condition of the clip cannot be read"):
            engine.synthesize([asked])


def test_caption_longer_than_the_context_is_named(engine):
    with pytest.raises(BadInput) as refused:
        conditions_of(engine, plan_of("rain " * 30_000))

    assert refused.value.field == "caption"
    assert "can 4,096" in str(refused.value)


def test_condition_depends_on_what_comes_before_it_and_is_the_same_to_the_bit(engine):
    first = conditions_of(engine, plan_of(*CAPTIONS))
    again = conditions_of(engine, plan_of(*CAPTIONS), [1])
    other = conditions_of(engine, plan_of("Wind.", *CAPTIONS[1:]))

    assert first[1] == again[1]
    assert first[1].tensors != other[1].tensors


def test_special_tokens_written_in_a_caption_are_text(engine):
    spelled = conditions_of(engine, plan_of("Rain.<|/gen|><|im_end|>", "A dog."))
    plain = conditions_of(engine, plan_of("Rain.", "A dog."))

    assert len(spelled) == 2
    assert spelled[1].tensors != plain[1].tensors


def test_stem_is_conditioned_by_its_own_layers_alone(engine):
    def story(words, sound):
        layers = (SoundLayer(kind="sfx", text=sound), SpeechLayer(words=words))
        return plan_of("rain", "she speaks", "thunder", version=2).model_copy(
            update={
                "sub_events": tuple(
                    SubEvent(caption=f"scene, {words}", duration_s=2.0, layers=heard)
                    for heard in (layers, layers[1:], layers)
                )
            }
        )

    def made(plan):
        [part] = engine.interleave(plan, [0, 1, 2], {}, stem=Stem.EFFECTS)
        return {place: condition.id for place, condition in part.items()}

    before = made(story("Who is there?", "a dog barks"))

    assert list(before) == [0, 2]
    assert made(story("Is it you?", "a dog barks")) == before
    assert made(story("Who is there?", "a bell rings")).keys() == before.keys()
    assert made(story("Who is there?", "a bell rings")) != before
