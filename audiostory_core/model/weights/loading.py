"""Our layout of the weights, opened once and loaded part by part.

Loading maps the files: parameters are views of the page cache, which all workers of a machine
share, until a device or a precision of their own is given; then they are copied one by one.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import torch
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from audiostory_core.errors import BadInput
from audiostory_core.json_text import NotJson, parse
from audiostory_core.model.bridging import Bridge
from audiostory_core.model.config import SEMANTIC_TOKENS, NetworkConfig
from audiostory_core.model.dit import Dit
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.llm import LanguageModel
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.vae import make_vae, vae_dtype
from audiostory_core.model.weights.convert import OnProgress, convert, digest
from audiostory_core.model.weights.manifest import NAME, Manifest
from audiostory_core.model.weights.tensor_files import (
    DTYPES,
    OnBytes,
    memory_explained,
    read_safetensors,
)

REMEDY = "Convert the checkpoint again with `audiostory models convert`."

Device = str | torch.device
Dtype = str | torch.dtype
Module = TypeVar("Module", bound=nn.Module)


class Weights:
    """Weights of one network; made by `Weights.open` or `open_weights`.

    Args:
        folder: in our layout.
        manifest: of that folder.
        config: dimensions.
    """

    def __init__(self, folder: Path, manifest: Manifest, config: NetworkConfig) -> None:
        self.folder = folder
        self.config = config
        self.revision = manifest.revision
        self._manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder in our layout: all files are there, of the size they were written with.

        Raises:
            BadInput: with field `weights`, naming the file that is missing or damaged.
        """
        if not folder.is_dir():
            raise BadInput("weights", str(folder), "is no folder", "Name an existing folder.")
        manifest = Manifest.read(folder)
        try:
            content = parse((folder / "network.json").read_bytes())
            config = NetworkConfig.from_dict(content)
        except (OSError, NotJson) as error:
            problem = "has a network.json that cannot be read"
            raise BadInput("weights", str(folder), problem, REMEDY) from error
        except BadInput as error:
            problem = f"has a network.json whose {error.field} {error.value!r} {error.problem}"
            raise BadInput("weights", str(folder), problem, REMEDY) from error
        return cls(folder, manifest, config)

    @property
    def llm_folder(self) -> Path:
        """A plain Qwen2 folder, for transformers and vLLM."""
        return self.folder / "llm"

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return self._manifest.size

    def verify(self, on_bytes: OnBytes | None = None) -> None:
        """Read every file again and compare it with its hash.

        Raises:
            BadInput: naming the file that is damaged.
        """
        self._manifest.verify(self.folder, on_bytes)

    def synthesizer(self, device: Device, dtype: Dtype, *, compiles: bool = False) -> Synthesizer:
        """Load what makes clips, without the language model.

        Raises:
            BadInput: if there is no such device or dtype, no memory, or a file does not fit.
        """
        where, kind = _device(device), _dtype(dtype)
        with memory_explained(self.folder, where):
            return Synthesizer(
                self.config,
                self._part("fusion", lambda: Fusion(self.config), where, kind),
                self._part("dit", lambda: Dit(self.config.dit), where, kind),
                self._part("vae", lambda: make_vae(self.config.vae), where, vae_dtype(kind)),
                self._unconditional(where, kind),
                compile=compiles,
            )

    def bridge(self, device: Device, dtype: Dtype) -> Bridge:
        """Load the projectors behind the language model; raises as `synthesizer` does."""
        where, kind = _device(device), _dtype(dtype)
        with memory_explained(self.folder, where):
            return self._part("bridge", lambda: Bridge(self.config), where, kind)

    def language_model(self, device: Device, dtype: Dtype) -> LanguageModel:
        """Load the language model; raises as `synthesizer` does."""
        where, kind = _device(device), _dtype(dtype)
        with memory_explained(self.folder, where):
            return LanguageModel(self._qwen(where, kind))

    def _qwen(self, device: torch.device, dtype: torch.dtype) -> Qwen2ForCausalLM:
        config = Qwen2Config.from_pretrained(self.llm_folder, local_files_only=True)
        shards = sorted(self.llm_folder.glob("model*.safetensors"))
        tensors = {key: value for path in shards for key, value in read_safetensors(path).items()}
        if config.tie_word_embeddings:
            tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        model = self._filled("llm/model", lambda: Qwen2ForCausalLM(config), tensors, device, dtype)
        # Computed, not stored, so that on the meta device it got no values.
        model.model.rotary_emb = Qwen2RotaryEmbedding(config).to(device)
        if config.tie_word_embeddings:
            model.tie_weights()
        return model

    def _unconditional(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        name = "unconditional"
        tensors = read_safetensors(self.folder / f"{name}.safetensors")
        wanted = (SEMANTIC_TOKENS, self.config.dit.joint_attention_dim)
        if tensors.keys() != {name} or tensors[name].shape != wanted:
            problem = f"has a {name}.safetensors that does not hold {name} {list(wanted)}"
            raise BadInput("weights", str(self.folder), problem, REMEDY)
        return tensors[name].to(device, dtype)

    def _part(
        self, name: str, make: Callable[[], Module], device: torch.device, dtype: torch.dtype
    ) -> Module:
        tensors = read_safetensors(self.folder / f"{name}.safetensors")
        return self._filled(name, make, tensors, device, dtype)

    def _filled(
        self,
        name: str,
        make: Callable[[], Module],
        stored: dict[str, Tensor],
        device: torch.device,
        dtype: torch.dtype,
    ) -> Module:
        """A module whose parameters are the tensors of a file, mapped where they can be."""
        with torch.device("meta"):
            module = make()
        shapes = {key: tensor.shape for key, tensor in module.state_dict().items()}
        for key in sorted(shapes.keys() | stored.keys()):
            if key not in stored or key not in shapes or stored[key].shape != shapes[key]:
                problem = f"has a {name}.safetensors whose {key} is not the network's"
                raise BadInput("weights", str(self.folder), problem, REMEDY)
        tensors = {key: stored.pop(key).to(device, dtype) for key in list(stored)}
        module.load_state_dict(tensors, strict=True, assign=True)
        return module.requires_grad_(False).eval()


def open_weights(folder: Path, cache: Path, on_progress: OnProgress | None = None) -> Weights:
    """Open weights in our layout, or as published.

    A published checkpoint is converted once, into a folder of `cache` that is named by the paths,
    sizes and times of its files. Processes that open it together wait for the one that converts.

    Args:
        folder: in either layout.
        cache: of converted checkpoints; made when needed.
        on_progress: called with a conversion's bytes, done and in all; may raise to give up.

    Raises:
        BadInput: with field `weights`; nothing is cached then.
    """
    if (folder / NAME).is_file():
        return Weights.open(folder)
    kept = cache / digest(folder)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = os.open(cache / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        remedy = "Convert the checkpoint with `audiostory models convert` and name the result."
        raise BadInput("weights", str(cache), problem, remedy) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            convert(folder, kept, on_progress=on_progress)
    finally:
        os.close(lock)
    return Weights.open(kept)


def _device(device: Device) -> torch.device:
    try:
        parsed = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise _no_device(device) from error
    if parsed.type == "cuda":
        is_there = torch.cuda.is_available() and (parsed.index or 0) < torch.cuda.device_count()
    else:
        is_there = parsed.type == "cpu" or (parsed.type == "mps" and torch.mps.is_available())
    if not is_there:
        raise _no_device(device)
    return parsed


def _no_device(device: Device) -> BadInput:
    return BadInput("device", str(device), "is no device of this machine", "Use cpu.")


def _dtype(dtype: Dtype) -> torch.dtype:
    for name, known in DTYPES.items():
        if dtype in (name, known):
            return known
    raise BadInput("dtype", str(dtype), "is not known", f"Use one of {', '.join(DTYPES)}.")
