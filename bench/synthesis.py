"""Seconds of audio per second: clips one by one as the release makes them, and in batches.

    python -m bench.synthesis [--sizes tiny small] [--times 3] [--steps 10] [--duration 12]
    python -m bench.synthesis --count
    python -m bench.synthesis --real [--device cuda] [--precision float16]

*serial* is written as the release runs: one clip at a time, the text encoder run over "" anew for
each, all 645 latent frames decoded at once. The others are `Synthesizer.sample` and `.decode` at
batch 1, 2, 4 and 8, with the same weights, which are random; they take turns in one run.

`--count` counts floating point operations and bytes at the published size on the meta device, for
docs/roofline.md. `--real` makes a story of 150 s at the published size with random weights on a GPU,
and tells where the time goes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderOobleck
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2Config, Qwen2ForCausalLM, T5Config, T5EncoderModel

from audiostory_core.model.config import (
    RESIDUAL_TOKENS,
    SEMANTIC_TOKENS,
    DitConfig,
    NetworkConfig,
    VaeConfig,
)
from audiostory_core.model.dit import Dit
from audiostory_core.model.flow import draw_noise
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.sampling import GUIDANCE, STEPS
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.tiny.checkpoint import CONFIG as TINY
from audiostory_core.model.vae import CHUNK, make_vae, reach, vae_dtype
from audiostory_core.model.weights.tensor_files import DTYPES
from audiostory_core.story.plan import SAMPLE_RATE
from bench.interleave import REAL as REAL_LANGUAGE

FLAN_T5_LARGE = {
    "vocab_size": 32_128,
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 2816,
    "num_layers": 24,
    "num_heads": 16,
    "feed_forward_proj": "gated-gelu",
}
SMALL = NetworkConfig(
    dit=DitConfig(num_layers=1, num_single_layers=3, num_attention_heads=2),
    vae=VaeConfig(encoder_hidden_size=16, decoder_channels=16),
    text_encoder=FLAN_T5_LARGE | {"num_layers": 3},
)
REAL = NetworkConfig(text_encoder=FLAN_T5_LARGE)
SIZES = {"tiny": TINY, "small": SMALL, "real": REAL}
BATCHES = (1, 2, 4, 8)
TAIL_S = 3.0
STORY_CLIPS, STORY_S = 6, 150.0  # as few clips as the published length of a clip allows
STORY_TOKENS = 900  # of its window, about

Clips = list[NDArray[np.float32]]


class Stopwatch:
    """Adds up seconds by what they were spent on, when the device is done."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}
        self.processor_s = 0.0

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Measure a part."""
        self._wait()
        started, worked = time.perf_counter(), time.process_time()
        yield
        self._wait()
        self.processor_s += time.process_time() - worked
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


@dataclass
class Runs:
    """What a way took per clip, by part, once for each run."""

    parts: list[dict[str, float]] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)

    def add(self, stopwatch: Stopwatch, clips: int) -> None:
        """Remember a run."""
        self.parts.append({part: s / clips for part, s in stopwatch.seconds.items()})
        self.processor_s.append(stopwatch.processor_s / clips)

    def totals(self) -> list[float]:
        """Seconds per clip of each run."""
        return [sum(parts.values()) for parts in self.parts]

    def median(self, part: str) -> float:
        """Seconds per clip spent on a part."""
        return statistics.median(parts.get(part, 0.0) for parts in self.parts)


class Network:
    """Random weights of one size, and the two ways to make clips of them."""

    def __init__(self, config: NetworkConfig, steps: int, device: str, dtype: torch.dtype) -> None:
        self.config = config
        self.steps = steps
        self.device = torch.device(device)
        self.dtype = dtype
        with self.device:
            fusion, self.dit = Fusion(config).to(dtype), Dit(config.dit).to(dtype).eval()
            self.vae = make_vae(config.vae).requires_grad_(False)
            encoder = T5EncoderModel(T5Config(**dict(config.text_encoder or {})))
        if vae_dtype(dtype) != torch.float32:
            self.vae.to(vae_dtype(dtype))
        self.encoder = encoder.eval()  # in fp32: fp16 overflows in it
        self.synthesizer = Synthesizer(config, fusion, self.dit, self.vae, self.nothing())

    @torch.inference_mode()
    def nothing(self) -> Tensor:
        """[S, D], the text encoder run over the empty caption."""
        ids = torch.zeros(1, SEMANTIC_TOKENS, dtype=torch.long, device=self.device)
        ids[0, 0] = 1
        states = self.encoder(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
        return states[0].clone()

    def conditions(self, clips: int) -> Tensor:
        """[B, S, D] of random tokens."""
        generator = torch.Generator().manual_seed(clips)
        width = self.config.dit.joint_attention_dim
        return self.synthesizer.fuse(
            torch.randn(clips, SEMANTIC_TOKENS, width, generator=generator),
            torch.randn(clips, RESIDUAL_TOKENS, width, generator=generator),
        )

    @torch.inference_mode()
    def serial(self, conditions: Tensor, duration_s: float, stopwatch: Stopwatch) -> Clips:
        """Make clips as the release does."""
        length = self.config.dit.audio_seq_len
        made = []
        for index, condition in enumerate(conditions):
            with stopwatch.on("text"):
                text = torch.stack([self.nothing().to(condition), condition])
            with stopwatch.on("DiT"):
                latents = draw_noise(index, (1, length, self.config.dit.in_channels))
                latents = latents.to(self.device, self.dtype)
                seconds = torch.full((2,), duration_s, device=self.device)
                times = [1 - step / self.steps for step in range(self.steps)] + [0.0]
                for now, after in pairwise(times):
                    at = torch.tensor([now], device=self.device)
                    velocity = self.dit(torch.cat([latents, latents]), text, seconds, at)
                    without, towards = velocity.chunk(2)
                    velocity = without + GUIDANCE * (towards - without)
                    latents = latents + (after - now) * velocity
            with stopwatch.on("VAE"):
                z = latents.transpose(1, 2).to(next(self.vae.parameters()).dtype)
                waveform = self.vae.decode(z).sample[0].float().cpu().numpy()
                made.append(waveform[:, : round(duration_s * SAMPLE_RATE)])
        return made

    def batch(self, conditions: Tensor, duration_s: float, stopwatch: Stopwatch) -> Clips:
        """Make clips as we do, all together."""
        clips = len(conditions)
        with stopwatch.on("DiT"):
            latents = self.synthesizer.sample(
                conditions,
                [duration_s] * clips,
                list(range(clips)),
                steps=self.steps,
                guidance=GUIDANCE,
            )
        with stopwatch.on("VAE"):
            return self.synthesizer.decode(latents, [round(duration_s * SAMPLE_RATE)] * clips)


def compare(network: Network, duration_s: float, times: int) -> dict[str, Runs]:
    """Let the ways take turns."""
    runs = {"serial": Runs(), **{f"batch {size}": Runs() for size in BATCHES}}
    conditions = network.conditions(max(BATCHES))
    alone = network.batch(conditions[:1], duration_s, Stopwatch(network.device))  # warms up
    for _ in range(times):
        stopwatch = Stopwatch(network.device)
        serial = network.serial(conditions[:2], duration_s, stopwatch)
        runs["serial"].add(stopwatch, 2)
        for size in BATCHES:
            stopwatch = Stopwatch(network.device)
            clips = network.batch(conditions[:size], duration_s, stopwatch)
            runs[f"batch {size}"].add(stopwatch, size)
    for name, other in (("the serial loop's", serial[0]), ("the same in a batch of 8", clips[0])):
        print(f"a clip alone and {name}: differ by {np.abs(alone[0] - other).max():.1e} at most")
    print(f"its peak is {np.abs(alone[0]).max():.2g}")
    return runs


def show(name: str, runs: dict[str, Runs], audio_s: float) -> None:
    """Print a table; `audio_s` is a clip's share of the story, without its tail."""
    columns = f"{name} | audio per second (least … most) | | by processor time"
    print(f"\n| {columns} | text | DiT | VAE, per clip |\n{'|---' * 7}|")
    slow = statistics.median(runs["serial"].totals())
    busy = statistics.median(runs["serial"].processor_s)
    for way, one in runs.items():
        rates = sorted(audio_s / seconds for seconds in one.totals())
        spent = " | ".join(f"{1000 * one.median(part):.1f} ms" for part in ("text", "DiT", "VAE"))
        print(
            f"| {way} | {statistics.median(rates):.3g} s ({rates[0]:.3g} … {rates[-1]:.3g}) "
            f"| {slow / statistics.median(one.totals()):.2f} × "
            f"| {busy / statistics.median(one.processor_s):.2f} × | {spent} |",
            flush=True,
        )


