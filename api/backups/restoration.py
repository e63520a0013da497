"""Reading a bundle that may come from anywhere: nothing is stored before all of it is checked.

No name in a bundle becomes a path; what is stored is named by its content. Whether a clip is what
its recipe makes cannot be checked without making it: restore bundles that you trust.
"""

import asyncio
import hashlib
import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.backups.bundle_rows import Problem, read_rows
from api.backups.bundles import AUDIO, CONDITIONS, FORMAT, MANIFEST, READABLE, ROWS
from api.store import OpenStore
from audiostory_core.errors import BadInput
from audiostory_core.json_text import parse
from audiostory_core.story.plan import CHANNELS, SAMPLE_RATE
from storage.bundles import StoryRows, put_in
from storage.errors import StoreUnusable

MEMBER = re.compile(
    r"manifest\.json|rows\.jsonl|conditions/[0-9a-f]{64}|audio/[0-9a-f]{64}\.(?:flac|au|safetensors)",
    re.ASCII,
)
TENSORS = ".safetensors"
MAX_MEMBERS = 500_000
MAX_TEXT_BYTES = 256 << 20  # of the manifest, and of the rows: ten thousand takes fit
MAX_BINARY_BYTES = 64 << 20  # of a condition or a file of audio: minutes of sound
BLOCK_BYTES = 1 << 20
REMEDY = "Take the backup again, and copy it as a binary file."
Count = Annotated[int, Field(ge=0, lt=2**63)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Member(BaseModel):
    """What the manifest says of a member."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Digest


class Manifest(BaseModel):
    """What a bundle holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int
    story: str
    members: dict[str, Member]


class Tensor(BaseModel):
    """What the header of a file of tensors says of one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dtype: str
    shape: list[Count]
    data_offsets: tuple[Count, Count]


class Tensors(BaseModel):
    """The header of a file of tensors."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Tensor]

    metadata: Annotated[dict[str, str], Field(alias="__metadata__")] = {}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return self.__pydantic_extra__


@dataclass(frozen=True)
class Restored:
    """A story that was put back.

    Args:
        story_id: its id in this store.
        was: its id where it was backed up.
        files: how many files of audio came with it.
    """

    story_id: str
    was: str
    files: int


async def restore(store: OpenStore, source: Path) -> Restored:
    """Put a story back from its bundle, all of it or nothing; nothing is synthesized.

    Files go first, named by their content: if the rows cannot follow, the next sweep takes them.

    Raises:
        BadInput: if the file is no bundle, is damaged, or is of a version unknown here.
        StoreUnusable: if there is too little space for it.
    """
    with _explained(source):
        archive = await asyncio.to_thread(zipfile.ZipFile, source)
    with archive:
        checked = await asyncio.to_thread(_check, archive, source)
        await asyncio.to_thread(_store_files, archive, checked, store, source)

        def read_condition(condition_id: str) -> bytes:
            with _explained(source):
                return archive.read(CONDITIONS + condition_id)

        async with store.database.write() as session:
            story_id = await put_in(session, checked, read_condition)
    return Restored(story_id, checked.story["id"], len(checked.files))


def _check(archive: zipfile.ZipFile, source: Path) -> StoryRows:
    with _explained(source):
        entries = _list_entries(archive)
        manifest = _read_manifest(archive, entries)
        lengths = {}
        for name, member in manifest.members.items():
            lengths[name] = _check_member(archive, entries[name], member)
        files = {
            name.removeprefix(AUDIO): frames
            for name, frames in lengths.items()
            if name.startswith(AUDIO) and not name.endswith(TENSORS)
        }
        tensors = {
            name.removeprefix(AUDIO)
            for name in entries
            if name.startswith(AUDIO) and name.endswith(TENSORS)
        }
        conditions = {
            name.removeprefix(CONDITIONS) for name in entries if name.startswith(CONDITIONS)
        }
        rows = read_rows(
            _read(archive, entries[ROWS]), files, conditions, tensors, version=manifest.format
        )
        if rows["story"][0]["id"] != manifest.story:
            raise Problem("manifest and rows are of different stories")
    return StoryRows(rows, tuple(sorted(conditions)), (*sorted(files), *sorted(tensors)))


def _list_entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """List the members by name, once their directory entries are what a bundle's are."""
    listed = archive.infolist()
    if len(listed) > MAX_MEMBERS:
        raise Problem(f"it has {len(listed)} members; the most is {MAX_MEMBERS}")
    for info in listed:
        shown = ascii(info.orig_filename[:80])
        if not MEMBER.fullmatch(info.orig_filename) or info.filename != info.orig_filename:
            raise Problem(f"it has a member that no bundle has: {shown}")
        is_text = info.filename in (MANIFEST, ROWS)
        if info.file_size > (MAX_TEXT_BYTES if is_text else MAX_BINARY_BYTES):
            raise Problem(f"its member {shown} is too large: {info.file_size} bytes")
        plain = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if is_text else (zipfile.ZIP_STORED,)
        if info.compress_type not in plain or info.flag_bits & 1:
            raise Problem(f"its member {shown} is compressed or encrypted as no bundle's is")
    entries = {info.filename: info for info in listed}
    if len(entries) != len(listed):
        raise Problem("it has two members of one name")
    return entries


def _read_manifest(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    if MANIFEST not in entries or ROWS not in entries:
        raise Problem("it is a ZIP file, but no backup of a story")
    text = _read(archive, entries[MANIFEST])
    document = parse(text)
    version = document.get("format") if isinstance(document, dict) else None
    if version not in READABLE:
        raise Problem(
            f"it is of format {str(version)[:20]}; this version reads up to {FORMAT}",
            "Restore it with the version that made it, or a newer one.",
        )
    manifest = Manifest.model_validate_json(text)
    if manifest.members.keys() != entries.keys() - {MANIFEST}:
        raise Problem("its manifest and its members differ")
    return manifest


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, member: Member) -> int:
    """Check a member against the manifest and its own name; return the samples of an audio file."""
    content = _read(archive, info)
    digest = hashlib.sha256(content).hexdigest()
    if len(content) != member.bytes or digest != member.sha256:
        raise Problem(f"its member {info.filename} is damaged")
    if info.filename == ROWS:
        return 0
    named = info.filename.rpartition("/")[2].partition(".")[0]
    if digest != named:
        raise Problem(f"its member {info.filename} is not named by its content")
    if not info.filename.startswith(AUDIO):
        return 0
    if info.filename.endswith(TENSORS):
        _check_tensors(content, info.filename)
        return 0
    return _count_samples(content, info.filename)


def _check_tensors(content: bytes, name: str) -> None:
    """Check that a file is safetensors: the length of a JSON header, the header, raw numbers."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise Problem(f"its member {name} holds no tensors")
    header = Tensors.model_validate_json(content[8 : 8 + length])
    end = max((tensor.data_offsets[1] for tensor in header.tensors.values()), default=0)
    if end != len(content) - 8 - length:
        raise Problem(f"its member {name} holds no tensors")


def _count_samples(content: bytes, name: str) -> int:
    try:
        header = soundfile.info(io.BytesIO(content))
    except soundfile.LibsndfileError as error:
        raise Problem(f"its member {name} is no audio") from error
    is_known = (header.format, header.subtype) in (("FLAC", "PCM_24"), ("AU", "FLOAT"))
    if not is_known or (header.channels, header.samplerate) != (CHANNELS, SAMPLE_RATE):
        raise Problem(f"its member {name} is audio of another kind than a story's")
    return int(header.frames)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a member, but never more than it says it has."""
    with archive.open(info) as file:
        content = file.read(info.file_size)
        if len(content) != info.file_size or file.read(1):
            raise Problem(f"its member {info.filename} is not as long as it says")
    return content


def _store_files(
    archive: zipfile.ZipFile, checked: StoryRows, store: OpenStore, source: Path
) -> None:
    needed = sum(archive.getinfo(AUDIO + name).file_size for name in checked.files)
    free = shutil.disk_usage(store.audio.folder).free
    if needed > free:
        raise StoreUnusable(
            f"The audio of the story takes {needed >> 20} MiB, but {store.audio.folder} has "
            f"{free >> 20} MiB left. Free some space, then restore it again."
        )
    for name in checked.files:
        with _explained(source):
            content = archive.read(AUDIO + name)
        if store.audio.add(Path(name).suffix, content) != name:
            _refuse(source, "was changed while it was read", REMEDY)


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    """Turn whatever is wrong with a bundle into one clear error."""
    try:
        yield
    except Problem as error:
        _refuse(source, f"cannot be restored: {error}", error.remedy or REMEDY, error)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        _refuse(source, f"cannot be restored: {where}: {first['msg']}", REMEDY, error)
    except FileNotFoundError as error:
        _refuse(source, "does not exist", "Name a file that `audiostory backup` wrote.", error)
    except (OSError, EOFError, NotImplementedError) as error:
        _refuse(source, f"cannot be read ({error})", REMEDY, error)
    except (zipfile.BadZipFile, zlib.error, ValueError, RecursionError) as error:
        _refuse(source, f"is no backup of a story, or is damaged ({error})", REMEDY, error)


def _refuse(source: Path, problem: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    raise BadInput("bundle", str(source), problem, remedy) from cause
