"""Edits with all that they ask for in plain words carried out, as the step `change` makes them."""

from collections.abc import Callable
from dataclasses import replace

from audiostory_core.story.changes import Edits
from audiostory_core.story.editing import Draft, apply, marked, plan_of
from audiostory_core.story.edits import Reword
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan, SubEvent

Revise = Callable[[SubEvent, str, str], SubEvent]  # `Planner.revise`


def resolve(plan: StoryPlan, edits: Edits, revise: Revise, limits: SceneLimits) -> list[Draft]:
    """Return the edited sub-events, plain words resolved by a planner.

    Args:
        plan: to be edited.
        edits: of the author.
        revise: of the story's planner.
        limits: how long scenes may be, each for the engine that will make its clip.

    Raises:
        BadInput: naming the field of the edit that cannot be made, words that the planner does not
            understand among them.
    """
    drafts = apply(plan, edits.edits, total=edits.total, limits=limits)
    if not any(draft.change for draft in drafts):
        return drafts
    worded = [
        replace(draft, event=revise(draft.event, draft.change, plan.language))
        if draft.change
        else draft
        for draft in drafts
    ]
    worded = marked(worded, plan)
    longer = [
        Reword(sub_event=place, duration_s=after.event.duration_s)
        for place, (draft, after) in enumerate(zip(drafts, worded, strict=True), 1)
        if draft.event.samples != after.event.samples
    ]
    if not longer:
        return worded
    timed = [
        replace(after, event=after.event.model_copy(update={"duration_s": draft.event.duration_s}))
        for draft, after in zip(drafts, worded, strict=True)
    ]
    engines = tuple(limits.engine_of(draft.engine, draft.inherits) for draft in drafts)
    limits = limits.model_copy(update={"engines": engines})
    balanced = apply(plan_of(plan, timed), longer, total=edits.total, limits=limits)
    return [
        replace(after, event=fitted.event, is_reworded=after.is_reworded or fitted.is_reworded)
        for after, fitted in zip(worded, balanced, strict=True)
    ]
