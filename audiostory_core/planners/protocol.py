"""What a planner is asked for, and the one thing it does."""

from dataclasses import dataclass
from typing import Protocol

from audiostory_core.story import StoryPlan


@dataclass(frozen=True)
class Brief:
    """What a planner is given."""

    instruction: str
    duration_s: float | None = None  # None: from the text, else from the content
    language: str | None = None  # None: from the text
    longest_clip_s: float = 30.0  # the engine's limit for one sub-event, its tail excluded


class Planner(Protocol):
    """Something that turns an instruction into a plan."""

    name: str

    def plan(self, brief: Brief) -> StoryPlan:
        """Return ordered sub-events that tell the whole instruction in the asked time.

        Raises:
            BadInput: if the instruction or the duration cannot be planned.
        """
        ...