def story(network: Network, times: int) -> None:
    """Print how long a story of 150 s takes, conditions given and nothing cached."""
    audio_s = STORY_S / STORY_CLIPS
    conditions = network.conditions(STORY_CLIPS)
    runs = Runs()
    for _ in range(times + 1):
        stopwatch = Stopwatch(network.device)
        network.batch(conditions, audio_s + TAIL_S, stopwatch)
        runs.add(stopwatch, 1)
    runs.parts.pop(0)  # warms up
    spent = ", ".join(f"{part} {runs.median(part):.2f} s" for part in ("DiT", "VAE"))
    print(
        f"\n{STORY_S:g} s in {STORY_CLIPS} clips: {statistics.median(runs.totals()):.2f} s ({spent})"
    )
    if network.device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


def operations(run: Callable[[], Any]) -> float:
    """Floating point operations of matrix products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        run()
    return float(counter.get_total_flops())


def parameters(module: nn.Module) -> int:
    """How many numbers a module has."""
    return sum(parameter.numel() for parameter in module.parameters())


def count() -> None:
    """Print operations and parameters at the published size; nothing is computed."""
    length, width = REAL.dit.audio_seq_len, REAL.dit.joint_attention_dim
    with torch.device("meta"):
        dit, vae = Dit(REAL.dit), make_vae(REAL.vae)
        encoder = T5EncoderModel(T5Config(**FLAN_T5_LARGE))
        language = Qwen2ForCausalLM(Qwen2Config(**REAL_LANGUAGE, tie_word_embeddings=True))
        latents = torch.empty(2, length, REAL.dit.in_channels)
        text, seconds, at = torch.empty(2, SEMANTIC_TOKENS, width), torch.empty(2), torch.empty(1)
        ids = torch.empty(1, STORY_TOKENS, dtype=torch.long)
        nothing = torch.empty(1, SEMANTIC_TOKENS, dtype=torch.long)
    print("| part | parameters | operations |\n|---|---|---|")
    _row("DiT, a step of one clip with guidance", dit, lambda: dit(latents, text, seconds, at))
    for frames in (length, CHUNK + 2 * reach(REAL.vae.downsampling_ratios)):
        _row(f"VAE decoder, {frames} frames", vae.decoder, partial(_decoded, vae, frames))
    _row("text encoder, the empty caption", encoder, lambda: encoder(input_ids=nothing))
    _row(f"language model, {STORY_TOKENS} tokens", language, lambda: language.model(ids))


def _decoded(vae: AutoencoderOobleck, frames: int) -> Tensor:
    z = torch.empty(1, REAL.dit.in_channels, frames, device="meta")
    decoded: Tensor = vae.decoder(z)
    return decoded


def _row(name: str, module: nn.Module, run: Callable[[], Any]) -> None:
    print(f"| {name} | {parameters(module) / 1e6:,.1f} M | {operations(run) / 1e12:.3f} T |")


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["tiny"])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--duration", type=float, default=12.0, help="of a clip in seconds")
    parser.add_argument("--steps", type=int, help="of the sampler; 10, with --real 50")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--precision", choices=DTYPES)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.count:
        count()
        return
    device = given.device or ("cuda" if given.real else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("there is no GPU")
    steps = given.steps or (STEPS if given.real else 10)
    dtype = DTYPES[given.precision or ("float16" if given.real else "float32")]
    for size in ["real"] if given.real else given.sizes:
        network = Network(SIZES[size], steps, device, dtype)
        millions = parameters(network.dit) / 1e6, parameters(network.vae.decoder) / 1e6
        runs = compare(network, given.duration + TAIL_S, given.times)
        name = f"{size}, {millions[0]:,.1f} M in the DiT, {millions[1]:,.1f} M in the decoder"
        show(f"{name}, {steps} steps", runs, given.duration)
        if given.real:
            story(network, given.times)


if __name__ == "__main__":
    main()
