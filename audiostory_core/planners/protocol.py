"""What a planner gets, and the one thing it does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from audiostory_core.story.plan import StoryPlan, SubEvent

OnSubEvent = Callable[[int, SubEvent], None]  # gets a number from 1, and a sub-event not yet timed


@dataclass(frozen=True)
class Brief:
    """What a planner is given."""

    instruction: str
    duration_s: float | None = None  # None: from the text, else from the content
    language: str | None = None  # None: from the text
    longest_clip_s: float = 30.0  # the engine's limit for one sub-event, its tail excluded
    remarks: tuple[str, ...] = ()  # what the author said of rejected plans, oldest first
    on_sub_event: OnSubEvent | None = field(default=None, compare=False)  # of planners that write


class Planner(Protocol):
    """Something that turns an instruction into a plan."""

    name: str

    def plan(self, brief: Brief) -> StoryPlan:
        """Return ordered sub-events that cover the whole instruction in the requested time.

        Raises:
            BadInput: if the instruction or the duration cannot be planned.
        """
        ...

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event, changed as the author's plain words ask.

        The duration stays unless the words ask for another.

        Args:
            event: what is to be changed.
            change: plain words, such as "make the siren more distant".
            language: BCP 47 tag of the story.

        Raises:
            BadInput: if the words say nothing that can be changed.
        """
        ...
