"""What `create` forks before it has threads: makers of clips, and writers of its file."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from api import settings
from api.engines.catalog import engines
from api.engines.planners import NEED_WEIGHTS
from api.operations import forks
from api.operations.forks import Kind
from api.operations.maker_pool import FORK_PAYS_S, count_processes
from audiostory_core.stem import engine_names

if TYPE_CHECKING:  # numpy is imported once it is known that it is to use one thread
    from api.stories.schemas import StoryCreate
    from audiostory_core.audio.export import Writer
    from audiostory_core.audio.mixdown import Mixdown


def use_one_thread(engine: str, planner: str) -> None:
    """Keep this process to one thread where clips are made on one core; before numpy is there."""
    if _is_one_core(engine) and planner not in NEED_WEIGHTS:
        settings.use_one_thread()


def use_one_thread_without_weights() -> None:
    """Do that where no engine or planner has weights, whatever a story was made with."""
    if settings.read_settings().weights is None:
        settings.use_one_thread()


@contextmanager
def forked(wanted: "StoryCreate") -> Iterator[None]:
    """Have processes wait for what is to be made of a story, as many as it may need."""
    most = count_processes(settings.read_settings())
    duration_s = wanted.plan.duration_s if wanted.plan else wanted.duration_s or math.inf
    most = int(min(most, duration_s // FORK_PAYS_S))
    names = engine_names(wanted.engine, wanted.engines)
    if most > 1 and all(map(_is_one_core, names)) and not wanted.review:
        from api.stories.stretch_writing import write  # noqa: PLC0415 - numpy, see above

        forks.prepare(Kind.WRITE, most - 1, write)
        from api.engines.engine_factory import load_engine  # noqa: PLC0415 - scipy
        from api.operations.maker_process import carry_out  # noqa: PLC0415 - scipy

        for name in names:
            load_engine(name)
        forks.prepare(Kind.MAKE, most - 1, carry_out)
    try:
        yield
    finally:
        forks.dismiss()


def _is_one_core(engine: str) -> bool:
    return engine in engines() and engines().get(engine).one_core


def list_writers(mix: "Mixdown", audio: Path) -> "Sequence[Writer]":
    """List a writer of stretches of a mix for each process that waits.

    Args:
        mix: read from files of an audio folder.
        audio: the folder.
    """
    from audiostory_core.audio.stems import recipe_of  # noqa: PLC0415 - numpy, see above

    order = {
        "audio": str(audio),
        "source": recipe_of(mix.source),
        "mastering": mix.mastering and asdict(mix.mastering),
    }
    return [_Writer(order) for _ in range(forks.count_waiting(Kind.WRITE))]


class _Writer:
    def __init__(self, order: forks.Order) -> None:
        self._order = order
        self._fork: forks.Fork | None = None

    def begin(self, file: Path, start: int, stop: int) -> None:
        self._fork = forks.take(Kind.WRITE)
        if self._fork is not None:
            self._fork.order(self._order | {"file": str(file), "start": start, "stop": stop})

    def finish(self) -> bool:
        return self._fork is not None and self._fork.join() == 0
