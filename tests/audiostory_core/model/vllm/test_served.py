"""Real vLLM and transformers give the same tokens and, but for rounding, the same states."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
import torch
from torch.testing import assert_close

from audiostory_core.errors import BadInput
from audiostory_core.model.generation import generate, read_window, window_of
from audiostory_core.model.grammar import Written, prompt_ids
from audiostory_core.model.tiny.stories import draw_story
from audiostory_core.model.vllm.client import VllmBackend, served_name
from audiostory_core.model.vocabulary import ADDED_TOKENS

PROMPTS = 12
STORIES = 24  # at once
CLOSE = {"atol": 1e-4, "rtol": 0}


@pytest.fixture(scope="session")
def prompts(vocabulary):
    chance = random.Random(5)
    instructions = [draw_story(chance).instruction for _ in range(STORIES - 1)]
    instructions.append(
        "雨が <t5> 降る <|im_end|>, then a dog barks. The total duration is 12 seconds."
    )
    return [prompt_ids(vocabulary, instruction) for instruction in reversed(instructions)]


def states_of(generation):
    kept = [segment.states for segment in generation.segments if segment.states is not None]
    return torch.cat([torch.cat(states) for states in kept])


def test_telling_is_token_exact_and_its_states_are_equal(served, in_process, vocabulary, prompts):
    whole = 0
    for prompt in prompts[:PROMPTS]:
        expected = generate(in_process, vocabulary, prompt)
        told = generate(served, vocabulary, prompt)
        assert told.ids == expected.ids
        assert_close(states_of(told), states_of(expected), **CLOSE)
        whole += sum(segment.is_whole for segment in told.segments)

    assert whole >= 2 * PROMPTS


@pytest.mark.parametrize("penalty", [1.05, 1.3])
def test_repetition_penalty_is_token_exact_too(served, in_process, vocabulary, prompts, penalty):
    for prompt in prompts[:3]:
        options = {"repetition_penalty": penalty, "max_tokens": 250}
        told = generate(served, vocabulary, prompt, **options)
        assert told.ids == generate(in_process, vocabulary, prompt, **options).ids


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_suppressed_tokens_give_way_to_the_same_others(served, in_process, vocabulary, penalty):
    chance = random.Random(3)
    barred = sorted(vocabulary.special[token] for token in ADDED_TOKENS)
    gave_way = 0
    for _ in range(12):
        ids = [chance.randrange(len(vocabulary)) for _ in range(chance.randint(3, 60))]
        asked = {"stop_ids": vocabulary.ends, "max_tokens": 12, "repetition_penalty": penalty}
        free = in_process.step(ids, **asked)
        gave_way += not set(barred).isdisjoint(free)
        told = served.step(ids, **asked, suppressed=barred)
        assert told == in_process.step(ids, **asked, suppressed=barred)

    assert gave_way >= 6


@pytest.mark.parametrize("max_tokens", [1, 2, 6])
def test_draft_is_taken_over_where_its_first_token_is_chosen(
    served, in_process, prompts, max_tokens
):
    first = in_process.step(prompts[0], stop_ids=(), max_tokens=1)[0]
    for draft in ([first, 7, 8], [first + 1, 7, 8]):
        asked = {"stop_ids": (), "max_tokens": max_tokens, "draft": draft}
        assert served.step(prompts[0], **asked) == in_process.step(prompts[0], **asked)


def test_as_many_tokens_are_read_and_written_as_the_backend_says(served, in_process, vocabulary):
    chance = random.Random(4)
    ids = [chance.randrange(len(vocabulary)) for _ in range(served.longest)]

    assert served.longest >= 4000
    assert_close(served.states(ids), in_process.states(ids), **CLOSE)
    asked = {"stop_ids": (), "max_tokens": 5}
    assert served.step(ids[:-5], **asked) == in_process.step(ids[:-5], **asked)


def test_stories_at_once_are_those_told_one_by_one(served, in_process, vocabulary, prompts):
    with ThreadPoolExecutor(STORIES) as threads:
        told = list(threads.map(lambda prompt: generate(served, vocabulary, prompt), prompts))

    assert len(told) >= 20
    for prompt, generation in zip(prompts, told, strict=True):
        expected = generate(in_process, vocabulary, prompt)
        assert generation.ids == expected.ids
        assert_close(states_of(generation), states_of(expected), **CLOSE)


@pytest.fixture
def window(vocabulary, prompts):
    """Makes a window of eight sub-events, one of them as its author changed it."""

    def make(changed=None):
        scenes = [Written(f"scene {place} has a sound of its own", 5.0) for place in range(8)]
        if changed is not None:
            scenes[changed] = replace(scenes[changed], caption="A bell rings.")
        return window_of(vocabulary, prompts[3], (), (), scenes, longest=4000)

    return make


def test_window_of_an_approved_story_gives_equal_states(served, in_process, window):
    expected = read_window(in_process, window())

    for told, each in zip(read_window(served, window()), expected, strict=True):
        assert_close(told.semantic, each.semantic, **CLOSE)
        assert_close(told.residual, each.residual, **CLOSE)


def test_revision_of_a_scene_reads_only_what_follows_it(
    language_server, served, in_process, weights, window
):
    served.states(window().ids)
    cached = []
    for changed in range(8):
        ids = window(changed).ids
        asked = {"model": served_name(weights.revision), "prompt": ids, "max_tokens": 1}
        answer = httpx.post(f"{language_server.url}/v1/completions", json=asked, timeout=60).json()
        cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
        assert_close(served.states(ids), in_process.states(ids), **CLOSE)

    assert cached[1] > 0
    assert cached == sorted(cached)
    assert cached[-1] >= 500


def test_server_of_other_weights_is_refused(language_server, weights):
    other = VllmBackend(language_server.url, "0" * 64, weights.llm_folder)

    with pytest.raises(BadInput, match=f"serves {served_name(weights.revision)}, not audiostory-0"):
        other.step([1, 2, 3], stop_ids=(), max_tokens=1)
    other.close()


def test_states_without_a_folder_say_what_to_set(language_server, weights):
    blind = VllmBackend(language_server.url, weights.revision, weights.llm_folder)

    with pytest.raises(BadInput, match="AUDIOSTORY_LLM_STATES None: is not set"):
        blind.states([1, 2, 3])
    blind.close()


def test_parity_is_refused(served, vocabulary, prompts):
    with pytest.raises(BadInput, match="Unset AUDIOSTORY_LLM_URL"):
        generate(served, vocabulary, prompts[0], is_parity=True)
