"""Edits of a plan: what the author may change, and the plan that comes of it.

Pure: knows no database, engine or planner. `apply` turns a plan and a list of edits into drafts,
`preview` says which clips that costs, `diff` says in words how two plans differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from audiostory_core.errors import BadInput
from audiostory_core.story.diff import diff
from audiostory_core.story.drafts import Draft, Preview, Reason, Total, preview
from audiostory_core.story.edited import edited
from audiostory_core.story.edits import (
    Delete,
    Edit,
    Insert,
    Merge,
    Move,
    Relanguage,
    Reshape,
    Reword,
    Split,
    read_edits,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.pieces import (
    BEFORE_ALL,
    Piece,
    length_of,
    pieces_of,
    resizes,
    shown,
)
from audiostory_core.story.plan import StoryPlan, SubEvent, seconds_of
from audiostory_core.story.spans import heard_layers
from audiostory_core.story.totals import balanced, check_total, share_samples

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
    "share_samples",
]


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
    pieces = pieces_of(plan)
    resized = 0
    for number, edit in enumerate(edits, 1):
        before, pieces = pieces, edited(pieces, number, edit, limits)
        if resizes(edit, before):
            resized = number
    if resized and total is Total.KEEP:
        pieces = balanced(pieces, plan.samples, limits.samples(), resized, edits[resized - 1])
    elif resized:
        check_total(length_of(pieces), resized)
    drafts = _drafts(pieces, plan)
    if language_after(plan.language, edits) != plan.language:
        drafts = [replace(draft, is_reworded=True) for draft in drafts]
    for place, (piece, draft) in enumerate(zip(pieces, drafts, strict=True), 1):
        longest = limits.samples(piece.engine, piece.inherits)
        if draft.is_reworded and draft.event.samples > longest:
            raise BadInput(
                f"edits.{piece.edit}",
                draft.event.duration_s,
                f"leaves sub-event {place} longer than the {shown(longest)} s "
                "that can be made at once",
                "Shorten or split it.",
            )
    return drafts


def language_after(language: str, edits: Iterable[Edit]) -> str:
    """Return the language of a story after edits."""
    named = [edit.language for edit in edits if isinstance(edit, Relanguage)]
    return named[-1] if named else language


def plan_of(before: StoryPlan, drafts: Sequence[Draft]) -> StoryPlan:
    """Return the plan that `apply` drafted from `before`, changes in plain words unresolved."""
    samples = sum(draft.event.samples for draft in drafts)
    fields = {name: getattr(before, name) for name in StoryPlan.model_fields}
    sub_events = tuple(draft.event for draft in drafts)
    return StoryPlan(**{**fields, "duration_s": seconds_of(samples), "sub_events": sub_events})


def _drafts(pieces: Sequence[Piece], plan: StoryPlan) -> list[Draft]:
    drafts = []
    scene = BEFORE_ALL
    for piece in pieces:
        event = piece.event
        if event.continues and piece.opens != scene:
            event = event.model_copy(update={"continues": False})
        scene = piece.closes
        settings = (piece.change, piece.seed, piece.engine, piece.cast)
        is_reworded = piece.origin is None or any(setting is not None for setting in settings)
        is_reworded |= bool(piece.voices)
        drafts.append(
            Draft(event, piece.origin, is_reworded, *settings, piece.voices, piece.inherits)
        )
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
