"""What a planner gets, and the one thing it does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import StoryPlan, SubEvent
from audiostory_core.story.wordless import edits_between

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


@runtime_checkable
class ReadsRemarks(Protocol):
    """A planner that reads remarks as edits of the plan as it stands."""

    def edits(self, plan: StoryPlan, remark: str, at: int | None = None) -> tuple[Edit, ...]:
        """Return the edits that a remark asks for.

        Args:
            plan: as it is.
            remark: plain words.
            at: place of the scene that it is about; None: of the story, or it names scenes itself.

        Raises:
            BadInput: if a word of it means nothing, or what it asks for cannot be done.
        """
        ...


def read_change(planner: Planner, plan: StoryPlan, at: int, change: str) -> tuple[Edit, ...]:
    """Return the edits that a change of one scene in plain words comes to, by whichever planner.

    Raises:
        BadInput: if the words say nothing that can be changed.
    """
    if isinstance(planner, ReadsRemarks):
        return planner.edits(plan, change, at)
    event = plan.sub_events[at]
    return tuple(edits_between(event, planner.revise(event, change, plan.language), at + 1))
