"""From the published checkpoint to our layout of the weights.

    manifest.json              hashes of all other files
    network.json               dimensions
    llm/                       a plain Qwen2 folder, as transformers and vLLM load it
    bridge.safetensors         the two projectors
    fusion.safetensors         semantic tokens reading residual tokens
    dit.safetensors            the diffusion transformer
    vae.safetensors            the autoencoder
    unconditional.safetensors  [S, D] of the empty caption: all that the text encoder is needed for
    continuation.safetensors   the resamplers, where the checkpoint has them; nothing reads them yet

Tensors pass through block by block. A folder appears under its name when all of it is on the disk.
"""

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiostory_core.errors import BadInput
from audiostory_core.model.config import SEMANTIC_TOKENS
from audiostory_core.model.weights.manifest import NAME, FileRecord, Manifest, hash_file
from audiostory_core.model.weights.published import Checkpoint, find_sources, read_checkpoint
from audiostory_core.model.weights.tensor_files import (
    DTYPES,
    OnBytes,
    Stored,
    check_sums,
    memory_explained,
    write_bytes,
    write_safetensors,
)
from audiostory_core.model.weights.validation import TIED_TEXT, make_text_encoder

SHARD_BYTES = 4 << 30  # of the language model's files, so that each can be copied and checked alone
ROOM_BYTES = 32 << 20  # for tokenizer and configurations
END_OF_TEXT = 1  # T5's; the empty caption is this and padding
FOREIGN = ("auto_map", "quantization_config", "_name_or_path", "dtype")  # not true of our folder

OnProgress = Callable[[int, int], None]
"""Called with the bytes read or written and their total; may raise to give up."""

Part = Mapping[str, tuple[Stored, torch.dtype]]


def convert(
    source: Path,
    target: Path,
    *,
    llm: Path | None = None,
    text_encoder: Path | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    on_progress: OnProgress | None = None,
) -> Manifest:
    """Write a published checkpoint in our layout.

    LoRA is merged (W += B·A, computed in fp32). Tensors keep their dtype unless one is given;
    the autoencoder and the unconditional embedding always do, because rounding their weights is
    heard and saves little.

    Args:
        source: folder of the published checkpoint.
        target: must not exist, or be empty.
        llm: Qwen2's folder, if it lies elsewhere.
        text_encoder: T5's folder, if it lies elsewhere.
        dtype: float32, bfloat16 or float16; None keeps the checkpoint's.
        shard_bytes: largest file of the language model, unless one tensor is larger.
        on_progress: may raise; nothing is left behind then.

    Raises:
        BadInput: naming what is wrong with the checkpoint or the target. Nothing is written then.
    """
    if dtype is not None and dtype not in DTYPES:
        raise BadInput("dtype", dtype, "is not known", f"Use one of {', '.join(DTYPES)}.")
    sources = find_sources(source, llm=llm, text_encoder=text_encoder)
    _check_free(target)
    with memory_explained(source):
        checkpoint = read_checkpoint(sources)
        writer = _Writer(checkpoint, None if dtype is None else DTYPES[dtype], shard_bytes)
        count = _Count(writer.size + sources.weights.stat().st_size, on_progress)
        check_sums(sources.weights, count)
        with _appearing(target) as folder:
            _check_room(folder, writer.size)
            return writer.write(folder, count)


