"""A tiny complete checkpoint in the published layout: `write_tiny`.

For tests, and for trying the whole path in seconds. Its language model knows the grammar and repeats
the words of an instruction; its sound is noise of a sane level, which differs from caption to caption.

    audiostory_3b/pytorch_model.bin      LoRA (r 4) beside the weights, norms in `modules_to_save`
    Flux_detokenizer/                    config.json, and model.safetensors, the autoencoder
    Qwen2.5-3B-Instruct/                 config.json and the tokenizer, without AudioStory's tokens
    flan-t5-large/                       config.json
"""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Qwen2ForCausalLM, T5Config, T5EncoderModel

from audiostory_core.errors import BadInput
from audiostory_core.model.bridging import Bridge
from audiostory_core.model.config import (
    RESIDUAL_TOKENS,
    SEMANTIC_TOKENS,
    DitConfig,
    NetworkConfig,
    VaeConfig,
)
from audiostory_core.model.dit import Dit
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.tiny.language import (
    HIDDEN_SIZE,
    QWEN_TOKENS,
    STEPS,
    OnStep,
    train_language,
    write_tokenizer,
)
from audiostory_core.model.vae import make_vae
from audiostory_core.model.vocabulary import Vocabulary

LORA_RANK = 4  # with an alpha of 4, so that its product is added as it is
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PEAK = 0.5  # of a clip's waveform, about: room for clips that are louder than those measured
LOUDNESS_FRAMES = 128  # latent frames, 6 s
LOUDNESS_STEPS = 6

CONFIG = NetworkConfig(
    dit=DitConfig(num_layers=1, num_single_layers=1, num_attention_heads=1),
    vae=VaeConfig(encoder_hidden_size=8, channel_multiples=(1, 1, 2, 2, 2), decoder_channels=8),
    text_encoder={
        "vocab_size": 1100,
        "d_model": 1024,
        "d_kv": 16,
        "d_ff": 64,
        "num_layers": 1,
        "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
        "dropout_rate": 0.0,
    },
    hidden_size=HIDDEN_SIZE,
)
"""Of the tiny network; clips are as long as the published one's."""

Tensors = dict[str, Tensor]


def write_tiny(
    folder: Path, seed: int = 0, on_step: OnStep | None = None, *, steps: int = STEPS
) -> None:
    """Train and write a tiny checkpoint; the same seed gives the same files on the same machine.

    Args:
        folder: is made, and appears when it is complete; may exist if it is empty.
        seed: 0 … 2**63 - 1.
        on_step: called with the number of training steps done and their total; may raise to
            give up, and nothing is left then.
        steps: of the training; 0 leaves the language model random, for what needs no language.

    Raises:
        BadInput: if the folder is taken or cannot be written, or a number is out of range.
    """
    _check(folder, seed, steps)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as near:
            made = Path(near) / "checkpoint"
            _write(made, seed, steps, on_step)
            made.replace(folder)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise BadInput("folder", str(folder), problem, "Name another folder.") from error


def _check(folder: Path, seed: int, steps: int) -> None:
    if not 0 <= seed < 1 << 63:
        raise BadInput("seed", seed, "is out of range", "Give a whole number of 0 … 2**63 - 1.")
    if steps < 0:
        raise BadInput("steps", steps, "is negative", "Give 0 or more.")
    if folder.exists() and not folder.is_dir():
        raise BadInput("folder", str(folder), "is a file", "Name a folder that is not there yet.")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(
            "folder", str(folder), "is not empty", "Name a folder that is not there yet."
        )


def _write(folder: Path, seed: int, steps: int, on_step: OnStep | None) -> None:
    weights, detokenizer, llm, text_encoder = (
        folder / name
        for name in ("audiostory_3b", "Flux_detokenizer", "Qwen2.5-3B-Instruct", "flan-t5-large")
    )
    for part in (weights, detokenizer, llm, text_encoder):
        part.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)

    write_tokenizer(llm, seed)
    model = train_language(Vocabulary.load(llm), seed, steps, on_step)
    network, vae = _draw_network(generator)
    torch.save(_adapted(model, generator) | network, weights / "pytorch_model.bin")
    save_file(vae, detokenizer / "model.safetensors")

    _write_llm_config(llm, model)
    encoder = dict(CONFIG.text_encoder or {})
    _write_json(text_encoder / "config.json", {"model_type": "t5", **encoder})
    values = CONFIG.as_dict()
    _write_json(
        detokenizer / "config.json",
        {
            **values["dit"],
            "uncondition": False,
            "text_encoder_name": "ckpt/flan-t5-large",
            "vae": values[
                "vae"
            ],  # the published autoencoder is diffusers' default, and says nothing
        },
    )


