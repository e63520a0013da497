"""Which job does which kind of work."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from audiostory_core.audio.export_request import FORMATS
from nodes.jobs.clip import make_clips
from nodes.jobs.condition import make_conditions
from nodes.jobs.export import make_export
from nodes.services import Services
from storage.models import Work, WorkKind


@dataclass(frozen=True)
class Job:
    """What is done with work that was claimed.

    Args:
        do: does it, and finishes, fails or gives back each piece; returns how many it finished.
        is_batched: whether several pieces are done at once, and neighbors one after the other.
        has: what a worker has for it, whichever engines it has; None: its engines.
    """

    do: Callable[[Sequence[Work], Services], Coroutine[None, None, int]]
    is_batched: bool
    has: Sequence[str] | None = None


JOBS: Final[Mapping[WorkKind, Job]] = {
    WorkKind.CONDITION: Job(make_conditions, is_batched=False),
    WorkKind.CLIP: Job(make_clips, is_batched=True),
    WorkKind.EXPORT: Job(make_export, is_batched=False, has=FORMATS),
}
