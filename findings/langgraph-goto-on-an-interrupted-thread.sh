#!/usr/bin/env bash
# langgraph 1.2.24, langgraph-checkpoint 4.3.2, Python 3.11, Linux x86-64
#
# A thread rests in an interrupt ("review the mix"). Sending it somewhere else, Command(goto=Send("clip", ...)) to have
# one clip made again, does not leave the interrupt: the reviewing node stays a task of the *same* superstep as the new
# clip. So the clip is made, the review interrupts again with the same id, and the step after the clip (stitch) waits
# for both. The next Command(resume=...) is therefore taken as the answer to a mix that does not have the new clip;
# only then is the mix stitched, and the review asks once more.
#
# Whoever wants "make this again, then review": let the resume value say so, and route from the reviewing node.
#
# Output seen on 2026-11-30:
#   begun:  clip 0, clip 1, clip 2, stitch [0, 1, 2], review
#   goto:   clip 9, review
#   resume: review, approved, stitch [0, 1, 2, 9], review
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check langgraph==1.2.24 langgraph-checkpoint==4.3.2
"$folder/env/bin/python" - <<'PYTHON'
import operator
from typing import Annotated, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

diary: list[str] = []


class State(TypedDict):
    clips: Annotated[list[int], operator.add]


class Scene(TypedDict):
    number: int


def clip(scene: Scene) -> State:
    diary.append(f"clip {scene['number']}")
    return {"clips": [scene["number"]]}


def stitch(state: State) -> None:
    diary.append(f"stitch {sorted(state['clips'])}")


def review(state: State) -> None:
    diary.append("review")
    interrupt("accept the mix?")
    diary.append("approved")


graph = StateGraph(State)
graph.add_node("clip", clip)
graph.add_node("stitch", stitch)
graph.add_node("review", review)
graph.add_conditional_edges(START, lambda _: [Send("clip", {"number": n}) for n in range(3)], ["clip"])
graph.add_edge("clip", "stitch")
graph.add_edge("stitch", "review")
graph.add_edge("review", END)
story = graph.compile(checkpointer=InMemorySaver())
thread = {"configurable": {"thread_id": "story"}}


def diary_of(command: Command | dict) -> list[str]:
    diary.clear()
    story.invoke(command, thread, durability="sync")
    return sorted(diary[:3]) + diary[3:] if isinstance(command, dict) else list(diary)


begun = diary_of({"clips": []})
went = diary_of(Command(goto=Send("clip", {"number": 9})))
resumed = diary_of(Command(resume=True))
for name, lines in (("begun: ", begun), ("goto:  ", went), ("resume:", resumed)):
    print(name, ", ".join(lines))
assert begun == ["clip 0", "clip 1", "clip 2", "stitch [0, 1, 2]", "review"]
assert sorted(went) == ["clip 9", "review"], "stitch follows the new clip now"
assert resumed == ["review", "approved", "stitch [0, 1, 2, 9]", "review"], "the old review is left now"
PYTHON
