"""What comes of edits: sub-events with their origins, and what that means for their clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from audiostory_core.story.plan import CastMember, StoryPlan, SubEvent


class Total(StrEnum):
    """What happens to the story's duration when sub-events become longer or shorter."""

    KEEP = "keep"  # it stays; the other sub-events share the difference
    MOVE = "move"  # it becomes the sum


@dataclass(frozen=True)
class Draft:
    """A sub-event of the edited plan and where it comes from."""

    event: SubEvent
    origin: int | None  # index before all edits of the sub-event that it still is; None: new
    is_reworded: bool  # anything its clip is made from changed, or it is new
    change: str | None = None  # plain words still to be resolved by the planner
    seed: int | None = None  # if requested
    engine: str | None = None  # if requested
    cast: tuple[CastMember, ...] | None = None  # if requested
    voices: tuple[CastMember, ...] = ()  # if requested: beside the others of its cast
    inherits: int | None = None  # index before all edits of whose engine and cast it keeps


class Reason(StrEnum):
    """Why a clip is made again, or not needed any more."""

    REWORDED = "reworded"
    NEW = "new"
    BECOMES_LAST = "becomes the last"
    STOPS_BEING_LAST = "stops being the last"
    FOLLOWS = "follows a change"
    DELETED = "deleted"


@dataclass(frozen=True)
class Preview:
    """What an edited plan means for one sub-event."""

    number: int | None  # after the edits, from 1; None: deleted
    was: int | None  # before the edits, from 1; None: new
    event: SubEvent
    reason: Reason | None  # None: its clip stays as it is

    @property
    def is_remade(self) -> bool:
        """Whether a clip is made for it."""
        return self.reason not in {None, Reason.DELETED}


def preview(before: StoryPlan, drafts: Sequence[Draft], *, follow: bool = False) -> list[Preview]:
    """Say for each draft, then for each deleted sub-event, what happens to its clip.

    Args:
        before: the plan that was edited.
        drafts: what `apply` made of it.
        follow: whether all that comes after the first change is conditioned again. Such a clip
            is kept after all if its condition turns out as it was.
    """
    last_before = len(before.sub_events) - 1
    moved = (
        place for place, draft in enumerate(drafts) if draft.is_reworded or draft.origin != place
    )
    first = next(moved, len(drafts))
    seen = []
    for place, draft in enumerate(drafts):
        reason = _reason(draft, place == len(drafts) - 1, last_before)
        if reason is None and follow and place >= first:
            reason = Reason.FOLLOWS
        was = None if draft.origin is None else draft.origin + 1
        seen.append(Preview(place + 1, was, draft.event, reason))
    kept = {draft.origin for draft in drafts}
    gone = [
        Preview(None, index + 1, event, Reason.DELETED)
        for index, event in enumerate(before.sub_events)
        if index not in kept
    ]
    return seen + gone


def _reason(draft: Draft, is_last: bool, last_before: int) -> Reason | None:
    if draft.origin is None:
        return Reason.NEW
    if draft.is_reworded:
        return Reason.REWORDED
    if is_last and draft.origin != last_before:
        return Reason.BECOMES_LAST
    if draft.origin == last_before and not is_last:
        return Reason.STOPS_BEING_LAST
    return None
