"""Commands that keep a store in order: free what nobody can hear, and verify the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from api.terminal.options import AsJson, asynchronous

if TYPE_CHECKING:
    from storage.gc import Sweep
    from storage.verification import Damage

FAILED = 1
HOUR_S = 3600.0
SHOWN = 20  # files listed by name

app = typer.Typer()


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


@app.command()
@asynchronous
async def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what nobody can hear any more, or has exported and not used, and with --delete remove it.

    What is younger than AUDIOSTORY_GC_MIN_AGE_H hours (default 24) stays, and so does every take.
    """
    from api.store import opened_store
    from api.terminal import console
    from storage import gc as sweeping

    async with opened_store() as (store, settings):
        search = sweeping.sweep if delete else sweeping.survey
        min_age_h = settings.gc_min_age_h
        swept = await search(store.database, store.audio, store.exports, min_age_h * HOUR_S)
        loose = await sweeping.survey(store.database, store.audio, store.exports, 0.0)
    young = _Young.of(set(loose.files) - set(swept.files))
    if as_json:
        console.print_json(
            {
                "deleted": delete,
                "clips": swept.clips,
                "segments": swept.segments,
                "conditions": swept.conditions,
                "exports": swept.exports,
                "files": [str(path) for path in swept.files],
                "file_bytes": swept.file_bytes,
                "busy_runs": swept.busy_runs,
                "young_files": young.files,
                "young_bytes": young.bytes,
                "min_age_h": min_age_h,
            }
        )
    else:
        _show_swept(swept, young, min_age_h, is_deleted=delete)


@app.command()
@asynchronous
async def verify(
    story_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A story (default: everything).")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Have damaged clips made again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every audio file again and compare it with its hash; exit code 1 if one is damaged."""
    from api.maintenance.repair import mend_seam
    from api.store import opened_store
    from api.terminal import console
    from storage import stories, verification

    async with opened_store() as (store, _):
        if story_id is not None:
            async with store.database.read() as session:
                await stories.get(session, story_id)
        damages = await verification.verify(store.database, store.audio, story_id)
        queued = mended = 0
        if repair:
            for damage in damages:
                queued += await verification.repair(store.database, store.audio, damage)
                is_seam = not damage.clips and not damage.exports
                mended += is_seam and await mend_seam(store, damage.file)
    if as_json:
        listed = [
            {
                "file": damage.file,
                "found": damage.found,
                "clips": list(damage.clips),
                "exports": list(damage.exports),
            }
            for damage in damages
        ]
        console.print_json({"damaged": listed, "queued": queued, "mended": mended})
    else:
        _show_damages(damages)
    if damages and not as_json:
        step = _next_step(story_id, damages, queued, mended, is_repaired=repair)
        console.err.print(step, soft_wrap=True)
    if damages:
        raise typer.Exit(FAILED)


def _show_swept(swept: Sweep, young: _Young, min_age_h: float, *, is_deleted: bool) -> None:
    from api.terminal import console

    for path in swept.files[:SHOWN]:
        console.out.print(str(path), markup=False, soft_wrap=True)
    if len(swept.files) > SHOWN:
        console.out.print(f"… and {len(swept.files) - SHOWN} more files")
    done = "removed" if is_deleted else "nobody can hear"
    console.out.print(
        f"{done}: {len(swept.files)} files ({swept.file_bytes / 1e6:.1f} MB), "
        f"{len(swept.clips)} clips, {len(swept.segments)} segments, "
        f"{len(swept.conditions)} conditions, {len(swept.exports)} exports",
        soft_wrap=True,
    )
    if young.files:
        last = datetime.fromtimestamp(young.newest_s + min_age_h * HOUR_S, UTC).astimezone()
        console.err.print(
            f"{console.counted(young.files, 'file')} more ({young.bytes / 1e6:.1f} MB) must be "
            f"{min_age_h:g} h old first (AUDIOSTORY_GC_MIN_AGE_H): "
            f"all of them are by {last:%Y-%m-%d %H:%M}.",
            soft_wrap=True,
        )
    if swept.busy_runs:
        console.err.print(
            f"{swept.busy_runs} runs are being worked on: segments and conditions stay until a "
            "sweep finds none.",
            soft_wrap=True,
        )
    if not is_deleted and swept.files:
        console.err.print("Remove them with: audiostory gc --delete")


def _show_damages(damages: Sequence[Damage]) -> None:
    from api.terminal import console

    for damage in damages:
        what = "clip" if damage.clips else "export" if damage.exports else "seam"
        console.out.print(f"{damage.found}: {what} {damage.file}", soft_wrap=True)
    if not damages:
        console.out.print("every audio file is what its name says")


def _next_step(
    story_id: str | None, damages: Sequence[Damage], queued: int, mended: int, *, is_repaired: bool
) -> str:
    if is_repaired:
        what = "clips and exports" if any(damage.exports for damage in damages) else "clips"
        return (
            f"{queued} {what} are queued again, for a worker to make; {mended} seams are mended. "
            "A seam beside a damaged clip is mended by verifying again once the clip is made."
        )
    story = f" {story_id}" if story_id else ""
    return f"Have them made again with: audiostory verify{story} --repair"
