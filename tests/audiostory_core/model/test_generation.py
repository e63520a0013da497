import copy
import random
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close
from transformers import Qwen2ForCausalLM

from audiostory_core.errors import BadInput
from audiostory_core.model.generation import generate, read_window, window_of, windows_of
from audiostory_core.model.grammar import (
    Generation,
    Written,
    full_instruction,
    prompt_ids,
    residual_block,
    semantic_block,
)
from audiostory_core.model.llm import LanguageModel
from audiostory_core.model.tiny.stories import draw_story
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.loading import Weights
from tests.support import golden_recipe
from tests.support.golden_network import make_bridge, make_language_model
from tests.support.reference_generation import generate as generate_as_released
from tests.support.reference_generation import states_by_search

PROMPTS = 32
GOLDEN = Vocabulary.load(golden_recipe.GOLDEN / "tokenizer")


@dataclass(frozen=True)
class Trained:
    vocabulary: Vocabulary
    network: Qwen2ForCausalLM

    def backend(self) -> LanguageModel:
        return LanguageModel(self.network)


@dataclass(frozen=True)
class Told:
    """One prompt, told by ours in parity and by the reference."""

    prompt: list[int]
    generation: Generation
    passes: int
    reference_ids: list[int]
    reference_states: Tensor


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tiny_weights) -> Trained:
    folder = Weights.open(tiny_weights).llm_folder
    network = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Trained(Vocabulary.load(folder), network)


@pytest.fixture(scope="module")
def prompts(trained) -> list[list[int]]:
    chance = random.Random(20_250_820)
    instructions = [draw_story(chance).instruction for _ in range(PROMPTS - 2)]
    instructions.append("Rain <t5> falls <|im_end|> on a roof, then a dog barks twice")
    instructions.append(full_instruction("wind howls, then a door creaks", 24.5, is_parity=True))
    return [prompt_ids(trained.vocabulary, instruction) for instruction in instructions]


@pytest.fixture(scope="module")
def told(trained, prompts) -> list[Told]:
    return [tell_both(trained, prompt) for prompt in prompts]


def tell_both(trained: Trained, prompt: list[int]) -> Told:
    backend = trained.backend()
    generation = generate(backend, trained.vocabulary, prompt, is_parity=True)
    ids, states = generate_as_released(trained.network, trained.vocabulary, prompt)
    return Told(prompt, generation, backend.forward_passes, ids, states)


def written_of(generation: Generation) -> list[Written]:
    return [
        Written(segment.caption, segment.duration_s, segment.caption_ids)
        for segment in generation.segments
    ]


def approved(trained: Trained, each: Told):
    return window_of(
        trained.vocabulary,
        each.prompt,
        each.generation.reasoning_ids,
        (),
        written_of(each.generation),
        longest=trained.backend().longest,
    )


def test_parity_is_token_exact_with_generate(told):
    assert len(told) >= 30
    for each in told:
        assert list(each.generation.ids) == each.reference_ids

    complete = [sum(one.is_whole for one in each.generation.segments) for each in told]
    assert sum(count >= 2 for count in complete) >= 20


def test_the_states_of_segments_are_those_the_release_gathers(told, trained):
    for each in told:
        expected = states_by_search(trained.vocabulary, each.reference_ids, each.reference_states)
        states = [segment.states for segment in each.generation.segments if segment.states]
        assert_close(states, expected, atol=1e-4, rtol=0)


def test_free_and_approved_give_the_same_states_for_the_same_ids(told, trained):
    compared = 0
    for each in told:
        if not all(segment.is_whole for segment in each.generation.segments):
            continue
        window = approved(trained, each)
        if window.ids != (*each.prompt, *each.generation.ids)[: len(window.ids)]:
            continue
        states = read_window(trained.backend(), window)
        for read, segment in zip(states, each.generation.segments, strict=True):
            assert torch.equal(read.semantic, segment.states.semantic)
            assert torch.equal(read.residual, segment.states.residual)
        compared += 1

    assert compared >= 20


def test_a_block_is_one_pass_and_a_window_is_one_pass(told, trained):
    for each in told:
        blocks = sum(segment.states is not None for segment in each.generation.segments)
        # A block is fed with the token that opens it, the last token never; then all at once.
        assert each.passes == len(each.reference_ids) - blocks * (64 + 1 + 10) + 1

        backend = trained.backend()
        assert len(read_window(backend, approved(trained, each))) == blocks
        assert backend.forward_passes == 1


