"""Every node and edge of a story, on one page.

plan → review_plan → interleave (some sub-events a turn) → synthesize → check → stitch
     → review_mix → master

A step that must wait says so in `waits_for`; the graph then stops in `park`, an interrupt alone
in its node, and goes back to the same step when the run is woken. What was decided meanwhile is
in SQL, so the value of the resume says nothing. If a change was requested meanwhile, the
step says `is_changed`, and the way leads through change back to review_plan.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from graph.routing import CHANGE, next_step, next_sub_event
from nodes.change import change
from nodes.check import check
from nodes.interleave import interleave
from nodes.master import master
from nodes.plan import plan
from nodes.review import review_mix, review_plan
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.stitch import stitch
from nodes.synthesize import synthesize

Step = Callable[[StoryState, Services], Awaitable[StateUpdate]]


class Node(Protocol):
    """What LangGraph calls for a step."""

    async def __call__(self, state: StoryState, *, runtime: Runtime[Services]) -> StateUpdate:
        """Run the step."""
        ...


Graph = CompiledStateGraph[StoryState, Services, StoryState, StoryState]


def build_graph(checkpoints: BaseCheckpointSaver[str]) -> Graph:
    """Compile the state machine of a story."""
    graph = StateGraph(StoryState, Services)
    graph.add_node("plan", _node(plan))
    graph.add_node(CHANGE, _node(change))
    graph.add_node("review_plan", _node(review_plan))
    graph.add_node("park_for_plan_review", _park)
    graph.add_node("interleave", _node(interleave))
    graph.add_node("park_for_conditions", _park)
    graph.add_node("synthesize", _node(synthesize))
    graph.add_node("park_for_clips", _park)
    graph.add_node("check", _node(check))
    graph.add_node("stitch", _node(stitch))
    graph.add_node("review_mix", _node(review_mix))
    graph.add_node("park_for_mix_review", _park)
    graph.add_node("master", _node(master))

    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", next_step("review_plan"), ["review_plan", CHANGE])
    graph.add_conditional_edges(CHANGE, next_step("review_plan"), ["review_plan", CHANGE])
    graph.add_conditional_edges(
        "review_plan",
        next_step("interleave", "park_for_plan_review"),
        ["interleave", "park_for_plan_review", CHANGE],
    )
    graph.add_edge("park_for_plan_review", "review_plan")
    graph.add_conditional_edges(
        "interleave",
        next_sub_event("interleave", "park_for_conditions", "synthesize"),
        ["interleave", "park_for_conditions", "synthesize"],
    )
    graph.add_edge("park_for_conditions", "interleave")
    graph.add_conditional_edges(
        "synthesize", next_step("check", "park_for_clips"), ["check", "park_for_clips", CHANGE]
    )
    graph.add_edge("park_for_clips", "synthesize")
    graph.add_conditional_edges(
        "check", next_step("stitch", "synthesize"), ["stitch", "synthesize"]
    )
    graph.add_conditional_edges(
        "stitch", next_step("review_mix", "synthesize"), ["review_mix", "synthesize"]
    )
    graph.add_conditional_edges(
        "review_mix",
        next_step("master", "park_for_mix_review"),
        ["master", "park_for_mix_review", CHANGE],
    )
    graph.add_edge("park_for_mix_review", "review_mix")
    graph.add_edge("master", END)
    return graph.compile(checkpoints)


def _node(step: Step) -> Node:
    async def run_step(state: StoryState, *, runtime: Runtime[Services]) -> StateUpdate:
        return await step(state, runtime.context)

    return run_step


async def _park(state: StoryState) -> StateUpdate:
    interrupt(state["waits_for"])
    return {"waits_for": ""}
