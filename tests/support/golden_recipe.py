"""The golden checkpoint by its recipe, and what the authors' released code computes from it.

No weights are stored: every value follows from its key. `golden/expected.safetensors` was computed
by the release, unchanged, in fp32 on a CPU from these very tensors.
"""

import json
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from audiostory_core.model.config import NetworkConfig

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
TIED = "tangoflux.text_encoder.encoder.embed_tokens.weight"
SHARED = "tangoflux.text_encoder.shared.weight"


@cache
def settings() -> dict[str, Any]:
    """Dimensions, prompt, durations and the sampler's settings, as written with the golden data."""
    return json.loads((GOLDEN / "config.json").read_text(encoding="utf-8"))


@cache
def config() -> NetworkConfig:
    """The golden checkpoint's dimensions."""
    given = settings()
    dit = {name: value for name, value in given["dit"].items() if name != "uncondition"}
    return NetworkConfig.from_dict(
        {
            "dit": dit,
            "vae": given["vae"],
            "text_encoder": given["t5"],
            "feature_scale": given["t5_feature_scale"],
            "hidden_size": given["llm"]["hidden_size"],
        }
    )


def published_tensors() -> dict[str, Tensor]:
    """Every tensor of `pytorch_model.bin`, by its published key.

    The tied embedding is one tensor, as in the file. All are the caller's own.
    """
    own = {key: tensor.clone() for key, tensor in _published().items()}
    return own | {TIED: own[SHARED]}


def vae_tensors() -> dict[str, Tensor]:
    """Every tensor of `Flux_detokenizer/model.safetensors`, by its published key."""
    return {key: tensor.clone() for key, tensor in _vae().items()}


@cache
def _published() -> dict[str, Tensor]:
    keys = _keys()["keys"]
    tensors = {key: _value(key, shape) for key, shape in keys.items() if key != TIED}
    return {key: tensors[SHARED if key == TIED else key] for key in keys}


@cache
def _vae() -> dict[str, Tensor]:
    return {key: _value(f"vae.{key}", shape) for key, shape in _keys()["vae_keys"].items()}


def expected() -> dict[str, Tensor]:
    """What the release computes: ids, features, condition, latents, waveforms and mix."""
    return load_file(GOLDEN / "expected.safetensors")


@cache
def _keys() -> dict[str, Any]:
    return json.loads((GOLDEN / "keys.json").read_text(encoding="utf-8"))


def _value(key: str, shape: list[int]) -> Tensor:
    seed = zlib.crc32(f"{_keys()['seed']}:{key}".encode())
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if len(shape) >= 2:
        value = x / math.sqrt(math.prod(shape[1:]))
    elif key.startswith("vae.") and key.endswith("bias"):
        value = 0 * x
    else:
        value = 0.05 * x + (1 if "norm" in key and key.endswith("weight") else 0)
    if key.startswith("vae.") and key.endswith("weight_g"):
        value = 0.8 + 0.05 * value
    return value
