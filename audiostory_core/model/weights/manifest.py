"""The list of files that our layout of the weights consists of, each with its hash.

The weights' revision is a hash of that list, so that clips of one network are never taken for
clips of another. Reading it needs no torch.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from audiostory_core.errors import BadInput
from audiostory_core.json_text import NotJson, parse

NAME = "manifest.json"
FORMAT = "audiostory-studio weights"
VERSION = 1
REMEDY = "Convert the checkpoint again with `audiostory models convert`."
SHA256 = re.compile("[0-9a-f]{64}")
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class FileRecord:
    """What a file was when it was written."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of the weights.

    Args:
        dtype: of the network's tensors, such as bfloat16.
        files: by path inside the folder, with forward slashes.
    """

    dtype: str
    files: Mapping[str, FileRecord]

    @property
    def revision(self) -> str:
        """SHA-256 over names and hashes of all files: equal for equal weights."""
        lines = sorted(f"{name} {record.sha256}\n" for name, record in self.files.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(record.size for record in self.files.values())

    def to_json(self) -> bytes:
        """The content of manifest.json."""
        files = {
            name: {"size": record.size, "sha256": record.sha256}
            for name, record in sorted(self.files.items())
        }
        content = {
            "format": FORMAT,
            "version": VERSION,
            "revision": self.revision,
            "dtype": self.dtype,
            "files": files,
        }
        return (json.dumps(content, indent=1) + "\n").encode()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's manifest and compare it with the files that are there, by size.

        Raises:
            BadInput: naming the file that is missing or of another size, or what is wrong with the
                manifest.
        """
        manifest = cls._parse(folder)
        for name, record in manifest.files.items():
            path = folder / name
            if not path.is_file():
                raise BadInput("weights", str(folder), f"lacks {name}", REMEDY)
            if (size := path.stat().st_size) != record.size:
                problem = f"has a {name} of {size} bytes, not {record.size}: it is damaged"
                raise BadInput("weights", str(folder), problem, REMEDY)
        return manifest

    def verify(self, folder: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        """Read every file and compare it with its hash.

        Args:
            folder: whose manifest this is.
            on_bytes: called with each file's bytes when it is found whole.

        Raises:
            BadInput: naming the file that is damaged.
        """
        for name, record in sorted(self.files.items()):
            try:
                is_whole = hash_file(folder / name) == record.sha256
            except OSError as error:
                problem = f"has a {name} that cannot be read ({error.strerror})"
                raise BadInput("weights", str(folder), problem, REMEDY) from error
            if not is_whole:
                problem = f"has a {name} that is damaged: its content is not what was written"
                raise BadInput("weights", str(folder), problem, REMEDY)
            if on_bytes is not None:
                on_bytes(record.size)

    @classmethod
    def _parse(cls, folder: Path) -> Self:
        path = folder / NAME
        if not path.is_file():
            problem = f"holds no {NAME}, so these are no weights of the studio"
            raise BadInput("weights", str(folder), problem, REMEDY)
        try:
            content = parse(path.read_bytes())
        except (OSError, NotJson) as error:
            problem = f"has a {NAME} that cannot be read"
            raise BadInput("weights", str(folder), problem, REMEDY) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise BadInput("weights", str(folder), f"has a {NAME} of another kind", REMEDY)
        if content.get("version") != VERSION:
            problem = f"is of version {content.get('version')!r}, and only {VERSION} is known"
            raise BadInput("weights", str(folder), problem, REMEDY)
        files = content.get("files")
        if not isinstance(files, dict) or not isinstance(content.get("dtype"), str):
            raise BadInput("weights", str(folder), f"has a damaged {NAME}", REMEDY)
        records = {name: _record(folder, name, value) for name, value in files.items()}
        manifest = cls(content["dtype"], records)
        if content.get("revision") != manifest.revision:
            problem = f"has a {NAME} that was changed: its revision is not that of its files"
            raise BadInput("weights", str(folder), problem, REMEDY)
        return manifest


def hash_file(path: Path, block_bytes: int = BLOCK_BYTES) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(block_bytes):
            digest.update(block)
    return digest.hexdigest()


def _record(folder: Path, name: str, value: Any) -> FileRecord:
    path = PurePosixPath(name)
    is_inside = name.isprintable() and not path.is_absolute() and ".." not in path.parts
    size, sha256 = (value.get("size"), value.get("sha256")) if isinstance(value, dict) else (0, 0)
    is_hash = isinstance(sha256, str) and SHA256.fullmatch(sha256) is not None
    if not name or not is_inside or not isinstance(size, int) or not is_hash:
        raise BadInput("weights", str(folder), f"has a damaged {NAME} at {name!r}", REMEDY)
    return FileRecord(size, str(sha256))
