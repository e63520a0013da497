"""Tensors of a checkpoint against the modules that they are for: all there, none else, all shapes.

The release's own loader drops what does not fit and prints it, so that half a network may go
unnoticed.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM, T5Config, T5EncoderModel

from audiostory_core.errors import BadInput
from audiostory_core.model.weights.tensor_files import CODES, Stored

REMEDY = (
    "Give the folder of a complete AudioStory checkpoint, as `audiostory models pull "
    "TencentARC/AudioStory-3B` fetches it."
)
LORA_A, LORA_B = ".lora_A.default.weight", ".lora_B.default.weight"
SAVED, ORIGINAL = ".modules_to_save.default.weight", ".original_module.weight"
LAYER = re.compile(r"model\.layers\.(\d+)\.")
IMPOSSIBLE = (  # what transformers and torch raise for dimensions that make no sense
    StrictDataclassError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
TIED_TEXT = "encoder.embed_tokens.weight"  # is `shared.weight`, which transformers may leave out

Named = dict[str, tuple[str, Tensor]]
"""Tensors by our names, each with the name that the checkpoint gives it."""


Publish = Callable[[str], str]
"""Gives the name that the checkpoint has, or should have, for a tensor of the network."""


class Check:
    """Compares tensors with the modules that they are for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def part(
        self,
        tensors: Named,
        make: Callable[[], nn.Module],
        publish: Publish,
        *,
        optional: frozenset[str] = frozenset(),
    ) -> dict[str, Stored]:
        """Return the tensors of a part whose names and shapes are the module's, and no others."""
        shapes = self._shapes(make)
        self._complete(shapes.keys() - optional, tensors, publish)
        for name, (key, tensor) in tensors.items():
            if name not in shapes:
                raise self._bad(f"holds {key}, which the network does not know")
            self._fits(key, tensor, shapes[name])
        return {name: Stored(tensor) for name, (_, tensor) in tensors.items()}

    def llm(
        self, tensors: Named, llm_config: Mapping[str, Any], lora_scale: float, publish: Publish
    ) -> dict[str, Stored]:
        """Return the language model's tensors, with what LoRA adds to each."""
        shapes = self._shapes(lambda: _language_model(llm_config))
        norms = {name: name.removesuffix(".weight") for name in shapes if "norm" in name}
        saved = {
            name: stem + SAVED
            for name, stem in norms.items()
            if stem + ORIGINAL in tensors or stem + SAVED in tensors
        }
        adapted = {
            LAYER.sub("", name).removesuffix(end)
            for name in tensors
            for end in (LORA_A, LORA_B)
            if name.endswith(end)
        }
        updated = {
            name: name.removesuffix(".weight")
            for name in shapes
            if LAYER.match(name) and LAYER.sub("", name).removesuffix(".weight") in adapted
        }
        optional = {"lm_head.weight"} if llm_config.get("tie_word_embeddings") is True else set()
        pairs = {stem + end for stem in updated.values() for end in (LORA_A, LORA_B)}
        wanted = {saved.get(name, name) for name in shapes.keys() - optional} | pairs
        self._complete(wanted, tensors, publish)

        known = pairs | {saved.get(name, name) for name in shapes}
        known |= {stem + ORIGINAL for stem in norms.values()}
        for name, (key, _) in tensors.items():
            if name not in known:
                raise self._bad(f"holds {key}, which the network does not know")
        read = {}
        for name, shape in shapes.items():
            if saved.get(name, name) not in tensors:
                continue
            key, base = tensors[saved.get(name, name)]
            self._fits(key, base, shape)
            if name in updated:
                lora_a, lora_b = self._lora(tensors, updated[name], shape)
                read[name] = Stored(base, lora_a, lora_b, lora_scale)
            else:
                read[name] = Stored(base)
        return read

    def kept(self, tensors: Named) -> dict[str, Stored]:
        """Return tensors of which only the dtype is known."""
        for key, tensor in tensors.values():
            self._fits(key, tensor, tensor.shape)
        return {name: Stored(tensor) for name, (_, tensor) in tensors.items()}

    def _lora(self, tensors: Named, stem: str, shape: torch.Size) -> tuple[Tensor, Tensor]:
        (key_a, lora_a), (key_b, lora_b) = tensors[stem + LORA_A], tensors[stem + LORA_B]
        rank = lora_a.shape[0] if lora_a.dim() == 2 else 0
        self._fits(key_a, lora_a, torch.Size((rank, shape[1])))
        self._fits(key_b, lora_b, torch.Size((shape[0], rank)))
        return lora_a, lora_b

    def _shapes(self, make: Callable[[], nn.Module]) -> dict[str, torch.Size]:
        try:
            with torch.device("meta"):
                module = make()
        except IMPOSSIBLE as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise self._bad(f"describes no network that can be ({lines[0]})") from error
        return {name: tensor.shape for name, tensor in module.state_dict().items()}

    def _complete(self, wanted: set[str], tensors: Named, publish: Publish) -> None:
        missing = sorted(wanted - tensors.keys())
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise self._bad(f"lacks {publish(missing[0])}{more}")

    def _fits(self, key: str, tensor: Tensor, shape: torch.Size) -> None:
        if tensor.shape != shape:
            problem = f"holds {key} of shape {list(tensor.shape)}, not {list(shape)}"
            raise self._bad(problem)
        if tensor.dtype not in CODES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise self._bad(f"holds {key} in {kind}, not in float32, bfloat16 or float16")

    def _bad(self, problem: str) -> BadInput:
        return BadInput("weights", str(self._folder), problem, REMEDY)


def _language_model(llm_config: Mapping[str, Any]) -> Qwen2ForCausalLM:
    untied = {**llm_config, "tie_word_embeddings": False}
    return Qwen2ForCausalLM(Qwen2Config(**untied))


def make_text_encoder(keywords: Mapping[str, Any]) -> T5EncoderModel:
    """Transformers' encoder of T5, with weights yet to be loaded."""
    return T5EncoderModel(T5Config(**keywords))
