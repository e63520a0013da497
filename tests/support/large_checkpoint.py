"""A published checkpoint whose language model is large, for measuring."""

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from tests.support import golden_recipe
from tests.support.published_checkpoint import ADAPTED, write_published

RANK = 32
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def write_large(
    folder: Path, hidden_size: int, layers: int, dtype: torch.dtype = torch.bfloat16
) -> Path:
    """Write a published checkpoint in which the language model's layers are H wide.

    About `layers` * 13 * H² parameters; values are random, and cheap to draw.
    """
    dimensions = {
        "hidden_size": hidden_size,
        "intermediate_size": 4 * hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden_size // 64,
        "num_key_value_heads": hidden_size // 256,
    }

    def enlarge(flat: dict[str, Tensor]) -> None:
        for key in [key for key in flat if key.startswith(ADAPTED)]:
            del flat[key]
        config = Qwen2Config(**{**golden_recipe.settings()["llm"], **dimensions})
        with torch.device("meta"):
            shapes = Qwen2ForCausalLM(config).state_dict()
        for name, like in shapes.items():
            flat[ADAPTED + name] = _random(list(like.shape), dtype)
            stem = name.removesuffix(".weight")
            if name.endswith(tuple(f"{target}.weight" for target in TARGETS)):
                flat[f"{ADAPTED}{stem}.lora_A.default.weight"] = _random(
                    [RANK, like.shape[1]], dtype
                )
                flat[f"{ADAPTED}{stem}.lora_B.default.weight"] = _random(
                    [like.shape[0], RANK], dtype
                )
        for name in ("projector", "audio_projector"):
            flat[f"seedx.{name}.0.weight"] = _random([1024, hidden_size], dtype)

    write_published(folder, enlarge)
    path = folder / "Qwen2.5-3B-Instruct" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dimensions))
    return folder


def _random(shape: list[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype).uniform_(
        -0.05, 0.05, generator=torch.Generator().manual_seed(sum(shape))
    )
