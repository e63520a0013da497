import copy
from collections.abc import Iterator

import pytest
import torch
from torch.testing import assert_close
from transformers import Qwen2Config, Qwen2ForCausalLM

from audiostory_core.model.llm import LanguageModel
from tests.support.golden_network import make_language_model

IDS = [1201, 5, 80, 300, 17, 42, 911, 1202, 8, 1201, 77]


@pytest.fixture(scope="module")
def network() -> Iterator[Qwen2ForCausalLM]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_language_model()
    torch.set_num_threads(threads)


@pytest.fixture
def model(network) -> LanguageModel:
    return LanguageModel(network)


def greedy(network, ids, count, **options) -> list[int]:
    prompt = torch.tensor([ids])
    written = network.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=count,
        pad_token_id=0,
        **options,
    )
    return written[0, len(ids) :].tolist()


def test_a_step_is_what_generate_writes(model, network):
    assert model.step(IDS, stop_ids=(), max_tokens=40) == greedy(network, IDS, 40)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_writes_as_generate_does_and_gives_states_in_float32(network, dtype):
    half = copy.deepcopy(network).to(dtype)
    model = LanguageModel(half)

    assert model.step(IDS, stop_ids=(), max_tokens=20) == greedy(half, IDS, 20)
    states = model.states(IDS)
    assert states.dtype == torch.float32
    assert_close(states, LanguageModel(network).states(IDS), atol=0.2, rtol=0)


@pytest.mark.parametrize("penalty", [1.05, 1.3])
def test_a_repetition_penalty_is_that_of_generate(model, network, penalty):
    told = model.step(IDS, stop_ids=(), max_tokens=40, repetition_penalty=penalty)

    assert told == greedy(network, IDS, 40, repetition_penalty=penalty)
    assert told != greedy(network, IDS, 40)


def test_a_step_ends_with_the_first_stop_id(model, network):
    whole = greedy(network, IDS, 40)
    stop = whole[10]

    assert model.step(IDS, stop_ids={stop}, max_tokens=40) == whole[: whole.index(stop) + 1]


def test_states_are_the_last_hidden_states(model, network):
    with torch.no_grad():
        expected = network(torch.tensor([IDS]), output_hidden_states=True).hidden_states[-1][0]

    assert_close(model.states(IDS), expected, atol=1e-6, rtol=0)


def test_equal_ids_give_equal_states_whatever_was_read_before(model, network):
    written = model.step(IDS, stop_ids=(), max_tokens=20)

    states = model.states([*IDS, *written])

    assert states.shape == (len(IDS) + 20, 64)
    assert torch.equal(states, LanguageModel(network).states([*IDS, *written]))


def test_only_what_differs_is_read_again_to_write_on(model, network):
    model.step([*IDS, 1, 2, 3], stop_ids=(), max_tokens=1)
    told = model.step([*IDS, 1, 4, 5, 6], stop_ids=(), max_tokens=1)

    assert model.forward_passes == 2
    assert model.tokens_read == len(IDS) + 3 + 3
    assert told == greedy(network, [*IDS, 1, 4, 5, 6], 1)


@pytest.mark.parametrize("ids", [IDS[:4], IDS[1:], [*IDS, 9], IDS])
def test_a_cropped_cache_writes_what_a_fresh_one_does(model, network, ids):
    model.step([*IDS, *range(100)], stop_ids=(), max_tokens=5)

    assert model.step(ids, stop_ids=(), max_tokens=15) == greedy(network, ids, 15)


def test_a_confirmed_draft_costs_one_pass_and_an_unconfirmed_one_changes_nothing(model, network):
    own = greedy(network, IDS, 6)
    draft = [own[0], 1300, 1301]

    told = model.step(IDS, stop_ids=(), max_tokens=4, draft=draft)
    assert told[:3] == draft
    assert model.forward_passes == 1
    assert told[3] == greedy(network, [*IDS, *draft], 1)[0]

    assert model.step(IDS, stop_ids=(), max_tokens=6, draft=[1300, own[0]]) == own
    assert model.step(IDS, stop_ids=(), max_tokens=2, draft=draft) == draft[:2]


def test_what_a_failed_pass_left_is_not_kept(model, network):
    model.step(IDS, stop_ids=(), max_tokens=1)
    with pytest.raises(IndexError):
        model.step([*IDS, 999_999], stop_ids=(), max_tokens=1)

    assert model.step(IDS, stop_ids=(), max_tokens=15) == greedy(network, IDS, 15)


def negative() -> LanguageModel:
    """A model whose logits are all negative: the state is the last token's embedding alone."""
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    network = Qwen2ForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.model.layers.parameters():
            parameter.zero_()
        network.model.embed_tokens.weight.copy_(torch.rand(50, 32, generator=generator))
        network.lm_head.weight.copy_(-torch.rand(50, 32, generator=generator))
    return LanguageModel(network)


def test_where_all_logits_are_negative_parity_chooses_a_suppressed_token_and_safe_never_does():
    model = negative()
    best = model.step([1, 2], stop_ids=(), max_tokens=1)
    suppressed = [9, *best]

    assert model.step([1, 2], stop_ids=(), max_tokens=1, suppressed=[9], is_parity=True) == [9]
    assert model.step([1, 2], stop_ids=(), max_tokens=1, suppressed=[9]) == best
    safe = model.step([1, 2], stop_ids=(), max_tokens=30, suppressed=suppressed)
    assert not set(safe) & set(suppressed)