@pytest.mark.parametrize("max_tokens", [1, 7, 60, 100, 125, 131, 134, 135, 200])
def test_a_budget_of_tokens_ends_where_generate_ends(trained, prompts, max_tokens):
    generation = generate(
        trained.backend(), trained.vocabulary, prompts[0], is_parity=True, max_tokens=max_tokens
    )
    expected, _ = generate_as_released(
        trained.network, trained.vocabulary, prompts[0], max_new_tokens=max_tokens
    )

    assert list(generation.ids) == expected


@pytest.mark.parametrize("penalty", [1.05, 1.3])
def test_a_repetition_penalty_is_token_exact_too(trained, prompts, penalty):
    for prompt in prompts[:4]:
        generation = generate(
            trained.backend(),
            trained.vocabulary,
            prompt,
            is_parity=True,
            max_tokens=400,
            repetition_penalty=penalty,
        )
        expected, _ = generate_as_released(
            trained.network,
            trained.vocabulary,
            prompt,
            max_new_tokens=400,
            repetition_penalty=penalty,
        )
        assert list(generation.ids) == expected


def lowered(trained: Trained, by: float, *, aud_by: float = 0.0) -> Trained:
    """The same model with all logits lowered, that of `<aud>` further."""
    network = copy.deepcopy(trained.network)
    hidden, size = network.config.hidden_size, network.config.vocab_size
    head = torch.nn.Linear(hidden, size)
    with torch.no_grad():
        head.weight.copy_(network.lm_head.weight)
        head.bias.fill_(-by)
        head.bias[trained.vocabulary.aud] -= aud_by
    network.lm_head = head.requires_grad_(False)
    return Trained(trained.vocabulary, network)


def test_parity_is_exact_where_the_model_does_not_choose_aud(trained, prompts):
    reluctant = lowered(trained, 0.0, aud_by=100.0)
    for prompt in prompts[:3]:
        expected, _ = generate_as_released(
            reluctant.network, trained.vocabulary, prompt, max_new_tokens=300
        )
        assert trained.vocabulary.t5_end in expected
        assert trained.vocabulary.aud not in expected

        generation = generate(
            reluctant.backend(), trained.vocabulary, prompt, is_parity=True, max_tokens=300
        )

        assert list(generation.ids) == expected


def test_safe_mode_makes_both_blocks_follow_whatever_the_model_would_choose(trained, prompts):
    reluctant = lowered(trained, 0.0, aud_by=100.0)
    blocks = [*semantic_block(trained.vocabulary), *residual_block(trained.vocabulary)]

    for prompt in prompts[:3]:
        ids = list(generate(reluctant.backend(), trained.vocabulary, prompt).ids)

        starts = [at for at, token in enumerate(ids) if token == trained.vocabulary.t5]
        assert starts
        for start in reversed(starts):
            assert ids[start : start + len(blocks)] == blocks
            del ids[start : start + len(blocks)]
        assert not set(ids) & set(blocks)


@pytest.mark.parametrize("by", [5.0, 10.0, 15.0, 20.0])
def test_zeroed_logits_win_in_parity_as_released_and_never_in_safe_mode(trained, prompts, by):
    low = lowered(trained, by)
    for prompt in prompts[:3]:
        expected, _ = generate_as_released(
            low.network, trained.vocabulary, prompt, max_new_tokens=150
        )
        parity = generate(low.backend(), trained.vocabulary, prompt, is_parity=True, max_tokens=150)
        safe = generate(low.backend(), trained.vocabulary, prompt, max_tokens=150)

        assert list(parity.ids) == expected
        assert (
            safe.ids == generate(trained.backend(), trained.vocabulary, prompt, max_tokens=150).ids
        )


def test_a_trained_model_tells_the_same_safe_and_in_parity(told, trained):
    for each in told[:5]:
        assert (
            generate(trained.backend(), trained.vocabulary, each.prompt).ids == each.generation.ids
        )


def test_an_edited_caption_changes_its_own_states_and_those_after_it(told, trained):
    each = next(each for each in told if len(each.generation.segments) >= 3)
    scenes = written_of(each.generation)
    scenes[1] = Written("A quite different sound", scenes[1].duration_s)
    window = window_of(
        trained.vocabulary, each.prompt, each.generation.reasoning_ids, (), scenes, longest=4096
    )

    states = read_window(trained.backend(), window)

    before = [segment.states for segment in each.generation.segments]
    assert_close(states[0], before[0], atol=1e-5, rtol=0)
    assert not torch.allclose(states[1].semantic, before[1].semantic, atol=1e-3)
    assert not torch.allclose(states[2].semantic, before[2].semantic, atol=1e-3)


