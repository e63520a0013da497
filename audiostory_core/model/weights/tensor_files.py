"""Reading and writing files of tensors without holding them in memory.

Reading maps a file: a tensor's bytes come from the page cache when they are first used, and all
processes of a machine share them. Nothing in a file is ever executed.

Writing streams. safetensors' own `save_file` wants every tensor of a file at once, which for a
language model is its whole size; the format (eight bytes of header length, a JSON header, the bytes
of all tensors in its order) is small enough to be written block by block, hashed on the way.
"""

import hashlib
import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audiostory_core.errors import BadInput
from audiostory_core.model.weights.manifest import FileRecord

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CODES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
BLOCK_BYTES = 4 << 20  # of what is read, computed and written at once
HEADER_ALIGNMENT = 8  # bytes, as the format asks
NO_MEMORY = re.compile(r"(can't|cannot) allocate memory|out of memory", re.IGNORECASE)
REMEDY = "Download it again, or give the folder of another checkpoint."

OnBytes = Callable[[int], None]
"""Called with the number of bytes just done."""


@dataclass(frozen=True)
class Stored:
    """One tensor as a checkpoint holds it: plain, or with a low-rank update still beside it.

    Args:
        base: of any shape; with an update [O, I].
        lora_a: [R, I], or None.
        lora_b: [O, R], or None.
        lora_scale: factor of the update, alpha / R.
    """

    base: Tensor
    lora_a: Tensor | None = None
    lora_b: Tensor | None = None
    lora_scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the merged tensor."""
        return tuple(self.base.shape)

    def blocks(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield the merged tensor in blocks of its first axis; the update is computed in fp32."""
        if not self.shape:
            yield self.base.to(dtype)
            return
        row_bytes = max(1, math.prod(self.shape[1:])) * 4
        rows = max(1, BLOCK_BYTES // row_bytes)
        for start in range(0, self.shape[0], rows):
            block = self.base[start : start + rows]
            if self.lora_a is not None and self.lora_b is not None:
                update = self.lora_b[start : start + rows].float() @ self.lora_a.float()
                block = block.float() + self.lora_scale * update
            yield block.to(dtype)


@contextmanager
def memory_explained(folder: Path, device: torch.device | str = "cpu") -> Iterator[None]:
    """Say in one line that a device has no room, whatever words torch has for it.

    Raises:
        BadInput: instead of an error of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_of_memory(error):
            raise
        raise BadInput(
            "weights",
            str(folder),
            f"does not fit into the memory of {device}",
            "Use bfloat16, another device, or a machine with more memory.",
        ) from error


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Map a file of `torch.save` that holds one flat dict of tensors.

    Raises:
        BadInput: naming what is wrong: no such file, damaged, code in the pickle, no tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            "weights",
            str(path),
            "holds code or objects beside tensors and is not opened",
            "Use a file that holds tensors alone, from a source you trust.",
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError) as error:
        _pass_on_memory(error)
        raise BadInput("weights", str(path), _unreadable(path, error), REMEDY) from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise BadInput("weights", str(path), f"holds a {kind}, not a dict of tensors", REMEDY)
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            problem = f"holds {key!r} of type {type(value).__name__}, which is no named tensor"
            raise BadInput("weights", str(path), problem, REMEDY)
        if value.layout != torch.strided or value.is_quantized:
            problem = f"holds {key} as a sparse or quantized tensor"
            raise BadInput("weights", str(path), problem, REMEDY)
    return {key: value.detach() for key, value in content.items()}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Map a safetensors file.

    Raises:
        BadInput: if it is missing or damaged.
    """
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, RuntimeError) as error:
        _pass_on_memory(error)
        problem = f"cannot be read as safetensors ({_first_line(error)})"
        raise BadInput("weights", str(path), problem, REMEDY) from error


def check_sums(path: Path, on_bytes: OnBytes) -> None:
    """Compare every record of a file of `torch.save` with the checksum stored beside it.

    Mapping a file does not read it, so that a flipped bit would pass unnoticed.

    Raises:
        BadInput: naming the record that is damaged.
    """
    try:
        with zipfile.ZipFile(path) as records:
            for info in records.infolist():
                with records.open(info) as record:
                    while block := record.read(BLOCK_BYTES):
                        on_bytes(len(block))
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        problem = f"is damaged ({_first_line(error)})"
        raise BadInput("weights", str(path), problem, REMEDY) from error


def write_safetensors(
    path: Path, tensors: Mapping[str, tuple[Stored, torch.dtype]], on_bytes: OnBytes
) -> FileRecord:
    """Write tensors block by block, and flush the file to the disk.

    Args:
        path: must not exist.
        tensors: by name, each with the dtype it is stored in.
        on_bytes: called after each block that was written.

    Raises:
        BadInput: if a value is not finite in the dtype it is stored in.
    """
    # Tensors of wide elements first: none starts at an address that its dtype cannot have.
    order = sorted(tensors, key=lambda name: (-tensors[name][1].itemsize, name))
    header = _header([(name, *tensors[name]) for name in order])
    digest = hashlib.sha256(header)
    size = len(header)
    with path.open("xb") as file:
        file.write(header)
        for name in order:
            stored, dtype = tensors[name]
            for block in stored.blocks(dtype):
                if not bool(torch.isfinite(block).all()):
                    _refuse_infinite(name, dtype)
                raw = block.contiguous().reshape(-1).view(torch.uint8).numpy().data
                file.write(raw)
                digest.update(raw)
                size += raw.nbytes
                on_bytes(raw.nbytes)
        file.flush()
        os.fsync(file.fileno())
    return FileRecord(size, digest.hexdigest())


def write_bytes(path: Path, content: bytes) -> FileRecord:
    """Write a small file and flush it to the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return FileRecord(len(content), hashlib.sha256(content).hexdigest())


def _header(entries: Sequence[tuple[str, Stored, torch.dtype]]) -> bytes:
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, stored, dtype in entries:
        end = offset + math.prod(stored.shape) * dtype.itemsize
        described[name] = {
            "dtype": CODES[dtype],
            "shape": list(stored.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _refuse_infinite(name: str, dtype: torch.dtype) -> None:
    kind = str(dtype).removeprefix("torch.")
    raise BadInput(
        "weights",
        name,
        f"holds values that are not finite in {kind}",
        "Convert to float32 or bfloat16; if that fails as well the checkpoint is damaged.",
    )


def _is_of_memory(error: Exception) -> bool:
    is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_known or NO_MEMORY.search(str(error)) is not None


def _pass_on_memory(error: Exception) -> None:
    """A file that cannot be mapped for want of memory is not damaged."""
    if _is_of_memory(error):
        raise MemoryError(str(error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    if not path.is_file():
        return "is no file"
    if path.stat().st_size and not zipfile.is_zipfile(path):
        return "is cut short, damaged or older than torch 1.6, which cannot be mapped"
    return f"cannot be read ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")
