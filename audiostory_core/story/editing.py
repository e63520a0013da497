"""Edits of a plan: what the author may change, and the plan that comes of it.

Pure: knows no database, engine or planner. `apply` turns a plan and a list of edits into drafts,
`preview` says which clips that costs, `diff` says in words how two plans differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import Any
from unicodedata import east_asian_width

from audiostory_core.errors import BadInput
from audiostory_core.story.diff import diff
from audiostory_core.story.edits import (
    Delete,
    Edit,
    Insert,
    Merge,
    Move,
    Rebalance,
    Reshape,
    Reword,
    Split,
    read_edits,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    CastMember,
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    samples_of,
    seconds_of,
)
from audiostory_core.story.rebalancing import check_balance, rebalanced
from audiostory_core.story.reshaping import reshape
from audiostory_core.story.spans import heard_layers, layers_of_both, layers_of_parts, respanned

__all__ = [
    "Delete",
    "Draft",
    "Edit",
    "Insert",
    "Merge",
    "Move",
    "Preview",
    "Reason",
    "Reshape",
    "Reword",
    "Split",
    "Total",
    "apply",
    "diff",
    "marked",
    "plan_of",
    "preview",
    "read_edits",
]

_SHORTEST = samples_of(SHORTEST_SUB_EVENT_S)
_BEFORE_ALL = -1  # the scene that the first sub-event would carry on
_SENTENCE_ENDS = frozenset(".!?…:;。！？：；")


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


@dataclass(frozen=True)
class _Piece:
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


def apply(
    plan: StoryPlan, edits: Sequence[Edit], *, total: Total, limits: SceneLimits
) -> list[Draft]:
    """Return the sub-events that come of the edits, made one after the other.

    A sub-event that no edit names is equal to what it was, except that its duration changes
    where the total is kept, and that it no longer `continues` a scene it does not follow any more.
    The latter makes no new clip.

    Args:
        plan: to be edited; its durations are whole samples.
        edits: numbers refer to the plan as it stands after the edits before them.
        total: with KEEP, sub-events whose duration was not set, inserted or split share the
            difference in proportion, exact to the sample.
        limits: how long scenes may be, each for the engine that will make its clip.

    Raises:
        BadInput: naming the field of the edit that cannot be made.
    """
    pieces = _pieces(plan)
    resized = 0
    for number, edit in enumerate(edits, 1):
        before, pieces = pieces, _edited(pieces, number, edit, limits)
        if _resizes(edit, before):
            resized = number
    if resized and total is Total.KEEP:
        pieces = _balanced(pieces, plan.samples, limits.samples(), resized, edits[resized - 1])
    elif resized:
        _check_total(_length(pieces), resized)
    drafts = _drafts(pieces, plan)
    for place, (piece, draft) in enumerate(zip(pieces, drafts, strict=True), 1):
        longest = limits.samples(piece.engine, piece.inherits)
        if draft.is_reworded and draft.event.samples > longest:
            raise BadInput(
                f"edits.{piece.edit}",
                draft.event.duration_s,
                f"leaves sub-event {place} longer than the {_shown(longest)} s "
                "that can be made at once",
                "Shorten or split it.",
            )
    return drafts


def plan_of(before: StoryPlan, drafts: Sequence[Draft]) -> StoryPlan:
    """Return the plan that `apply` drafted from `before`, changes in plain words unresolved."""
    samples = sum(draft.event.samples for draft in drafts)
    fields = {name: getattr(before, name) for name in StoryPlan.model_fields}
    sub_events = tuple(draft.event for draft in drafts)
    return StoryPlan(**{**fields, "duration_s": seconds_of(samples), "sub_events": sub_events})


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


def _pieces(plan: StoryPlan) -> list[_Piece]:
    pieces: list[_Piece] = []
    scene = _BEFORE_ALL
    for index, event in enumerate(plan.sub_events):
        opens = scene if event.continues else index
        scene = index if index == 0 else opens
        pieces.append(_Piece(event, index, index, opens, scene))
    return pieces


def _edited(pieces: list[_Piece], number: int, edit: Edit, limits: SceneLimits) -> list[_Piece]:
    match edit:
        case Insert():
            return _inserted(pieces, number, edit, limits)
        case Reword():
            index = _index(pieces, number, "sub_event", edit.sub_event)
            made = [_reworded(pieces[index], number, edit, limits)]
        case Reshape():
            index = _index(pieces, number, "sub_event", edit.sub_event)
            piece = pieces[index]
            made = [replace(piece, event=reshape(piece.event, number, edit), edit=number)]
        case Rebalance():
            return _rebalanced(pieces, number, edit)
        case Delete():
            index = _index(pieces, number, "sub_event", edit.sub_event)
            if len(pieces) == 1:
                raise BadInput(
                    f"edits.{number}.sub_event",
                    edit.sub_event,
                    "is the only sub-event",
                    "Reword it, or insert another one before deleting it.",
                )
            pieces = _respanned(pieces, index, -1)
            made = []
        case Move():
            index = _index(pieces, number, "sub_event", edit.sub_event)
            to = _index(pieces, number, "to", edit.to)
            rest = [*pieces[:index], *pieces[index + 1 :]]
            return [*rest[:to], pieces[index], *rest[to:]]
        case Split():
            index = _index(pieces, number, "sub_event", edit.sub_event)
            pieces = _respanned(pieces, index, 1)
            made = _split(pieces[index], number, edit)
        case Merge():
            return _merged(pieces, number, edit)
    return [*pieces[:index], *made, *pieces[index + 1 :]]


def _rebalanced(pieces: list[_Piece], number: int, edit: Rebalance) -> list[_Piece]:
    check_balance(edit, number)
    if edit.sub_event is None:  # see `remixed`
        return pieces
    index = _index(pieces, number, "sub_event", edit.sub_event)
    piece = pieces[index]
    made = replace(piece, event=rebalanced(piece.event, edit), edit=number)
    return [*pieces[:index], made, *pieces[index + 1 :]]


def _resizes(edit: Edit, pieces: Sequence[_Piece]) -> bool:
    if not isinstance(edit, Reword):
        return isinstance(edit, Insert | Delete)
    if edit.duration_s is None:
        return False
    return samples_of(edit.duration_s) != pieces[edit.sub_event - 1].event.samples


def _index(pieces: Sequence[_Piece], number: int, field: str, sub_event: int) -> int:
    if sub_event > len(pieces):
        raise BadInput(
            f"edits.{number}.{field}",
            sub_event,
            f"is more than the {len(pieces)} sub-events that the plan has at this edit",
            f"Give a number from 1 to {len(pieces)}.",
        )
    return sub_event - 1


def _inserted(pieces: list[_Piece], number: int, edit: Insert, limits: SceneLimits) -> list[_Piece]:
    if edit.at > len(pieces) + 1:
        raise BadInput(
            f"edits.{number}.at",
            edit.at,
            f"is beyond the end of the {len(pieces)} sub-events that the plan has at this edit",
            f"Give a number from 1 to {len(pieces) + 1}.",
        )
    event = SubEvent(
        caption=edit.caption,
        duration_s=_snapped(edit.duration_s, number, limits.samples(edit.engine)),
        tone=edit.tone,
        layers=edit.layers,
    )
    scene = _BEFORE_ALL - number
    new = _Piece(event, None, None, scene, scene, edit=number, is_set=True, engine=edit.engine)
    if edit.at <= len(pieces):
        pieces = _respanned(pieces, edit.at - 1, 1)
    return [*pieces[: edit.at - 1], new, *pieces[edit.at - 1 :]]


def _respanned(pieces: list[_Piece], at: int, more: int) -> list[_Piece]:
    """Let layers that reach from before place `at` over it end with the scene they end with."""
    events = respanned([piece.event for piece in pieces], at, more)
    return [replace(piece, event=event) for piece, event in zip(pieces, events, strict=True)]


def _snapped(duration_s: float, number: int, longest: int) -> float:
    samples = samples_of(duration_s)
    if samples > longest:
        raise BadInput(
            f"edits.{number}.duration_s",
            duration_s,
            f"is longer than the {_shown(longest)} s that can be made at once",
            f"Give {SHORTEST_SUB_EVENT_S:g} to {_shown(longest)} s, or make several sub-events.",
        )
    return seconds_of(samples)


def _reworded(piece: _Piece, number: int, edit: Reword, limits: SceneLimits) -> _Piece:
    if edit.change is not None and (edit.caption is not None or edit.layers is not None):
        field = "caption" if edit.caption is not None else "layers"
        raise BadInput(
            f"edits.{number}.change",
            edit.change,
            f"is given together with {field}",
            f"Give either a change in plain words or the {field} itself.",
        )
    event = piece.event
    engine = piece.engine if edit.engine is None else edit.engine
    update: dict[str, Any] = {}
    if edit.caption is not None and edit.caption != event.caption:
        lines = tuple(layer for layer in event.layers if isinstance(layer, SpeechLayer))
        update = {"caption": edit.caption, "layers": lines}
    if edit.layers is not None:
        update["layers"] = edit.layers
    if edit.tone is not None:
        update["tone"] = edit.tone
    if edit.duration_s is not None:
        longest = limits.samples(engine, piece.inherits)
        update["duration_s"] = _snapped(edit.duration_s, number, longest)
    return replace(
        piece,
        event=event.model_copy(update=update),
        edit=number,
        is_set=piece.is_set or edit.duration_s is not None,
        change=_both(piece.change, edit.change),
        seed=piece.seed if edit.seed is None else edit.seed,
        engine=engine,
        cast=piece.cast if edit.cast is None else edit.cast,
    )


def _both(first: str | None, second: str | None) -> str | None:
    changes = [words for words in (first, second) if words is not None]
    return "; ".join(dict.fromkeys(changes)) or None


def _split(piece: _Piece, number: int, edit: Split) -> list[_Piece]:
    event = piece.event
    at, whole = samples_of(edit.at_s), event.samples
    if not _SHORTEST <= at <= whole - _SHORTEST:
        can = whole >= 2 * _SHORTEST
        raise BadInput(
            f"edits.{number}.at_s",
            edit.at_s,
            f"leaves a part of the {_shown(whole)} s shorter than {SHORTEST_SUB_EVENT_S:g} s",
            f"Give {SHORTEST_SUB_EVENT_S:g} to {_shown(whole - _SHORTEST)} s."
            if can
            else f"Make it last {2 * SHORTEST_SUB_EVENT_S:g} s or more before splitting it.",
        )
    captions = edit.captions or (event.caption, event.caption)
    if edit.captions is None:
        first_layers, second_layers = layers_of_parts(event.layers, edit.at_s)
    else:
        first_layers = tuple(layer for layer in event.layers if isinstance(layer, SpeechLayer))
        second_layers = ()
    first = event.model_copy(
        update={"caption": captions[0], "duration_s": seconds_of(at), "layers": first_layers}
    )
    second = event.model_copy(
        update={
            "caption": captions[1],
            "duration_s": seconds_of(whole - at),
            "layers": second_layers,
            "continues": True,
        }
    )
    touched = replace(piece, edit=number, is_set=True)
    return [
        replace(touched, event=first),
        replace(touched, event=second, origin=None, opens=piece.closes, seed=None),
    ]


def _merged(pieces: list[_Piece], number: int, edit: Merge) -> list[_Piece]:
    index = _index(pieces, number, "sub_event", edit.sub_event)
    if index == len(pieces) - 1:
        raise BadInput(
            f"edits.{number}.sub_event",
            edit.sub_event,
            "is the last sub-event, so that there is none after it to merge with",
            f"Give a number from 1 to {len(pieces) - 1}."
            if index
            else "Insert another one before merging.",
        )
    pieces = _respanned(pieces, index + 1, -1)
    first, second = pieces[index], pieces[index + 1]
    event = first.event.model_copy(
        update={
            "caption": _joined(first.event.caption, second.event.caption),
            "duration_s": seconds_of(first.event.samples + second.event.samples),
            "tone": second.event.tone if first.event.tone == "neutral" else first.event.tone,
            "layers": _layers_of_both(first.event, second.event),
        }
    )
    merged = replace(
        first,
        event=event,
        closes=second.closes,
        edit=number,
        is_set=first.is_set or second.is_set,
        change=_both(first.change, second.change),
        seed=second.seed if first.seed is None else first.seed,
        engine=second.engine if first.engine is None else first.engine,
        cast=second.cast if first.cast is None else first.cast,
    )
    return [*pieces[:index], merged, *pieces[index + 2 :]]


def _joined(first: str, second: str) -> str:
    if first == second:
        return first
    first = first.rstrip()
    is_wide = east_asian_width(first[-1]) in "WF"
    stop = "" if first[-1] in _SENTENCE_ENDS else "。" if is_wide else "."
    return f"{first}{stop}{'' if is_wide else ' '}{second.lstrip()}"


def _layers_of_both(first: SubEvent, second: SubEvent) -> tuple[Layer, ...]:
    opening, ending = first.layers, second.layers
    if bool(opening) != bool(ending) and first.caption != second.caption:
        opening = opening or (SoundLayer(kind=SoundKind.SFX, text=first.caption),)
        ending = ending or (SoundLayer(kind=SoundKind.SFX, text=second.caption),)
    return layers_of_both(opening, ending, first.duration_s)


def _length(pieces: Sequence[_Piece]) -> int:
    return sum(piece.event.samples for piece in pieces)


def _shown(samples: int) -> str:
    return f"{seconds_of(samples):.6f}".rstrip("0").rstrip(".")  # finer than a sample


def _check_total(samples: int, number: int) -> None:
    if not samples_of(SHORTEST_STORY_S) <= samples <= samples_of(LONGEST_STORY_S):
        raise BadInput(
            f"edits.{number}",
            seconds_of(samples),
            f"makes the story last {_shown(samples)} s, which is not between 1 second and 24 hours",
            "Give other durations, or keep the total.",
        )


def _balanced(
    pieces: list[_Piece], total: int, longest: int, number: int, edit: Edit
) -> list[_Piece]:
    free = [piece.event.samples for piece in pieces if not piece.is_set]
    room = total - _length([piece for piece in pieces if piece.is_set])
    if sum(free) == room:
        return pieces
    if not len(free) * _SHORTEST <= room <= len(free) * longest:
        raise _no_balance(len(free), room, longest, number, edit)
    shares = iter(share_samples(free, room, _SHORTEST, longest))
    return [piece if piece.is_set else _lasting(piece, next(shares), number) for piece in pieces]


def _lasting(piece: _Piece, samples: int, number: int) -> _Piece:
    if samples == piece.event.samples:
        return piece
    event = piece.event.model_copy(update={"duration_s": seconds_of(samples)})
    return replace(piece, event=event, edit=piece.edit or number)


def _no_balance(free: int, room: int, longest: int, number: int, edit: Edit) -> BadInput:
    least, most = free * _SHORTEST, free * longest
    problem = (
        f"leaves {_shown(max(0, room))} s of the kept total for the {free} other sub-events "
        f"whose durations may change, which can last {_shown(least)} to {_shown(most)} s together"
        if free
        else "changes the total, and no other sub-event's duration may change to keep it"
    )
    remedy = "Let the total move, or set fewer durations."
    duration_s = edit.duration_s if isinstance(edit, Reword | Insert) else None
    if duration_s is None:
        return BadInput(f"edits.{number}", edit.op, problem, remedy)
    requested = samples_of(duration_s)
    low, high = max(_SHORTEST, requested + room - most), min(longest, requested + room - least)
    if low <= high:
        possible = _shown(low) if low == high else f"{_shown(low)} to {_shown(high)}"
        remedy = f"Give {possible} s, or let the total move."
    return BadInput(f"edits.{number}.duration_s", duration_s, problem, remedy)


def share_samples(weights: Sequence[int], total: int, least: int, most: int) -> list[int]:
    """Split `total` samples in proportion to `weights`, each share from `least` to `most`.

    Shares that would leave the range are kept at its ends; the others keep their proportions.

    Args:
        weights: positive.
        total: from `len(weights) * least` to `len(weights) * most`.
        least: of each share.
        most: of each share.
    """
    shares: dict[int, int] = {}
    while len(shares) < len(weights):
        free = [index for index in range(len(weights)) if index not in shares]
        whole = sum(weights[index] for index in free)
        left = total - sum(shares.values())
        # exact in whole numbers: share < least is weight * left < least * whole
        under = [index for index in free if weights[index] * left < least * whole]
        over = [index for index in free if weights[index] * left > most * whole]
        lacking = sum(least * whole - weights[index] * left for index in under)
        excess = sum(weights[index] * left - most * whole for index in over)
        if lacking >= excess:
            shares |= dict.fromkeys(under, least)
        if excess >= lacking:
            shares |= dict.fromkeys(over, most)
        if not under and not over:
            # rounding down sums keeps each share within a sample of its own, so within the range
            ends = [left * at // whole for at in accumulate(weights[index] for index in free)]
            starts = [0, *ends[:-1]]
            shares |= {at: end - start for at, start, end in zip(free, starts, ends, strict=True)}
    return [shares[index] for index in range(len(weights))]


def _drafts(pieces: Sequence[_Piece], plan: StoryPlan) -> list[Draft]:
    drafts = []
    scene = _BEFORE_ALL
    for piece in pieces:
        event = piece.event
        if event.continues and piece.opens != scene:
            event = event.model_copy(update={"continues": False})
        scene = piece.closes
        settings = (piece.change, piece.seed, piece.engine, piece.cast)
        is_reworded = piece.origin is None or any(setting is not None for setting in settings)
        drafts.append(Draft(event, piece.origin, is_reworded, *settings, piece.inherits))
    return marked(drafts, plan)


def marked(drafts: Sequence[Draft], plan: StoryPlan) -> list[Draft]:
    """Return the drafts, those reworded whose scenes are heard otherwise than in the plan.

    A layer that spans scenes is heard in all of them, so that a scene may be heard otherwise though
    no edit names it.
    """
    before = _heard(plan.sub_events)
    after = _heard([draft.event for draft in drafts])
    return [
        draft
        if draft.is_reworded or heard == before[draft.origin or 0]
        else replace(draft, is_reworded=True)
        for draft, heard in zip(drafts, after, strict=True)
    ]


def _heard(events: Sequence[SubEvent]) -> list[tuple[object, ...]]:
    return [
        (event.caption, event.tone, layers, event.samples)
        for event, layers in zip(events, heard_layers(events), strict=True)
    ]
