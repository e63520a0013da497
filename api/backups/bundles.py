"""A story as one file: a ZIP that any tool can look into, the same bytes for the same story.

    manifest.json         format, story, and of every other member its length and sha256
    rows.jsonl            a row of SQL a line: {"table": "clip", "row": {…}}
    conditions/<sha256>   what clips were conditioned on
    audio/<sha256>.flac   clips; .au: seams

Audio is stored, not deflated: it is compressed already.
"""

import asyncio
import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from api.store import OpenStore
from audiostory_core.audio.export import whole_file, write_all
from storage.audio_files import AudioFiles
from storage.bundles import StoryRows, gather
from storage.errors import StoreUnusable
from storage.models import Condition
from storage.verification import verify

FORMAT: Final = 3
READABLE: Final = (1, 2, FORMAT)
SUFFIXES = (".audiostory",)
MEDIA_TYPE = "application/zip"
MANIFEST, ROWS, CONDITIONS, AUDIO = "manifest.json", "rows.jsonl", "conditions/", "audio/"
BLOCK_BYTES = 1 << 20
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: a bundle tells nothing but the story


@dataclass(frozen=True)
class Bundle:
    """Everything of a bundle but its audio, which is read while it is written."""

    manifest: bytes
    rows: bytes
    conditions: dict[str, bytes]
    files: tuple[str, ...]  # content names


async def prepare(store: OpenStore, story_id: str) -> Bundle:
    """Gather a story for its bundle, once all its audio was read and found whole.

    Raises:
        NotFound: if there is no such story.
        StoreUnusable: if some of its audio is missing or damaged.
    """
    async with store.database.read() as session:
        rows = await gather(session, story_id)
        conditions = {name: await _read_condition(session, name) for name in rows.conditions}
    damages = await verify(store.database, store.audio, story_id)
    if damages:
        raise StoreUnusable(
            f"{len(damages)} of {len(rows.files)} audio files of story {story_id} are missing or "
            f"damaged. Have them made again first: audiostory verify {story_id} --repair"
        )
    return await asyncio.to_thread(_describe, rows, conditions, store.audio)


def bundle_bytes(bundle: Bundle, audio: AudioFiles) -> Iterator[bytes]:
    """Yield a bundle as the bytes of its file, a block at a time.

    Raises:
        StoreUnusable: if a file vanished or was damaged since; what was yielded is no bundle then.
    """
    sink = _Blocks()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_info(MANIFEST, zipfile.ZIP_DEFLATED), bundle.manifest)
        archive.writestr(_info(ROWS, zipfile.ZIP_DEFLATED), bundle.rows)
        for name, data in bundle.conditions.items():
            archive.writestr(_info(CONDITIONS + name), data)
        for name in bundle.files:
            for _ in _write_audio(archive, name, audio):
                yield sink.take()
    yield sink.take()


async def back_up(store: OpenStore, story_id: str, destination: Path) -> int:
    """Write a story's bundle, whole or not at all; return its length in bytes.

    Raises:
        BadInput: if the file cannot be written.
        NotFound: if there is no such story.
        StoreUnusable: if some of its audio is missing or damaged.
    """
    bundle = await prepare(store, story_id)
    return await asyncio.to_thread(_write, bundle, store.audio, destination)


def _write(bundle: Bundle, audio: AudioFiles, destination: Path) -> int:
    with whole_file(destination, SUFFIXES, "output") as file:
        for block in bundle_bytes(bundle, audio):
            write_all(file, block)
        return file.tell()


async def _read_condition(session: AsyncSession, name: str) -> bytes:
    return (await session.get_one(Condition, name)).data


def _describe(rows: StoryRows, conditions: dict[str, bytes], audio: AudioFiles) -> Bundle:
    lines = "".join(
        json.dumps({"table": table, "row": row}, default=_encoded, ensure_ascii=False) + "\n"
        for table, listed in rows.rows.items()
        for row in listed
    ).encode()
    members = {ROWS: _member(len(lines), hashlib.sha256(lines).hexdigest())}
    members |= {CONDITIONS + name: _member(len(data), name) for name, data in conditions.items()}
    members |= {
        AUDIO + name: _member(audio.path(name).stat().st_size, name.partition(".")[0])
        for name in rows.files
    }
    manifest = {"format": FORMAT, "story": rows.story["id"], "members": members}
    return Bundle(json.dumps(manifest, indent=1).encode(), lines, conditions, rows.files)


def _member(length: int, digest: str) -> dict[str, Any]:
    return {"bytes": length, "sha256": digest}


def _encoded(value: object) -> str:
    assert isinstance(value, bytes)
    return base64.urlsafe_b64encode(value).decode("ascii")


def _info(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


def _write_audio(archive: zipfile.ZipFile, name: str, audio: AudioFiles) -> Iterator[None]:
    """Write a file block by block, a step for each, and make sure that it was the right one."""
    path = audio.path(name)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file, closing(archive.open(_info(AUDIO + name), "w")) as member:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                member.write(block)
                yield
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be read: {error.strerror or error}.") from error
    if digest.hexdigest() != name.partition(".")[0]:
        raise StoreUnusable(f"{path} was damaged while it was read. Verify the story, try again.")


class _Blocks(io.RawIOBase):
    """What was written since it was last taken; it cannot seek, as a response cannot."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._written += block
        return len(block)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
