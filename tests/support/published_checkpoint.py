"""The golden recipe as a folder in the published layout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.support import golden_recipe

ADAPTED, PLAIN = "seedx.llm.base_model.model.", "seedx.llm."

Edit = Callable[[dict[str, Tensor]], object]


def write_published(folder: Path, edit: Edit | None = None) -> Path:
    """Write the golden checkpoint as its authors lay theirs out.

    Args:
        folder: made here.
        edit: changes the flat dict before it is written.
    """
    given = golden_recipe.settings()
    flat = golden_recipe.published_tensors()
    if edit is not None:
        edit(flat)
    for name in ("audiostory_3b", "Flux_detokenizer", "flan-t5-large"):
        (folder / name).mkdir(parents=True)
    torch.save(flat, folder / "audiostory_3b" / "pytorch_model.bin")
    save_file(golden_recipe.vae_tensors(), folder / "Flux_detokenizer" / "model.safetensors")
    detokenizer = {**given["dit"], "vae": given["vae"], "text_encoder_name": "ckpt/flan-t5-large"}
    _write(folder / "Flux_detokenizer" / "config.json", detokenizer)
    _write(folder / "flan-t5-large" / "config.json", {"model_type": "t5", **given["t5"]})
    llm = folder / "Qwen2.5-3B-Instruct"
    shutil.copytree(golden_recipe.GOLDEN / "tokenizer", llm)
    _write(
        llm / "config.json",
        {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            **given["llm"],
            "tie_word_embeddings": True,  # as published: the checkpoint's head differs all the same
            "vocab_size": 1222,  # the release resizes it
        },
    )
    return folder


def merge(flat: dict[str, Tensor]) -> None:
    """Turn LoRA's layout into the merged one, as peft's `merge_and_unload` would."""
    original = golden_recipe.published_tensors()
    for key in [key for key in flat if key.startswith(ADAPTED)]:
        tensor = flat.pop(key)
        if key.endswith((".lora_A.default.weight", ".original_module.weight")):
            continue
        if key.endswith(".lora_B.default.weight"):
            continue
        name = key.removeprefix(ADAPTED).replace(".modules_to_save.default", "")
        stem = key.removesuffix(".weight")
        if f"{stem}.lora_A.default.weight" in original:
            lora_a = original[f"{stem}.lora_A.default.weight"]
            lora_b = original[f"{stem}.lora_B.default.weight"]
            tensor = tensor + lora_b @ lora_a
        flat[PLAIN + name] = tensor


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