class _Count:
    """Adds up bytes for the progress callback."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def __call__(self, more: int) -> None:
        self._done = min(self._done + more, self._total)
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)


class _Writer:
    """Writes our layout of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype | None, shard_bytes: int) -> None:
        self._checkpoint = checkpoint
        self._parts = {
            "bridge.safetensors": _as(checkpoint.bridge, dtype),
            "fusion.safetensors": _as(checkpoint.fusion, dtype),
            "dit.safetensors": _as(checkpoint.dit, dtype),
            "vae.safetensors": _as(checkpoint.vae, None),
        }
        if checkpoint.continuation:
            self._parts["continuation.safetensors"] = _as(checkpoint.continuation, dtype)
        self._is_tied = _is_tied(checkpoint.llm)
        kept = {
            name: stored
            for name, stored in checkpoint.llm.items()
            if not (self._is_tied and name == "lm_head.weight")
        }
        self._shards = _shard(_as(kept, dtype), shard_bytes)
        self._dtype = (
            checkpoint.llm["model.embed_tokens.weight"].base.dtype if dtype is None else dtype
        )

    @property
    def size(self) -> int:
        """Bytes of tensors that will be written, but for the unconditional embedding's few."""
        parts = [*self._parts.values(), *self._shards.values()]
        return sum(_size(*entry) for part in parts for entry in part.values())

    def write(self, folder: Path, on_bytes: OnBytes) -> Manifest:
        """Write everything into an empty folder."""
        files: dict[str, FileRecord] = {}

        def tensors(name: str, part: Part) -> None:
            files[name] = write_safetensors(folder / name, part, on_bytes)

        def text(name: str, content: Any) -> None:
            files[name] = write_bytes(
                folder / name, (json.dumps(content, indent=1) + "\n").encode()
            )

        embedding = Stored(_unconditional(self._checkpoint))  # first: it needs the most memory
        tensors("unconditional.safetensors", _as({"unconditional": embedding}, None))
        for name, part in self._parts.items():
            tensors(name, part)
        config = dataclasses.replace(self._checkpoint.config, text_encoder=None)
        text("network.json", config.as_dict())
        self._write_llm(folder, files, tensors, text)
        manifest = Manifest(str(self._dtype).removeprefix("torch."), files)
        write_bytes(folder / NAME, manifest.to_json())
        return manifest

    def _write_llm(
        self,
        folder: Path,
        files: dict[str, FileRecord],
        tensors: Callable[[str, Part], None],
        text: Callable[[str, Any], None],
    ) -> None:
        (folder / "llm").mkdir()
        self._checkpoint.vocabulary.save(folder / "llm")
        for path in sorted((folder / "llm").iterdir()):
            _flush(path)
            files[f"llm/{path.name}"] = FileRecord(path.stat().st_size, hash_file(path))
        for name, part in self._shards.items():
            tensors(f"llm/{name}", part)
        if len(self._shards) > 1:
            where = {key: name for name, part in self._shards.items() for key in part}
            size = sum(_size(*entry) for part in self._shards.values() for entry in part.values())
            index = {"metadata": {"total_size": size}, "weight_map": where}
            text("llm/model.safetensors.index.json", index)
        text("llm/config.json", self._llm_config())
        text("llm/generation_config.json", self._generation_config())

    def _llm_config(self) -> dict[str, Any]:
        config = self._checkpoint.llm_config
        return {
            **{name: value for name, value in config.items() if name not in FOREIGN},
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "eos_token_id": self._checkpoint.vocabulary.im_end,
            "tie_word_embeddings": self._is_tied,
            "torch_dtype": str(self._dtype).removeprefix("torch."),
        }

    def _generation_config(self) -> dict[str, Any]:
        """Greedy, as the release decodes: Qwen2's own samples, and penalizes repetition."""
        vocabulary = self._checkpoint.vocabulary
        return {
            "do_sample": False,
            "eos_token_id": vocabulary.im_end,
            "pad_token_id": vocabulary.special.get("<|endoftext|>", vocabulary.im_end),
            "repetition_penalty": 1.0,
        }


def _unconditional(checkpoint: Checkpoint) -> Tensor:
    """[S, D] of the empty caption in fp32: the end of the text and S - 1 paddings, unmasked."""
    with torch.device("meta"):
        encoder = make_text_encoder(checkpoint.config.text_encoder or {}).eval()
    weights = {name: stored.base.float() for name, stored in checkpoint.text_encoder.items()}
    weights[TIED_TEXT] = weights["shared.weight"]
    encoder.load_state_dict(weights, strict=True, assign=True)
    ids = torch.zeros(1, SEMANTIC_TOKENS, dtype=torch.long)
    ids[0, 0] = END_OF_TEXT
    with torch.inference_mode():
        states = encoder(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
    return states[0].clone()


def _as(
    part: Mapping[str, Stored], dtype: torch.dtype | None
) -> dict[str, tuple[Stored, torch.dtype]]:
    return {name: (stored, dtype or stored.base.dtype) for name, stored in part.items()}


def _size(stored: Stored, dtype: torch.dtype) -> int:
    return stored.base.numel() * dtype.itemsize


def _is_tied(llm: Mapping[str, Stored]) -> bool:
    """Whether the head is the embedding; then only one of them is kept."""
    if "lm_head.weight" not in llm:
        return True
    return torch.equal(llm["lm_head.weight"].base, llm["model.embed_tokens.weight"].base)


def _shard(part: Part, shard_bytes: int) -> dict[str, Part]:
    """Tensors by file, in the model's order."""
    shards: list[dict[str, tuple[Stored, torch.dtype]]] = [{}]
    size = 0
    for name, entry in part.items():
        if shards[-1] and size + _size(*entry) > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = entry
        size += _size(*entry)
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    count = len(shards)
    return {
        f"model-{index:05d}-of-{count:05d}.safetensors": shard
        for index, shard in enumerate(shards, 1)
    }


def _check_free(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problem = "exists already" if target.is_dir() else "is a file"
        raise BadInput("target", str(target), problem, "Name a folder that does not exist yet.")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + ROOM_BYTES:
        raise OSError(errno.ENOSPC, f"it needs {needed >> 20} MiB, and {free >> 20} MiB are free")


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, which takes the target's name if nothing goes wrong.

    A second conversion to the same place waits, and finds the target there afterwards. What a killed
    process has left is removed.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        parent = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        fcntl.flock(parent, fcntl.LOCK_EX)
        _check_free(target)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        for folder in (partial / "llm", partial):
            _flush(folder)
        partial.rename(target)
        os.fsync(parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(parent)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _unwritable(target: Path, error: OSError) -> BadInput:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "Free some space." if is_full else "Name a folder that can be written."
    return BadInput("target", str(target), f"cannot be written ({error.strerror or error})", remedy)


def digest(source: Path, *, llm: Path | None = None, text_encoder: Path | None = None) -> str:
    """Name a published checkpoint by the paths, sizes and times of its files, without reading them."""
    sources = find_sources(source, llm=llm, text_encoder=text_encoder)
    hasher = hashlib.sha256()
    for path in sources.files:
        status = path.stat()
        hasher.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return hasher.hexdigest()[:32]
