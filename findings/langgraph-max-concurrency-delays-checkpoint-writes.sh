#!/usr/bin/env bash
# langgraph 1.2.24, langgraph-checkpoint-sqlite 3.1.2, Python 3.11, Linux x86-64
#
# Twenty nodes are fanned out with Send under durability="sync". With `max_concurrency` in the config, what a
# finished node returned is not written to the checkpointer while other nodes of the superstep still wait for their
# turn: the writes are queued behind the nodes in the same limited executor, first come, first served. A process
# that is killed then runs *every* finished node again when it is resumed. Without the setting each result is
# written as its node ends, and nothing finished is run twice. So a limit that was meant to spare an API or a GPU
# gives up durability inside the superstep, also under "sync".
#
# Whoever needs both: leave max_concurrency out and hold a semaphore inside the node.
#
# Output seen on 2026-11-30:
#   max_concurrency 4: 12 nodes had finished when it was killed, 12 of them ran again
#   no max_concurrency: 12 nodes had finished when it was killed, 0 of them ran again
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
	langgraph==1.2.24 langgraph-checkpoint-sqlite==3.1.2 aiosqlite==0.22.1
cat >"$folder/story.py" <<'PYTHON'
import asyncio
import operator
import os
import sys
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

CLIPS, KILLED_AFTER = 20, 12


class State(TypedDict):
    made: Annotated[list[int], operator.add]


class Scene(TypedDict):
    number: int


async def run(folder: Path, limit: int, *, dies: bool) -> None:
    diary = folder / "finished"

    async def render(scene: Scene) -> State:
        await asyncio.sleep(0.1 if scene["number"] < KILLED_AFTER else 1.0)
        with diary.open("a") as lines:
            lines.write(f"{scene['number']}\n")
        return {"made": [scene["number"]]}

    async def die() -> None:
        while not diary.exists() or len(diary.read_text().split()) < KILLED_AFTER:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.4)  # far more than a write takes
        os._exit(9)

    def fan_out(_: State) -> list[Send]:
        return [Send("render", {"number": number}) for number in range(CLIPS)]

    graph = StateGraph(State)
    graph.add_node("render", render)
    graph.add_conditional_edges(START, fan_out, ["render"])
    graph.add_edge("render", END)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        config = {"configurable": {"thread_id": "story"}} | ({"max_concurrency": limit} if limit else {})
        dying = asyncio.create_task(die()) if dies else None
        begins = None if await saver.aget_tuple(config) else {"made": []}
        await graph.compile(checkpointer=saver).ainvoke(begins, config, durability="sync")
        assert dying is None


asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), dies=sys.argv[3] == "dies"))
PYTHON
for limit in 4 0; do
	mkdir "$folder/$limit"
	"$folder/env/bin/python" "$folder/story.py" "$folder/$limit" "$limit" dies && exit 1
	finished=$(wc -l <"$folder/$limit/finished")
	"$folder/env/bin/python" "$folder/story.py" "$folder/$limit" "$limit" lives
	again=$(sort -n "$folder/$limit/finished" | uniq -d | wc -l)
	name=$([ "$limit" = 0 ] && echo "no max_concurrency" || echo "max_concurrency $limit")
	echo "$name: $finished nodes had finished when it was killed, $again of them ran again"
	[ "$finished" = 12 ] && [ "$again" = $([ "$limit" = 0 ] && echo 0 || echo 12) ]
done
