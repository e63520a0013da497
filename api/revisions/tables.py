"""Tables of takes, previews and revisions for a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from api.revisions.schemas import RevisionView, TakeView
from api.terminal import console
from audiostory_core.story.editing import Preview


def show_preview(lines: Sequence[Preview]) -> None:
    """Print what edits would do to each scene."""
    table = _table("scene", "was", "s")
    table.add_column("caption", ratio=1)
    table.add_column("clip", no_wrap=True)
    for line in lines:
        fate = f"made again: {line.reason}" if line.is_remade else str(line.reason or "kept")
        table.add_row(
            str(line.number or "–"),
            str(line.was or "–"),
            f"{line.event.duration_s:.2f}",
            escape(line.event.caption),
            fate,
        )
    console.out.print(table)


def show_takes(listed: Sequence[TakeView]) -> None:
    """Print the takes of a scene with what they were made from."""
    table = _table("take", "heard", "s", "LUFS")
    table.add_column("made from", ratio=1)
    table.add_column("status")
    for take in listed:
        stem = "" if take.stem == "composite" else f"{take.stem}: "
        loudness = (take.measures or {}).get("loudness_lufs")
        seed, engine = take.recipe["seed"], take.recipe["engine"]
        table.add_row(
            str(take.take),
            "●" if take.is_heard else "",
            f"{take.duration_s:.2f}",
            "" if loudness is None else f"{loudness:.1f}",
            f"{stem}{escape(take.caption)}\n[dim]{take.origin}, {escape(engine)}\nseed {seed}[/]",
            escape(take.error or "; ".join([take.status, *take.flags])),
        )
    console.out.print(table)


def show_history(listed: Sequence[RevisionView]) -> None:
    """Print revisions, newest first."""
    table = _table("#", "now", "length", "scenes")
    table.add_column("when", no_wrap=True)
    table.add_column("what changed", ratio=1)
    for revision in listed:
        made = datetime.fromtimestamp(revision.created_at, UTC).astimezone()
        name = f"[bold]{escape(revision.name)}[/]: " if revision.name else ""
        table.add_row(
            str(revision.revision),
            "●" if revision.is_current else "",
            f"{revision.duration_s:.2f}",
            str(revision.sub_events),
            f"{made:%Y-%m-%d %H:%M}",
            f"{name}{escape(revision.summary)}",
        )
    console.out.print(table)


def _table(*numbers: str) -> Table:
    table = Table(expand=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
