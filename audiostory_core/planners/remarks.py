"""A remark on a whole story as the change that it comes to."""

from audiostory_core.planners.protocol import ReadsRemarks
from audiostory_core.story.changes import Edits
from audiostory_core.story.editing import Total
from audiostory_core.story.edits import Edit, Reword
from audiostory_core.story.plan import StoryPlan


def edits_of_remark(planner: ReadsRemarks, plan: StoryPlan, remark: str, *, is_kept: bool) -> Edits:
    """Return the edits that a remark asks for.

    Args:
        planner: reads it.
        plan: of the story as it is.
        remark: plain words.
        is_kept: whether the story's total stays, except where the remark is about it.

    Raises:
        BadInput: if it asks for nothing that can be done.
    """
    edits = planner.edits(plan, remark)
    total = Total.KEEP if is_kept and not is_of_total(plan, edits) else Total.MOVE
    return Edits.model_construct(edits=tuple(edits), total=total, follow=False)


def is_of_total(plan: StoryPlan, edits: tuple[Edit, ...]) -> bool:
    """Tell whether edits set the length of every scene, and so of the story."""
    timed = {e.sub_event for e in edits if isinstance(e, Reword) and e.duration_s is not None}
    return len(timed) == len(plan.sub_events)