def _draw_network(generator: torch.Generator) -> tuple[Tensors, Tensors]:
    """All but the language model, by published names; the autoencoder apart."""
    with torch.device("meta"):
        bridge, fusion, dit = Bridge(CONFIG), Fusion(CONFIG), Dit(CONFIG.dit)
        text_encoder = T5EncoderModel(T5Config(**dict(CONFIG.text_encoder or {})))
        vae = make_vae(CONFIG.vae)
    parts: list[nn.Module] = [bridge, fusion, dit, text_encoder]
    for part in parts:
        _draw(part, generator)
    text_encoder.encoder.embed_tokens.weight = text_encoder.shared.weight
    _draw(vae, generator)
    _set_level(vae, bridge, fusion, dit, text_encoder, generator)

    named = {f"seedx.{name}": tensor for name, tensor in bridge.state_dict().items()}
    named |= fusion.state_dict()
    for name, tensor in dit.state_dict().items():
        published = name.replace("duration_embedder.", "duration_emebdder.")  # their spelling
        named[f"tangoflux.{published}"] = tensor
    for name, tensor in text_encoder.state_dict().items():
        named[f"tangoflux.text_encoder.{name}"] = tensor
    return named, {name: tensor.contiguous() for name, tensor in vae.state_dict().items()}


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    """Give a module without memory random weights, of a size that keeps signals at theirs."""
    drawn = {
        name: _drawn(name, tensor.shape, generator) for name, tensor in module.state_dict().items()
    }
    module.load_state_dict(drawn, assign=True)
    module.eval().requires_grad_(False)


def _drawn(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    x = torch.randn(shape, generator=generator)
    if name.endswith("weight_g"):
        return 0.8 + 0.05 * x
    if name.endswith(".weights"):  # frequencies of the duration embedding
        return x
    if len(shape) >= 2:
        return x / math.sqrt(math.prod(shape[1:]))
    return 0.05 * x + (1 if "norm" in name and name.endswith("weight") else 0)


@torch.inference_mode()
def _set_level(
    vae: AutoencoderOobleck,
    bridge: Bridge,
    fusion: Fusion,
    dit: Dit,
    text_encoder: T5EncoderModel,
    generator: torch.Generator,
) -> None:
    """Scale the autoencoder's last convolution so that clips are heard, and not clipped."""
    last = vae.decoder.conv2
    last.weight_v -= last.weight_v.mean(dim=2, keepdim=True)  # or clips had a constant offset
    nothing = torch.zeros(1, SEMANTIC_TOKENS, dtype=torch.long)
    nothing[0, 0] = 1
    unconditional = text_encoder(
        input_ids=nothing, attention_mask=(nothing != 0).long()
    ).last_hidden_state[0]
    synthesizer = Synthesizer(CONFIG, fusion, dit, vae, unconditional)
    states = [
        torch.randn(1, tokens, HIDDEN_SIZE, generator=generator)
        for tokens in (SEMANTIC_TOKENS, RESIDUAL_TOKENS)
    ]
    condition = synthesizer.fuse(*bridge(*states))
    latents = synthesizer.sample(condition, [10.0], [0], steps=LOUDNESS_STEPS)
    clip = synthesizer.decode(latents, [LOUDNESS_FRAMES * CONFIG.vae.hop])[0]
    last.weight_g *= PEAK / torch.from_numpy(clip).abs().amax(dim=1)[:, None, None]


def _adapted(model: Qwen2ForCausalLM, generator: torch.Generator) -> Tensors:
    """The language model as peft 0.4 keeps it: what LoRA adds is taken off the weights before."""
    named = {}
    for name, tensor in model.state_dict().items():
        stem = f"seedx.llm.base_model.model.{name.removesuffix('.weight')}"
        module = stem.rpartition(".")[2]
        if name.endswith(".weight") and module in ADAPTED:
            lora_a = 0.1 * torch.randn(LORA_RANK, tensor.shape[1], generator=generator)
            lora_b = 0.1 * torch.randn(tensor.shape[0], LORA_RANK, generator=generator)
            named[f"{stem}.weight"] = tensor - lora_b @ lora_a
            named[f"{stem}.lora_A.default.weight"] = lora_a
            named[f"{stem}.lora_B.default.weight"] = lora_b
        elif module.endswith("norm"):
            named[f"{stem}.original_module.weight"] = torch.ones_like(tensor)
            named[f"{stem}.modules_to_save.default.weight"] = tensor
        else:
            named[f"seedx.llm.base_model.model.{name}"] = tensor
    return named


def _write_llm_config(folder: Path, model: Qwen2ForCausalLM) -> None:
    """Describe the language model as it was before AudioStory's tokens were added."""
    base = Vocabulary.load(folder).special[QWEN_TOKENS[-1]] + 1
    config = model.config.to_dict() | {"vocab_size": base}
    _write_json(folder / "config.json", config)
    ids = {name: config[name] for name in ("eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", ids)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
