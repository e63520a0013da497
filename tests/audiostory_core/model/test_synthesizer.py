import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from audiostory_core.errors import BadInput, Cancelled, EngineFailed
from audiostory_core.model.synthesizer import Synthesizer
from tests.support import golden_recipe
from tests.support.golden_network import make_synthesizer
from tests.support.subprocesses import run_apart

DURATIONS_S = [1.6, 1.4, 0.8, 2.0, 0.5, 1.1, 2.2, 1.0]
SEEDS = [0, 1, 2, 3, 1 << 40, 5, 6, (1 << 63) - 1]


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    torch.set_num_threads(1)
    return make_synthesizer()


@pytest.fixture(scope="module")
def condition() -> Tensor:
    """Of eight sub-events, all different, [8, 64, 1024]."""
    given = golden_recipe.expected()["condition"]
    return torch.cat([given, given.flip(1), given.roll(1, dims=2)])[:8]


def sample(synthesizer: Synthesizer, condition: Tensor, first: int, count: int, **how) -> Tensor:
    clips = slice(first, first + count)
    how = {"steps": 6} | how
    return synthesizer.sample(condition[clips], DURATIONS_S[clips], SEEDS[clips], **how)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_clip_is_the_same_alone_and_in_any_batch(
    synthesizer: Synthesizer, condition: Tensor, guidance: float
) -> None:
    alone = torch.cat(
        [sample(synthesizer, condition, clip, 1, guidance=guidance) for clip in range(8)]
    )
    for count in (2, 3, 8):
        for first in range(0, 9 - count, count):
            together = sample(synthesizer, condition, first, count, guidance=guidance)
            assert_close(together, alone[first : first + count], atol=1e-5, rtol=0.0)


def test_clip_is_the_same_after_all_published_steps(
    synthesizer: Synthesizer, condition: Tensor
) -> None:
    alone = sample(synthesizer, condition, 2, 1, steps=50)
    together = sample(synthesizer, condition, 1, 3, steps=50)
    assert_close(together[1:2], alone, atol=1e-5, rtol=0.0)


def test_equal_requests_are_bit_identical(synthesizer: Synthesizer, condition: Tensor) -> None:
    first, second = (sample(synthesizer, condition, 0, 3) for _ in range(2))
    assert torch.equal(first, second)
    lengths = [70_000, 5, 2048]
    decoded = [synthesizer.decode(latents, lengths) for latents in (first, second)]
    assert all(np.array_equal(one, other) for one, other in zip(*decoded, strict=True))


def test_waveform_is_bit_identical_in_any_batch(
    synthesizer: Synthesizer, condition: Tensor
) -> None:
    latents = sample(synthesizer, condition, 0, 3)
    lengths = [70_000, 30_000, 48 * 2048]
    together = synthesizer.decode(latents, lengths)
    for clip, length in enumerate(lengths):
        (alone,) = synthesizer.decode(latents[clip : clip + 1], [length])
        assert alone.dtype == np.float32
        assert alone.shape == (2, length)
        assert np.array_equal(alone, together[clip])


def test_another_seed_is_another_clip(synthesizer: Synthesizer, condition: Tensor) -> None:
    one, other = (
        synthesizer.sample(condition[:1], [1.0], [seed], steps=6) for seed in (5, 5 + (1 << 32))
    )
    assert (one - other).abs().max() > 0.1


def test_cancelling_leaves_the_synthesizer_as_it_was(
    synthesizer: Synthesizer, condition: Tensor
) -> None:
    def cancel(done: int, steps: int) -> None:
        if done == 3:
            raise Cancelled

    before = sample(synthesizer, condition, 0, 2)
    with pytest.raises(Cancelled):
        sample(synthesizer, condition, 2, 3, on_step=cancel)
    assert torch.equal(sample(synthesizer, condition, 0, 2), before)
    with pytest.raises(Cancelled):
        synthesizer.decode(before, [60_000] * 2, chunk=8, on_chunk=cancel)
    assert torch.equal(sample(synthesizer, condition, 0, 2), before)


def sample_more_than_fits() -> tuple[str, bool]:
    """In a process with little memory to spare: the error, and whether a small batch still works."""
    torch.set_num_threads(1)
    synthesizer = make_synthesizer()
    condition = golden_recipe.expected()["condition"][:1]
    before = synthesizer.sample(condition, [1.0], [0], steps=2)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + 100 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    error = ""
    try:
        synthesizer.sample(condition.expand(256, -1, -1), [1.0] * 256, [0] * 256, steps=2)
    except MemoryError as no_room:
        error = str(no_room)
    after = synthesizer.sample(condition, [1.0], [0], steps=2)
    return error, torch.equal(after, before)


def test_batch_that_does_not_fit_is_an_error_of_memory_and_a_smaller_one_goes_on() -> None:
    error, is_usable = run_apart(sample_more_than_fits)
    assert "allocate" in error
    assert is_usable


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_near(
    synthesizer: Synthesizer, condition: Tensor, dtype: torch.dtype
) -> None:
    half = make_synthesizer(dtype)
    assert half.dtype == dtype
    latents = sample(half, condition, 0, 2)
    exact = sample(synthesizer, condition, 0, 2)
    assert latents.dtype == torch.float32
    error = (latents - exact).square().mean() / exact.square().mean()
    assert error < 1e-2
    ours, theirs = half.decode(latents, [20_000, 9]), synthesizer.decode(latents, [20_000, 9])
    assert ours[0].dtype == np.float32
    assert np.square(ours[0] - theirs[0]).mean() / np.square(theirs[0]).mean() < 1e-2


def test_numbers_that_overflow_are_told_and_not_heard(
    synthesizer: Synthesizer, condition: Tensor
) -> None:
    with pytest.raises(EngineFailed, match="overflow in float32"):
        sample(synthesizer, condition * torch.inf, 0, 2)


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 30.5, float("nan"), float("inf")])
def test_durations_that_no_clip_can_have_are_refused(
    synthesizer: Synthesizer, condition: Tensor, duration_s: float
) -> None:
    with pytest.raises(BadInput, match=r"more than 0 and at most 30 seconds") as refused:
        synthesizer.sample(condition[:2], [1.0, duration_s], [0, 1])
    assert refused.value.field == "duration"


def test_requests_that_do_not_match_are_refused(
    synthesizer: Synthesizer, condition: Tensor
) -> None:
    for wrong in (
        (condition[:2], [1.0], [0, 1]),
        (condition[:2], [1.0, 2.0], [0]),
        (condition[:2, :63], [1.0, 2.0], [0, 1]),
        (condition[0], [1.0], [0]),
    ):
        with pytest.raises(ValueError, match="not of the same clips"):
            synthesizer.sample(*wrong)
    with pytest.raises(ValueError, match="shorter"):
        synthesizer.decode(torch.zeros(2, 48, 64), [5])
