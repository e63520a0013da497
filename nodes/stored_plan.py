"""A stored revision read back as the plan it was."""

from collections.abc import Sequence

from audiostory_core.story import CastMember, StoryPlan, SubEvent, seconds_of
from storage.models import Revision, SceneVersion, Story


def plan_of(story: Story, revision: Revision, sub_events: Sequence[SubEvent]) -> StoryPlan:
    """Return the plan of a revision whose sub-events are known."""
    return StoryPlan(
        instruction=story.instruction,
        language=revision.language,
        duration_s=seconds_of(revision.samples),
        reasoning=revision.plan["reasoning"],
        sub_events=tuple(sub_events),
        cast=tuple(CastMember.model_validate(member) for member in revision.plan["cast"]),
        directions=tuple(revision.plan["directions"]),
        notes=tuple(revision.plan["notes"]),
    )


def sub_event_of(scene: SceneVersion) -> SubEvent:
    """Return a stored scene version as the plan has it."""
    return SubEvent.model_validate(
        {
            "caption": scene.caption,
            "duration_s": seconds_of(scene.samples),
            "tone": scene.tone,
            "layers": scene.layers,
            "continues": scene.continues,
        }
    )
