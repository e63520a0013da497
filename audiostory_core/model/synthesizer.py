"""From the tokens of sub-events to the waveforms of clips: all of the network but its language."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from diffusers import AutoencoderOobleck
from numpy.typing import NDArray
from torch import Tensor

from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.dit import Dit
from audiostory_core.model.flow import (
    OnStep,
    draw_noise,
    sample,
)
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.sampling import GUIDANCE, STEPS
from audiostory_core.model.vae import CHUNK, OnChunk, decode
from audiostory_core.model.weights.tensor_files import NO_MEMORY


class Synthesizer:
    """What a worker needs to make clips, with weights loaded and on their device.

    A clip is the same alone and in any batch: to 1e-5 in fp32, as matrix products of another
    shape round otherwise. Whatever ends a call early (`on_step`, no memory) leaves it usable.

    Args:
        config: its dimensions.
        fusion: with its weights, as the two that follow.
        dit: sets the device and the precision of the whole.
        vae: made by `make_vae`; may have a precision of its own.
        unconditional: [S, D], the text encoder's embedding of no text.
        compile: run the DiT through `torch.compile`: the first step of every size of batch is
            slow then.
    """

    def __init__(
        self,
        config: NetworkConfig,
        fusion: Fusion,
        dit: Dit,
        vae: AutoencoderOobleck,
        unconditional: Tensor,
        *,
        compile: bool = False,
    ) -> None:
        parameter = next(dit.parameters())
        self.config = config
        self.device = parameter.device
        self.dtype = parameter.dtype
        self.longest_s = config.longest_s
        self._fusion = fusion.eval()
        self._dit = dit.eval()
        self._velocity = torch.compile(dit) if compile else dit
        self._vae = vae.eval()
        self._unconditional = unconditional.to(self.device, self.dtype)

    @torch.inference_mode()
    def fuse(self, semantic_tokens: Tensor, residual_tokens: Tensor) -> Tensor:
        """Fuse tokens [B, S, D] and [B, R, D] into a condition [B, S, D]."""
        weight = self._fusion.multihead_attention.in_proj_weight
        return self._fusion(
            semantic_tokens.to(weight.device, weight.dtype),
            residual_tokens.to(weight.device, weight.dtype),
        )

    def sample(
        self,
        condition: Tensor,
        durations_s: Sequence[float],
        seeds: Sequence[int],
        *,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Make the latents of one clip per condition, each from noise of its own.

        Args:
            condition: [B, S, D], by `fuse`.
            durations_s: B durations in seconds, above 0 and at most `max_duration`; may differ.
            seeds: B seeds, 0 … 2**63 - 1; 0 is the noise of the release.
            steps: of the sampler, at least 1.
            guidance: at most 1 is none, in half the time.
            on_step: called with the number of steps done and their total; may raise to cancel.

        Returns:
            [B, L, Z] latents in fp32 on the device.

        Raises:
            BadInput: for a duration that the network cannot make.
            EngineFailed: if numbers overflow in the precision chosen.
            torch.OutOfMemoryError: if the batch is too large for a CUDA device.
            MemoryError: if it is too large for a CPU.
        """
        wanted = (len(durations_s), *self._unconditional.shape)
        if condition.shape != wanted or len(seeds) != wanted[0]:
            raise ValueError(
                f"condition {list(condition.shape)}, {len(durations_s)} durations and "
                f"{len(seeds)} seeds are not of the same clips, [B, S, D] as {list(wanted)}"
            )
        longest_s = self.config.dit.max_duration
        for duration_s in durations_s:
            if not 0 < duration_s <= longest_s:
                raise BadInput(
                    "duration",
                    duration_s,
                    "is not of a clip that the network can make",
                    f"Ask for more than 0 and at most {longest_s:g} seconds.",
                )
        shape = self.config.dit.audio_seq_len, self.config.dit.in_channels
        with _named_memory_errors():
            latents = sample(
                self._velocity,
                condition.to(self.device, self.dtype),
                torch.tensor(durations_s, dtype=torch.float32, device=self.device),
                torch.stack([draw_noise(seed, shape) for seed in seeds]),
                self._unconditional,
                steps=steps,
                guidance=guidance,
                on_step=on_step,
            )
        if not math.isfinite(latents.sum().item()):
            precision = str(self.dtype).removeprefix("torch.")
            raise EngineFailed(f"The network's numbers overflow in {precision}; use float32.")
        return latents

    def decode(
        self,
        latents: Tensor,
        samples: Sequence[int],
        *,
        chunk: int = CHUNK,
        on_chunk: OnChunk | None = None,
    ) -> list[NDArray[np.float32]]:
        """Decode latents [B, L, Z] into B waveforms [2, N] at 44.1 kHz, as long as `samples` say.

        Clips are decoded one by one, so that one is bit-identical in any batch.

        Args:
            latents: by `sample`; not limited to [-1, 1], as the release's are not.
            samples: B lengths, 1 … L * hop.
            chunk: latent frames to decode at a time.
            on_chunk: called after every chunk of every clip; may raise to cancel.

        Raises:
            torch.OutOfMemoryError: if a chunk is too large for a CUDA device.
            MemoryError: if it is too large for a CPU.
        """
        with _named_memory_errors():
            return [
                decode(self._vae, latent, length, chunk=chunk, on_chunk=on_chunk).numpy()
                for latent, length in zip(latents, samples, strict=True)
            ]


@contextmanager
def _named_memory_errors() -> Iterator[None]:
    """On a CPU, torch's word for no memory is a RuntimeError like any other."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if NO_MEMORY.search(str(error)) is None:
            raise
        raise MemoryError(str(error)) from error
