"""Sub-events while they are edited, one edit after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import Delete, Edit, Insert, Reword
from audiostory_core.story.plan import (
    SHORTEST_SUB_EVENT_S,
    CastMember,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    samples_of,
    seconds_of,
)

SHORTEST = samples_of(SHORTEST_SUB_EVENT_S)
BEFORE_ALL = -1  # the scene that the first sub-event would carry on


@dataclass(frozen=True)
class Piece:
    """A sub-event of the plan as edited so far."""

    event: SubEvent
    origin: int | None
    inherits: int | None
    opens: int  # the scene, split for its length or not, to which its beginning belongs
    closes: int  # … and its end; another one where two scenes were merged
    edit: int = 0  # number of the last edit that touched it
    is_set: bool = False  # its duration is the author's own
    change: str | None = None
    seed: int | None = None
    engine: str | None = None
    cast: tuple[CastMember, ...] | None = None
    voices: tuple[CastMember, ...] = ()  # beside the others of its cast


def pieces_of(plan: StoryPlan) -> list[Piece]:
    """Return the sub-events of a plan before the first edit."""
    pieces: list[Piece] = []
    scene = BEFORE_ALL
    for index, event in enumerate(plan.sub_events):
        opens = scene if event.continues else index
        scene = index if index == 0 else opens
        pieces.append(Piece(event, index, index, opens, scene))
    return pieces


def index_of(pieces: Sequence[Piece], number: int, field: str, sub_event: int) -> int:
    """Return the place of a sub-event.

    Raises:
        BadInput: if there is none of that number.
    """
    if sub_event > len(pieces):
        raise BadInput(
            f"edits.{number}.{field}",
            sub_event,
            f"is more than the {len(pieces)} sub-events that the plan has at this edit",
            f"Give a number from 1 to {len(pieces)}.",
        )
    return sub_event - 1


def speakers_of(event: SubEvent) -> tuple[str, ...]:
    """Return the names of those who speak in a sub-event."""
    lines = (layer for layer in event.layers if isinstance(layer, SpeechLayer))
    return tuple(dict.fromkeys(line.speaker for line in lines if line.speaker))


def resizes(edit: Edit, pieces: Sequence[Piece]) -> bool:
    """Tell whether an edit changes how long the sub-events are together."""
    if not isinstance(edit, Reword):
        return isinstance(edit, Insert | Delete)
    if edit.duration_s is None:
        return False
    return samples_of(edit.duration_s) != pieces[edit.sub_event - 1].event.samples


def length_of(pieces: Sequence[Piece]) -> int:
    """Return the samples of sub-events together."""
    return sum(piece.event.samples for piece in pieces)


def shown(samples: int) -> str:
    """Return samples as seconds, exactly."""
    return f"{seconds_of(samples):.6f}".rstrip("0").rstrip(".")  # finer than a sample
