"""What `audiostory models` does. Torch is imported by the commands that compute, when they do."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.settings import read_settings
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


def convert(
    source: Path, target: Path, llm: Path | None, text_encoder: Path | None, dtype: str | None
) -> None:
    """Convert a checkpoint and print its revision.

    Raises:
        BadInput: naming what is wrong with the checkpoint or the target.
    """
    converting = _loaded("converting")
    with _progress("converting") as on_progress:
        manifest = converting.convert(
            source,
            target,
            llm=llm,
            text_encoder=text_encoder,
            dtype=dtype,
            on_progress=on_progress,
        )
    _tell(f"{target}  revision {manifest.revision[:12]}, {decimal(manifest.size)}")


def pull(repo: str, to: Path | None, revision: str | None, endpoint: str | None) -> None:
    """Fetch a checkpoint and print where it is.

    Raises:
        BadInput: if there is none of that name.
        StudioError: if the server fails; pulling again goes on.
    """
    target = to or read_settings().home / "models" / repo.rpartition("/")[2]
    hub = _loaded("hub")
    with _progress("fetching") as on_progress:
        hub.pull(repo, target, revision=revision, endpoint=endpoint, on_progress=on_progress)
    _tell(str(target))


def list_all(*, as_json: bool) -> None:
    """Print what lies in the models folder."""
    folder = read_settings().home / "models"
    found = [_model(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    found = [model for model in found if not model.name.startswith(".")]
    if as_json:
        console.print_json([asdict(model) for model in found])
        return
    table = Table()
    for column in ("name", "kind", "revision"):
        table.add_column(column, no_wrap=True)
    table.add_column("size", justify="right")
    for model in found:
        revision = "" if model.revision is None else model.revision[:12]
        table.add_row(escape(model.name), model.kind, revision, decimal(model.size))
    console.out.print(table)


def verify(folder: Path) -> None:
    """Read all files of converted weights and compare them with their hashes.

    Raises:
        BadInput: naming the file that is damaged.
    """
    manifest = Manifest.read(folder)
    with _progress("verifying") as on_progress:
        done = 0

        def on_bytes(more: int) -> None:
            nonlocal done
            done += more
            on_progress(done, manifest.size)

        manifest.verify(folder, on_bytes)
    _tell(f"{folder} is whole, revision {manifest.revision[:12]}")


def tiny(target: Path, seed: int, steps: int | None) -> None:
    """Train and write a tiny checkpoint.

    Raises:
        BadInput: if the target cannot be used.
    """
    options = {} if steps is None else {"steps": steps}
    module = _loaded("tiny")
    with _progress("training") as on_step:
        module.write_tiny(target, seed, on_step, **options)
    _tell(str(target))


def open_published(source: Path, cache: Path) -> Path:
    """Convert a published checkpoint once, with progress; return where the result lies.

    Raises:
        BadInput: if it cannot be read or converted.
    """
    with _progress("converting") as on_progress:
        folder: Path = _loaded("weights").open_weights(source, cache, on_progress).folder
    return folder


def _loaded(name: str) -> Any:
    """A module of the network, or how to get its libraries."""
    try:
        return importlib.import_module(f"audiostory_core.model.{name}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("audiostory_core"):
            raise
        raise BadInput(
            "models",
            error.name,
            "is not installed",
            "Install the studio with the network's libraries: pip install -e '.[model]'",
        ) from error


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


@contextmanager
def _progress(verb: str) -> Iterator[Callable[[int, int], None]]:
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


def _tell(line: str) -> None:
    console.out.print(line, markup=False, soft_wrap=True)
