"""The graph's state: scalars and keys only, for SQL is the truth and this a program counter."""

from typing import TypedDict


class StoryState(TypedDict):
    """What a checkpoint holds."""

    story_id: str
    run_id: int
    revision_id: int  # 0 until the plan is stored
    cursor: int  # sub-events passed by interleave so far
    scenes: int  # sub-events of the revision; 0 until the plan is stored
    waits_for: str  # what the run must park for; empty to go on
    is_changed: bool  # the author asked for a change, or moved to another revision: plan first


class StateUpdate(TypedDict, total=False):
    """What a step may change."""

    revision_id: int
    cursor: int
    scenes: int
    waits_for: str
    is_changed: bool


def fresh_state(story_id: str, run_id: int) -> StoryState:
    """Return the state of a run that begins, or that is rebuilt from SQL."""
    return StoryState(
        story_id=story_id,
        run_id=run_id,
        revision_id=0,
        cursor=0,
        scenes=0,
        waits_for="",
        is_changed=False,
    )
