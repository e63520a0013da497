"""Where a story goes after a step; each function returns an edge that build.py draws."""

from collections.abc import Callable

from nodes.state import StoryState

CHANGE = "change"
Edge = Callable[[StoryState], str]


def next_step(following: str, park: str = "") -> Edge:
    """Go on to `following`, to `park` if the step must wait, or to a change that was requested."""

    def route(state: StoryState) -> str:
        if state["is_changed"]:
            return CHANGE
        return park if state["waits_for"] else following

    return route


def next_sub_event(same: str, park: str, following: str) -> Edge:
    """Take the step again until every sub-event has had its turn, and park where it must wait."""

    def route(state: StoryState) -> str:
        if state["waits_for"]:
            return park
        return same if state["cursor"] < state["scenes"] else following

    return route
