"""Our network against what the authors' released code computed from the same weights."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.vocabulary import ADDED_TOKENS
from tests.support import golden_recipe
from tests.support.golden_network import make_bridge, make_language_model, make_synthesizer

CLOSE = {"atol": 1e-4, "rtol": 0.0}
CLIPS = range(3)


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    torch.set_num_threads(1)
    return make_synthesizer()


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return golden_recipe.expected()


def spans(ids: Tensor, first: str, count: int) -> Tensor:
    """Positions of `count` tokens from `first` on, for every sub-event: [B, count]."""
    base = golden_recipe.settings()["llm"]["vocab_size"] - len(ADDED_TOKENS)
    (starts,) = torch.where(ids == base + ADDED_TOKENS.index(first))
    return starts[:, None] + torch.arange(count)


def clip_durations() -> list[float]:
    """As the release asks for: with the seam, but for the last."""
    given = golden_recipe.settings()
    durations = [sub_event["duration_s"] for sub_event in given["sub_events"]]
    return [duration + given["crossfade_s"] for duration in durations[:-1]] + durations[-1:]


def sample(synthesizer: Synthesizer, condition: Tensor, durations: list[float]) -> Tensor:
    given = golden_recipe.settings()
    seeds = [given["latent_seed"]] * len(durations)
    return synthesizer.sample(
        condition, durations, seeds, steps=given["steps"], guidance=given["guidance"]
    )


def test_features_are_the_released_ones(expected: dict[str, Tensor]) -> None:
    ids = torch.cat([expected["prompt_ids"], expected["transcript_ids"]])
    with torch.no_grad():
        states = make_language_model().model(input_ids=ids[None]).last_hidden_state[0]
    tokens = make_bridge()(
        states[spans(ids, "<t5_00000>", 64)], states[spans(ids, "<aud_00000>", 8)]
    )
    assert_close(tokens[0], expected["t5_features"], **CLOSE)
    assert_close(tokens[1], expected["aud_features"], **CLOSE)


def test_condition_is_the_released_one(
    synthesizer: Synthesizer, expected: dict[str, Tensor]
) -> None:
    condition = synthesizer.fuse(expected["t5_features"], expected["aud_features"])
    assert_close(condition, expected["condition"], **CLOSE)


def test_latents_of_a_batch_of_three_durations_are_the_released_ones(
    synthesizer: Synthesizer, expected: dict[str, Tensor]
) -> None:
    latents = sample(synthesizer, expected["condition"], clip_durations())
    for clip in CLIPS:
        assert_close(latents[clip], expected[f"latents_{clip}"][0], **CLOSE)


def test_waveforms_are_the_released_ones(
    synthesizer: Synthesizer, expected: dict[str, Tensor]
) -> None:
    latents = torch.cat([expected[f"latents_{clip}"] for clip in CLIPS])
    wanted = [expected[f"waveform_{clip}"] for clip in CLIPS]
    waveforms = synthesizer.decode(latents, [waveform.shape[1] for waveform in wanted])
    for ours, theirs in zip(waveforms, wanted, strict=True):
        assert_close(torch.from_numpy(ours), theirs, atol=1e-3, rtol=0.0)


def test_waveforms_from_tokens_on_are_the_released_ones(
    synthesizer: Synthesizer, expected: dict[str, Tensor]
) -> None:
    condition = synthesizer.fuse(expected["t5_features"], expected["aud_features"])
    latents = sample(synthesizer, condition, clip_durations())
    lengths = [int(duration * 44_100) for duration in clip_durations()]
    for clip, ours in enumerate(synthesizer.decode(latents, lengths)):
        assert_close(torch.from_numpy(ours), expected[f"waveform_{clip}"], atol=1e-3, rtol=0.0)
