import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from audiostory_core.errors import Cancelled
from audiostory_core.model.flow import draw_noise, sample

SHAPE = (12, 4)
DURATIONS_S = torch.tensor([1.0, 2.0])
UNCONDITIONAL = torch.zeros(3, 5)
CONDITION = torch.ones(2, 3, 5)


def noise() -> Tensor:
    return torch.stack([draw_noise(seed, SHAPE) for seed in (1, 2)])


@pytest.mark.parametrize("steps", [1, 6, 50])
def test_sampler_follows_a_straight_flow_exactly(steps: int) -> None:
    target = torch.full(SHAPE, 0.5)

    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        return (latents - target) / t

    latents = sample(
        velocity, CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, steps=steps, guidance=1
    )
    assert_close(latents, target.expand(2, -1, -1), atol=1e-5, rtol=0.0)


def test_sampler_integrates_a_linear_velocity_as_euler_does() -> None:
    steps = 8

    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        return 2 * latents + t

    by_hand = noise().double()
    for step in range(steps):
        by_hand -= (2 * by_hand + (1 - step / steps)) / steps
    latents = sample(
        velocity, CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, steps=steps, guidance=1
    )
    assert_close(latents.double(), by_hand, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("guidance", [1.5, 4.0, 7.0])
def test_guidance_goes_beyond_the_conditional_velocity(guidance: float) -> None:
    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        assert latents.shape[0] == duration_s.shape[0] == 4
        return condition.mean(dim=(1, 2))[:, None, None].expand_as(latents)  # 0 without, 1 with

    latents = sample(velocity, CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, guidance=guidance)
    assert_close(latents, noise() - guidance, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("guidance", [1.0, 0.0])
def test_without_guidance_the_unconditional_branch_is_not_computed(guidance: float) -> None:
    sizes = []

    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        sizes.append((latents.shape[0], condition.shape[0], duration_s.shape[0]))
        return condition.mean(dim=(1, 2))[:, None, None].expand_as(latents)

    nothing = torch.full_like(UNCONDITIONAL, torch.nan)
    latents = sample(velocity, CONDITION, DURATIONS_S, noise(), nothing, steps=3, guidance=guidance)
    assert sizes == [(2, 2, 2)] * 3
    assert_close(latents, noise() - 1, atol=1e-5, rtol=0.0)


def test_latents_stay_in_fp32_while_the_velocity_is_in_half_precision() -> None:
    seen = []

    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        seen.append((latents.dtype, duration_s.dtype, t.dtype))
        return torch.full_like(latents, 1e-3)  # too small a step for what bf16 latents can hold

    condition = CONDITION.bfloat16()
    latents = sample(velocity, condition, DURATIONS_S, noise(), UNCONDITIONAL, steps=10)
    assert set(seen) == {(torch.bfloat16, torch.float32, torch.float32)}
    assert_close(latents, noise() - 1e-3, atol=1e-5, rtol=0.0)


def test_steps_are_told_in_order_and_can_end_the_sampling() -> None:
    told = []

    def velocity(latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        return latents

    def on_step(done: int, steps: int) -> None:
        told.append((done, steps))
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        sample(velocity, CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, steps=5, on_step=on_step)
    assert told == [(1, 5), (2, 5), (3, 5)]


def test_seed_0_is_the_released_noise() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        released = torch.randn(1, 645, 64)
    assert torch.equal(draw_noise(0, (645, 64)), released[0])


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    draw_noise(7, SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_that_agree_in_any_32_bits_give_unrelated_noise() -> None:
    seeds = [0, 5, 1 << 32, 5 + (1 << 32), 1 + (1 << 32), 5 << 32, (5 << 32) + 5, (1 << 63) - 1]
    flat = torch.stack([draw_noise(seed, (200, 64)) for seed in seeds]).flatten(1)
    assert_close(flat.std(dim=1), torch.ones(len(seeds)), atol=0.03, rtol=0.0)
    assert_close(torch.corrcoef(flat), torch.eye(len(seeds)), atol=0.05, rtol=0.0)


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="is not 0"):
        draw_noise(seed, SHAPE)


@pytest.mark.parametrize("guidance", [float("nan"), float("inf")])
def test_guidance_that_is_no_number_is_refused(guidance: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        sample(
            lambda *_: noise(), CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, guidance=guidance
        )


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="not at least 1"):
        sample(lambda *_: noise(), CONDITION, DURATIONS_S, noise(), UNCONDITIONAL, steps=0)
