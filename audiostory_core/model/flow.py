"""Rectified flow: from noise at time 1 to latents at time 0, by Euler steps.

The latents stay in fp32 between the steps, whatever precision the velocity is computed in.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from audiostory_core.model.sampling import GUIDANCE, STEPS

Velocity = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of latents [B, L, Z], condition [B, S, D], durations [B] and time [1]; `Dit` is one."""

OnStep = Callable[[int, int], None]
"""Called with the number of steps done and their total; may raise to end the sampling."""

MT_SEEDS = 1 << 32  # torch's generator on the CPU reads no more of a seed


@torch.inference_mode()
def sample(
    velocity: Velocity,
    condition: Tensor,
    duration_s: Tensor,
    noise: Tensor,
    unconditional: Tensor,
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    on_step: OnStep | None = None,
) -> Tensor:
    """Follow the velocity from the noise to the latents, all clips of a batch together.

    Args:
        velocity: is called once a step, with the unconditional half of the batch first; with
            `guidance` of at most 1, there is no such half and `unconditional` is not read.
        condition: [B, S, D], in the precision that `velocity` wants its latents in.
        duration_s: [B], in seconds.
        noise: [B, L, Z], standard normal.
        unconditional: [S, D], the condition of no text.
        steps: of equal size, at least 1.
        guidance: how far to go from the unconditional velocity towards and beyond the conditional.
        on_step: is called after every step, from this thread and not before the device is done.

    Returns:
        [B, L, Z] latents in fp32.

    Source:
        Rectified flow, arXiv:2209.03003; `inference_flow_full_tokens` of the AudioStory release.
    """
    if steps < 1:
        raise ValueError(f"steps are {steps}, not at least 1")
    if not math.isfinite(guidance):
        raise ValueError(f"guidance is {guidance}, not a number")
    is_guided = guidance > 1
    if is_guided:
        condition = torch.cat([unconditional.to(condition).expand_as(condition), condition])
        duration_s = torch.cat([duration_s, duration_s])

    latents = noise.to(condition.device, torch.float32)
    # The release's very times: computed in fp64, rounded to fp32, subtracted in fp32.
    times = torch.linspace(1, 1 / steps, steps, dtype=torch.float64).float().to(latents.device)
    times = torch.cat([times, times.new_zeros(1)])
    for step in range(steps):
        now = torch.cat([latents, latents]) if is_guided else latents
        direction = velocity(now.to(condition.dtype), condition, duration_s, times[step : step + 1])
        direction = direction.float()
        if is_guided:
            without, towards = direction.chunk(2)
            direction = without + guidance * (towards - without)
        latents = latents + (times[step + 1] - times[step]) * direction
        if on_step is not None:
            if latents.is_cuda:
                torch.cuda.synchronize(latents.device)  # else all steps are queued at once
            on_step(step + 1, steps)
    return latents


def draw_noise(seed: int, shape: Sequence[int]) -> Tensor:
    """Standard normal noise of one clip, fp32 on the CPU: the same on every machine.

    Seed 0 gives the noise of the release, which is every clip's there.

    Args:
        seed: 0 … 2**63 - 1; all give different noise.
        shape: e.g. [L, Z].
    """
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"seed {seed} is not 0 … 2**63 - 1")
    if seed < MT_SEEDS:
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    high, low = divmod(_scramble(seed), MT_SEEDS)
    first = torch.randn(shape, generator=torch.Generator().manual_seed(low))
    generator = torch.Generator().manual_seed(high)
    torch.randn(shape, generator=generator)  # may be `first` itself, and must not be added to it
    return 0.6 * first + 0.8 * torch.randn(shape, generator=generator)  # of variance 1 again


def _scramble(seed: int) -> int:
    """Another 64 bits for every 64 bits, and far apart for near ones: SplitMix64's finalizer."""
    seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
    seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EB % (1 << 64)
    return seed ^ (seed >> 31)
