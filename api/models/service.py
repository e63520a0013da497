"""Folders of weights, and what every command about them needs. Torch is imported by whoever computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from api.terminal import console
from audiostory_core.errors import BadInput
from audiostory_core.model.weights.manifest import NAME, Manifest

CONVERTED, PUBLISHED, DAMAGED, UNKNOWN = "converted", "published", "damaged", "unknown"


@dataclass(frozen=True)
class Model:
    """A folder of $AUDIOSTORY_HOME/models."""

    name: str
    kind: str  # converted, published, damaged (converted, but a file is missing), unknown
    revision: str | None  # of converted weights
    size: int  # bytes


def list_models(folder: Path) -> list[Model]:
    """List the models in a folder by name; none if there is no such folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_model(path) for path in paths if not path.name.startswith(".")]


def open_published(source: Path, cache: Path) -> Path:
    """Convert a published checkpoint once, with progress; return where the result lies.

    Raises:
        BadInput: if it cannot be read or converted.
    """
    with network_libraries():
        from audiostory_core.model.weights.loading import open_weights  # noqa: PLC0415 - torch
    with shown_progress("converting") as on_progress:
        return open_weights(source, cache, on_progress).folder


@contextmanager
def network_libraries() -> Iterator[None]:
    """Import modules of the network in the block.

    Raises:
        BadInput: saying how to get its libraries, if they are not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("audiostory_core"):
            raise
        raise BadInput(
            "models",
            error.name,
            "is not installed",
            "Install the studio with the network's libraries: pip install -e '.[model]'",
        ) from error


@contextmanager
def shown_progress(verb: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is, and how long it will take."""
    with Progress(
        TextColumn(verb),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console.err,
        disable=not console.err.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(verb, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _model(folder: Path) -> Model:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if (folder / NAME).is_file():
        try:
            return Model(folder.name, CONVERTED, Manifest.read(folder).revision, size)
        except BadInput:
            return Model(folder.name, DAMAGED, None, size)
    is_published = any(path.name == "pytorch_model.bin" for path in files)
    return Model(folder.name, PUBLISHED if is_published else UNKNOWN, None, size)
