"""The golden network, its weights straight from the recipe under our modules' names."""

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM, T5Config, T5EncoderModel

from audiostory_core.model.bridging import Bridge
from audiostory_core.model.dit import Dit
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.vae import make_vae, vae_dtype
from tests.support import golden_recipe

LANGUAGE = "seedx.llm.base_model.model."


def under(prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in golden_recipe.published_tensors().items()
        if key.startswith(prefix)
    }


def load(module, tensors):
    module.load_state_dict(tensors, strict=True)
    return module.eval()


def make_bridge() -> Bridge:
    tensors = under("seedx.")
    wanted = ("projector.", "audio_projector.")
    return load(
        Bridge(golden_recipe.config()),
        {key: value for key, value in tensors.items() if key.startswith(wanted)},
    )


def make_fusion() -> Fusion:
    tensors = {f"multihead_attention.{k}": v for k, v in under("multihead_attention.").items()}
    return load(Fusion(golden_recipe.config()), tensors)


def make_dit() -> Dit:
    tensors = {
        key.replace("duration_emebdder.", "duration_embedder."): value
        for key, value in under("tangoflux.").items()
        if not key.startswith("text_encoder.")
    }
    return load(Dit(golden_recipe.config().dit), tensors)


def make_unconditional() -> Tensor:
    """The text encoder's embedding of no text, [64, 1024]."""
    encoder = T5EncoderModel(T5Config(**golden_recipe.settings()["t5"]))
    encoder = load(encoder, under("tangoflux.text_encoder."))
    ids, mask = torch.zeros(2, 1, 64, dtype=torch.long)
    ids[0, 0] = mask[0, 0] = 1
    with torch.no_grad():
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state[0]


def make_synthesizer(dtype: torch.dtype = torch.float32) -> Synthesizer:
    config = golden_recipe.config()
    fusion, dit, vae = (
        make_fusion(),
        make_dit(),
        load(make_vae(config.vae), golden_recipe.vae_tensors()),
    )
    for part in (vae.encoder, vae.decoder):
        part.to(vae_dtype(dtype))
    fusion, dit = fusion.to(dtype), dit.to(dtype)
    return Synthesizer(config, fusion, dit, vae, make_unconditional())


def make_language_model() -> Qwen2ForCausalLM:
    """Qwen2 with the published LoRA merged and the published norms chosen."""
    merged = {}
    tensors = under(LANGUAGE)
    for key, value in tensors.items():
        if ".lora_" in key or ".original_module." in key:
            continue
        if f"{key.removesuffix('weight')}lora_A.default.weight" in tensors and key.endswith(
            "weight"
        ):
            stem = key.removesuffix("weight")
            low, high = (tensors[f"{stem}lora_{side}.default.weight"] for side in "AB")
            value = value + high @ low
        merged[key.replace(".modules_to_save.default.", ".")] = value
    return load(Qwen2ForCausalLM(Qwen2Config(**golden_recipe.settings()["llm"])), merged)