def golden_window(carried: int = 0):
    given_settings = golden_recipe.settings()
    scenes = [Written(one["caption"], one["duration_s"]) for one in given_settings["sub_events"]]
    return window_of(
        GOLDEN,
        prompt_ids(GOLDEN, given_settings["instruction"]),
        GOLDEN.encode_text(given_settings["reasoning"]),
        scenes[:carried],
        scenes[carried:],
        longest=4096,
    )


def test_a_window_gives_the_features_of_the_release():
    expected = golden_recipe.expected()
    backend = LanguageModel(make_language_model())

    window = golden_window()
    states = read_window(backend, window)
    with torch.no_grad():
        semantic, residual = make_bridge()(
            torch.stack([one.semantic for one in states]),
            torch.stack([one.residual for one in states]),
        )

    written = [*expected["prompt_ids"].tolist(), *expected["transcript_ids"].tolist()]
    assert list(window.ids) == written[: len(window.ids)]
    assert_close(semantic, expected["t5_features"], atol=1e-4, rtol=0)
    assert_close(residual, expected["aud_features"], atol=1e-4, rtol=0)
    assert backend.forward_passes == 1


def test_carried_sub_events_are_read_whole_but_asked_for_no_states():
    backend = LanguageModel(make_language_model())
    whole, carrying = golden_window(), golden_window(carried=2)

    assert carrying.ids == whole.ids
    assert carrying.spans == whole.spans[2:]
    assert_close(read_window(backend, carrying), read_window(backend, whole)[2:])


def test_windows_hold_twelve_sub_events_or_150_seconds():
    assert windows_of([10.0] * 12) == [range(12)]
    assert windows_of([1.0] * 30) == [range(12), range(12, 24), range(24, 30)]
    assert windows_of([50.0, 50.0, 50.0, 0.5]) == [range(3), range(3, 4)]
    assert windows_of([0.1] * 5 + [149.5]) == [range(6)]
    assert windows_of([150.0, 150.0]) == [range(1), range(1, 2)]
    assert windows_of([]) == []


@given(st.lists(st.floats(0.5, 150.0), max_size=60))
def test_windows_are_a_partition_that_what_follows_does_not_move(durations_s):
    windows = windows_of(durations_s)

    assert [index for window in windows for index in window] == list(range(len(durations_s)))
    for window in windows:
        assert 1 <= len(window) <= 12
        assert sum(durations_s[index] for index in window) <= 150.001
    for length in range(len(durations_s)):
        shorter = windows_of(durations_s[:length])
        assert shorter[:-1] == windows[: max(len(shorter) - 1, 0)]


def test_a_sub_event_longer_than_a_window_is_refused():
    with pytest.raises(BadInput, match="Split the scene") as refused:
        windows_of([10.0, 151.0])

    assert refused.value.field == "duration"


@pytest.mark.parametrize(
    ("field", "instruction", "reasoning", "caption"),
    [
        ("instruction", "rain " * 3000, "", "Rain."),
        ("reasoning", "Rain.", "why " * 3000, "Rain."),
        ("caption", "Rain.", "", "rain " * 3000),
    ],
)
def test_what_makes_a_window_too_long_is_named(field, instruction, reasoning, caption):
    scenes = [Written("Rain.", 3.0), Written(caption, 3.0)]
    ids = prompt_ids(GOLDEN, instruction)

    with pytest.raises(BadInput, match="is too long: the model would read") as refused:
        window_of(GOLDEN, ids, GOLDEN.encode_text(reasoning), (), scenes, longest=2048)

    assert refused.value.field == field
    told_value = {"instruction": instruction, "reasoning": reasoning, "caption": caption}[field]
    assert refused.value.value == told_value


def test_an_instruction_that_leaves_no_room_is_refused_before_any_pass():
    backend = LanguageModel(make_language_model())
    ids = prompt_ids(GOLDEN, "rain " * 5000)

    with pytest.raises(BadInput, match="is too long: the model would read") as refused:
        generate(backend, GOLDEN, ids)

    assert refused.value.field == "instruction"
    assert backend.forward_passes == 0


def test_a_telling_never_outgrows_the_model():
    backend = LanguageModel(make_language_model())
    ids = prompt_ids(GOLDEN, "rain")
    ids += [7] * (backend.longest - 20 - len(ids))

    generation = generate(backend, GOLDEN, ids)

    assert len(generation.ids) <= 20
