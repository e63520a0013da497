"""What the commands that keep a store in order do."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from api.backups import bundles, restoration
from api.maintenance import repair
from api.settings import Settings, read_settings
from api.store import OpenStore, open_store
from api.terminal import console
from audiostory_core.errors import BadInput
from storage import deletion, gc, stories, verification

HOUR_S = 3600.0
SHOWN = 20  # files listed by name
STORY_ID = re.compile(r"[0-9a-z]{1,40}", re.ASCII)


@dataclass(frozen=True)
class _Young:
    """Files that nothing names, and that are too young to go."""

    files: int
    bytes: int
    newest_s: float  # since 1970

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Self:
        stats = []
        for path in paths:
            with suppress(FileNotFoundError):  # a worker has finished or named it meanwhile
                stats.append(path.stat())
        newest_s = max((stat.st_mtime for stat in stats), default=0.0)
        return cls(len(stats), sum(stat.st_size for stat in stats), newest_s)


async def collect(*, delete: bool, as_json: bool) -> None:
    """Print what nobody can hear any more, removed or not."""
    async with _opened() as (store, settings):
        search = gc.sweep if delete else gc.survey
        min_age_s = settings.gc_min_age_h * HOUR_S
        found = await search(store.database, store.audio, store.exports, min_age_s)
        loose = await gc.survey(store.database, store.audio, store.exports, 0.0)
    young = _Young.of(set(loose.files) - set(found.files))
    if as_json:
        console.print_json(
            {
                "deleted": delete,
                "clips": found.clips,
                "segments": found.segments,
                "conditions": found.conditions,
                "files": [str(path) for path in found.files],
                "file_bytes": found.file_bytes,
                "busy_runs": found.busy_runs,
                "young_files": young.files,
                "young_bytes": young.bytes,
                "min_age_h": settings.gc_min_age_h,
            }
        )
        return
    for path in found.files[:SHOWN]:
        console.out.print(str(path), markup=False, soft_wrap=True)
    if len(found.files) > SHOWN:
        console.out.print(f"… and {len(found.files) - SHOWN} more files")
    done = "removed" if delete else "nobody can hear"
    console.out.print(
        f"{done}: {len(found.files)} files ({found.file_bytes / 1e6:.1f} MB), "
        f"{len(found.clips)} clips, {len(found.segments)} segments, "
        f"{len(found.conditions)} conditions",
        soft_wrap=True,
    )
    if young.files:
        last = datetime.fromtimestamp(young.newest_s + min_age_s, UTC).astimezone()
        console.err.print(
            f"{console.counted(young.files, 'file')} more ({young.bytes / 1e6:.1f} MB) must be "
            f"{settings.gc_min_age_h:g} h old first (AUDIOSTORY_GC_MIN_AGE_H): "
            f"all of them are by {last:%Y-%m-%d %H:%M}.",
            soft_wrap=True,
        )
    if found.busy_runs:
        console.err.print(
            f"{found.busy_runs} runs are being worked on: segments and conditions stay until a "
            "sweep finds none.",
            soft_wrap=True,
        )
    if not delete and found.files:
        console.err.print("Remove them with: audiostory gc --delete")


async def delete(story_id: str) -> None:
    """Delete a story.

    Raises:
        NotFound: if there is no such story.
        Conflict: if it is being worked on.
    """
    async with _opened() as (store, settings), store.database.write() as session:
        await deletion.delete_story(session, story_id)
    console.out.print(
        f"story {story_id} is deleted; `audiostory gc --delete` frees what only it was heard as, "
        f"once that is {settings.gc_min_age_h:g} h old",
        soft_wrap=True,
    )


async def verify(story_id: str | None, *, should_repair: bool, as_json: bool) -> int:
    """Print which audio files are missing or damaged; return how many.

    Raises:
        NotFound: if there is no such story.
    """
    async with _opened() as (store, _):
        if story_id is not None:
            async with store.database.read() as session:
                await stories.get(session, story_id)
        damages = await verification.verify(store.database, store.audio, story_id)
        queued = mended = 0
        if should_repair:
            for damage in damages:
                queued += await verification.repair(store.database, store.audio, damage)
                mended += not damage.clips and await repair.mend_seam(store, damage.file)
    if as_json:
        listed = [
            {"file": damage.file, "found": damage.found, "clips": list(damage.clips)}
            for damage in damages
        ]
        console.print_json({"damaged": listed, "queued": queued, "mended": mended})
        return len(damages)
    for damage in damages:
        what = "clip" if damage.clips else "seam"
        console.out.print(f"{damage.found}: {what} {damage.file}", soft_wrap=True)
    if not damages:
        console.out.print("every audio file is what its name says")
    elif should_repair:
        console.err.print(
            f"{queued} clips are queued again, for a worker to make; {mended} seams are mended. "
            "A seam beside a damaged clip is mended by verifying again once the clip is made.",
            soft_wrap=True,
        )
    else:
        told = f" {story_id}" if story_id else ""
        console.err.print(f"Have them made again with: audiostory verify{told} --repair")
    return len(damages)


async def back_up(story_id: str, destination: Path) -> None:
    """Write a story's bundle.

    Raises:
        BadInput: if it cannot be written.
        NotFound: if there is no such story.
    """
    if not STORY_ID.fullmatch(story_id):  # before it names a file
        raise BadInput("story", story_id, "is no story's id", "See `audiostory list`.")
    async with _opened() as (store, _):
        length = await bundles.back_up(store, story_id, destination)
    console.out.print(f"{destination}: {length / 1e6:.1f} MB", markup=False, soft_wrap=True)


async def restore(bundle: Path, *, as_json: bool) -> None:
    """Put a story back and print its id.

    Raises:
        BadInput: if the file is no bundle that can be restored.
    """
    async with _opened() as (store, _):
        restored = await restoration.restore(store, bundle)
    if as_json:
        console.print_json(
            {"story": restored.story_id, "was": restored.was, "files": restored.files}
        )
        return
    renamed = f", which was {restored.was}" if restored.was != restored.story_id else ""
    console.out.print(f"story {restored.story_id}{renamed}: {restored.files} audio files")


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[OpenStore, Settings]]:
    settings = read_settings()
    store = await open_store(settings)
    try:
        yield store, settings
    finally:
        await store.database.close()
