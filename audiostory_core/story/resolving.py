"""Edits with all that they ask for in plain words carried out, as the step `change` makes them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from audiostory_core.errors import BadInput
from audiostory_core.story.changes import Edits
from audiostory_core.story.editing import Draft, apply, marked, plan_of
from audiostory_core.story.edits import Delete, Edit, Insert, Merge, Move, Split, Swap
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan

ReadChange = Callable[[StoryPlan, int, str], Sequence[Edit]]
"""Returns the edits that words about the sub-event at a place come to."""

_ORDERING = (Insert, Delete, Move, Swap, Split, Merge)


def resolve(plan: StoryPlan, edits: Edits, read: ReadChange, limits: SceneLimits) -> list[Draft]:
    """Return the edited sub-events, plain words resolved by a planner.

    Args:
        plan: to be edited.
        edits: of the author.
        read: what the story's planner makes of words.
        limits: how long scenes may be, each for the engine that will make its clip.

    Raises:
        BadInput: naming the field of the edit that cannot be made, words that the planner does not
            understand among them.
    """
    drafts = apply(plan, edits.edits, total=edits.total, limits=limits)
    worded = {place: draft.change for place, draft in enumerate(drafts) if draft.change}
    if not worded:
        return drafts
    edited = plan_of(plan, drafts)
    by_words = [edit for at, change in worded.items() for edit in read(edited, at, change)]
    if len(worded) > 1 and any(isinstance(edit, _ORDERING) for edit in by_words):
        problem = "changes the order of scenes beside other changes in words"
        raise BadInput("change", "; ".join(worded.values()), problem, "Ask for it alone.")
    engines = tuple(limits.engine_of(draft.engine, draft.inherits) for draft in drafts)
    after_words = limits.model_copy(update={"engines": engines})
    made = apply(edited, by_words, total=edits.total, limits=after_words)
    return marked([_composed(drafts, draft) for draft in made], plan)


def _composed(before: Sequence[Draft], after: Draft) -> Draft:
    """Return what a draft of drafts is to the plan that those were made from."""
    at = after.inherits if after.origin is None else after.origin
    if at is None:
        return after
    was = before[at]
    return replace(
        after,
        origin=None if after.origin is None else was.origin,
        is_reworded=after.is_reworded or was.is_reworded,
        seed=after.seed if was.seed is None or after.origin is None else was.seed,
        engine=after.engine or was.engine,
        cast=after.cast or was.cast,
        voices=(*was.voices, *after.voices),
        inherits=was.inherits,
    )
