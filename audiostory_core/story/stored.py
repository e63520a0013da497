"""A stored revision read back as the plan it was; whatever has these attributes can be a row."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from audiostory_core.story.plan import CastMember, StoryPlan, SubEvent, seconds_of


class StoredStory(Protocol):
    """What a plan takes from its story."""

    instruction: Any


class StoredRevision(Protocol):
    """What a plan takes from its revision."""

    language: Any
    samples: Any
    plan: Any  # version, reasoning, cast, directions, notes, written, say, mix


class StoredScene(Protocol):
    """What a sub-event takes from its scene version."""

    caption: Any
    tone: Any
    samples: Any
    layers: Any
    continues: Any
    stem_gain_db: Any  # None: no stem has a gain of its own here


def plan_of(
    story: StoredStory, revision: StoredRevision, sub_events: Sequence[SubEvent]
) -> StoryPlan:
    """Return the plan of a revision whose sub-events are known."""
    content: Mapping[str, Any] = revision.plan
    return StoryPlan(
        version=content.get("version", 1),
        instruction=story.instruction,
        language=revision.language,
        duration_s=seconds_of(revision.samples),
        reasoning=content["reasoning"],
        sub_events=tuple(sub_events),
        cast=tuple(CastMember.model_validate(member) for member in content["cast"]),
        directions=tuple(content["directions"]),
        notes=tuple(content["notes"]),
        written=content.get("written"),
        say=content.get("say", {}),
        mix=content.get("mix"),
    )


def scene_from_row(scene: StoredScene) -> SubEvent:
    """Return the sub-event of a stored scene version."""
    return SubEvent.model_validate(
        {
            "caption": scene.caption,
            "duration_s": seconds_of(scene.samples),
            "tone": scene.tone,
            "layers": scene.layers,
            "continues": scene.continues,
            "stem_gain_db": scene.stem_gain_db or {},
        }
    )
