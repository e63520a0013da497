"""The autoencoder's decoder: latents to a waveform, in chunks that equal the whole."""

import math
import warnings
from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor

from audiostory_core.model.config import VaeConfig

CHUNK = 128  # latent frames, 5.9 s
DILATIONS = (1, 3, 9)  # of the three residual units behind every upsampling
KERNEL = 7  # of every convolution but the upsampling ones

OnChunk = Callable[[int, int], None]
"""Called with the number of chunks done and their total; may raise to end the decoding."""


def make_vae(config: VaeConfig) -> AutoencoderOobleck:
    """Diffusers' autoencoder, with weights yet to be loaded."""
    with warnings.catch_warnings():
        # diffusers keeps torch's older weight_norm, whose `weight_g` and `weight_v` are published.
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        return AutoencoderOobleck(**config.as_dict()).eval()


def vae_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision to decode in where the DiT has `dtype`: bf16 is too coarse for a waveform.

    On the golden weights its error is 13 dB below the signal; that of fp16 is 29 dB below.
    """
    return torch.float32 if dtype == torch.bfloat16 else dtype


def reach(ratios: Sequence[int]) -> int:
    """Latent frames on either side that a sample depends on: 10 as published.

    Args:
        ratios: by which the encoder downsamples, in its order.
    """
    side = KERNEL // 2
    rate = 1  # samples of a latent frame at this depth
    frames = float(side)
    for ratio in reversed(ratios):
        frames += 1 / rate  # an upsampling convolution reads the neighbor
        rate *= ratio
        frames += sum(dilation * side for dilation in DILATIONS) / rate
    frames += side / rate
    return math.ceil(frames)


@torch.inference_mode()
def decode(
    vae: AutoencoderOobleck,
    latents: Tensor,
    samples: int,
    *,
    chunk: int = CHUNK,
    on_chunk: OnChunk | None = None,
) -> Tensor:
    """Decode the first `samples` of a clip, with memory of one chunk.

    A chunk is decoded with as many frames around it as reach into it, so that the seams are those
    of decoding the whole, but for rounding.

        latents    ··········|--------------------|··········
                    reach            chunk           reach

    Args:
        vae: made by `make_vae`.
        latents: [L, Z] of one clip; frames that no sample needs are not read.
        samples: 1 … L * hop.
        chunk: latent frames to decode at a time.
        on_chunk: is called after every chunk, from this thread.

    Returns:
        [C, samples] waveform in fp32 on the CPU.

    Source:
        Oobleck of Stable Audio, arXiv:2404.10301, by diffusers.
    """
    hop = vae.hop_length
    if not 1 <= samples <= latents.shape[0] * hop:
        raise ValueError(f"{samples} samples are not in latents {list(latents.shape)}")
    margin = reach(vae.downsampling_ratios)
    frames = math.ceil(samples / hop)
    starts = range(0, frames, chunk)
    parameter = next(vae.decoder.parameters())
    z = latents.T.to(parameter.device, parameter.dtype)  # [Z, L]
    parts = []
    for done, start in enumerate(starts, 1):
        end = min(start + chunk, frames)
        first = max(start - margin, 0)
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            part = vae.decoder(z[None, :, first : end + margin])[0]
        begin = (start - first) * hop
        parts.append(part[:, begin : begin + (end - start) * hop].float().cpu())
        if on_chunk is not None:
            on_chunk(done, len(starts))
    return torch.cat(parts, dim=1)[:, :samples]
