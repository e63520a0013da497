"""What orchestrating a scene costs beside bare LangGraph, and what checkpoints weigh.

    python -m bench.orchestration --scenes 300 --times 7 [--stems]

Processor time of this process per scene of a run that conditions and queues so many scenes and
parks for their clips, the work on conditions included, beside a trivial node taken as often on the same kind of saver (durability
sync) and on none. In turns in one process; medians. The clips are not made: what a worker does
for a clip in transactions of its own (claim, complete) is measured apart. With the tests' small
engine; `--postgres` measures on a server as the tests start it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypedDict

import aiosqlite
from langgraph.graph import END, START, StateGraph

from audiostory_core.stem import Stem
from graph.build import Graph, build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.drive import RECURSION_LIMIT, drive
from nodes.jobs.condition import make_conditions
from storage import clips, runs, work
from storage.models import WorkKind
from tests.support.studio import Studio

SCENE_S = 1.0


class Count(TypedDict):
    """State of the trivial graph."""

    cursor: int
    scenes: int


def trivial_graph(checkpoints: object) -> object:
    """Compile a node that only counts."""

    async def step(state: Count) -> dict[str, int]:
        return {"cursor": state["cursor"] + 1}

    graph = StateGraph(Count)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda s: "step" if s["cursor"] < s["scenes"] else END)
    return graph.compile(checkpointer=checkpoints)


class Bench:
    """One store and its checkpoints."""

    def __init__(self, studio: Studio, checkpoints: object, scenes: int, *, in_stems: bool) -> None:
        self.studio, self.checkpoints, self.scenes = studio, checkpoints, scenes
        self._in_stems = in_stems
        self._turn = 0
        self.thread = ""

    async def run(self) -> float:
        """Condition and queue all scenes of a story; return processor ms a scene."""
        self._turn += 1
        lines = "\n".join(f"rain {self._turn} {n}" for n in range(self.scenes))
        stems = self._stems(lines) if self._in_stems else {}
        whole_s = SCENE_S * self.scenes
        story = await self.studio.add(lines, duration_s=whole_s, seed=self._turn, **stems)
        await self.studio.offer()
        graph = build_graph(self.checkpoints)
        self.thread = f"story:{story.id}:run:1"
        return await self._timed(lambda: self._drive(graph, story.id))

    def _stems(self, lines: str) -> dict[str, object]:
        scenes = [
            {
                "caption": line,
                "duration_s": SCENE_S,
                "layers": [
                    {"kind": "ambience", "text": line},
                    {"kind": "music", "text": "a piano"},
                    {"kind": "speech", "words": line, "speaker": "Anna"},
                ],
            }
            for line in lines.splitlines()
        ]
        head = {"version": 2, "instruction": lines, "language": "en"}
        engines = {str(stem): "tone" for stem in (Stem.DIALOGUE, Stem.MUSIC, Stem.EFFECTS)}
        return {"given_plan": head | {"sub_events": scenes}, "engines": engines}

    async def _drive(self, graph: Graph, story_id: str) -> None:
        database, services = self.studio.store.database, self.studio.services
        is_conditioned = False
        while not is_conditioned:
            async with database.write() as session:
                run = await runs.claim(session, "bench", 3600.0, story_id)
            if run is not None:  # it may wait for windows of other stems
                await drive(run, graph, services)
            async with database.write() as session:
                windows = await work.claim(session, "bench", 60.0, WorkKind.CONDITION, ["tone"])
            is_conditioned = not windows
            if windows:
                await make_conditions(windows, services)

    async def trivial(self, *, is_saved: bool) -> float:
        """Take the trivial node as often; return processor ms a step."""
        self._turn += 1
        graph = trivial_graph(self.checkpoints if is_saved else None)
        entry = {"cursor": 0, "scenes": self.scenes}
        durability = {"durability": "sync"} if is_saved else {}
        config = self._config(f"trivial {self._turn}")
        return await self._timed(lambda: graph.ainvoke(entry, config, **durability))

    async def clip_transactions(self) -> float:
        """Claim and complete the queued clips, one by one; return processor ms a clip."""

        async def make_all() -> None:
            database = self.studio.store.database
            kept = {"measures": {}, "engine_report": {}, "render_s": 0.1}
            for _ in range(self.scenes):
                async with database.write() as session:
                    [clip] = await work.claim(session, "bench", 60.0, WorkKind.CLIP, ["tone"])
                async with database.write() as session:
                    await clips.complete(session, clip, file=f"{clip.key}.flac", **kept)

        return await self._timed(make_all)

    async def _timed(self, work: Callable[[], Awaitable[object]]) -> float:
        started = time.process_time()
        await work()
        return 1000 * (time.process_time() - started) / self.scenes

    def _config(self, thread: str) -> dict[str, object]:
        return {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT}


async def weigh(path: Path, thread: str) -> int:
    """Return the bytes of a thread's checkpoints and writes in an SQLite file."""
    async with aiosqlite.connect(path) as connection:
        total = 0
        for table, columns in (
            ("checkpoints", ("thread_id", "checkpoint_id", "checkpoint", "metadata")),
            ("writes", ("thread_id", "checkpoint_id", "task_id", "channel", "value")),
        ):
            length = " + ".join(f"coalesce(length({column}), 0)" for column in columns)
            query = f"SELECT coalesce(sum({length}), 0) FROM {table} WHERE thread_id = ?"
            async with connection.execute(query, (thread,)) as rows:
                total += (await rows.fetchone())[0]
    return total


async def measure(scenes: int, times: int, database_url: str | None, *, in_stems: bool) -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        studio = await Studio.make(home, database_url)
        async with open_checkpoints(studio.settings.checkpoints) as checkpoints:
            bench = Bench(studio, checkpoints, scenes, in_stems=in_stems)
            told: dict[str, list[float]] = {"run": [], "saved": [], "bare": [], "clips": []}
            for _ in range(times + 1):
                told["run"].append(await bench.run())
                told["saved"].append(await bench.trivial(is_saved=True))
                told["bare"].append(await bench.trivial(is_saved=False))
                told["clips"].append(await bench.clip_transactions())
            size = await weigh(studio.settings.checkpoints, bench.thread) if not database_url else 0
        await studio.store.database.close()
    run, saved, bare, made = (statistics.median(ms[1:]) for ms in told.values())
    print(
        f"| {'Postgres' if database_url else 'SQLite'} | {scenes:,} | {run:.2f} ms | {saved:.2f} ms "
        f"| {bare:.2f} ms | {run / saved:.1f} | {run / bare:.1f} | {made:.2f} ms "
        f"| {size / scenes:,.0f} |",
        flush=True,
    )


def main() -> None:
    """Print a row for each number of scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--postgres", metavar="URL", help="of an empty database")
    parser.add_argument("--stems", action="store_true", help="scenes of three stems")
    options = parser.parse_args()
    print(
        "| database | scenes | run, a scene | trivial, same saver | trivial, none | × saver | × bare "
        "| a clip's claim and completion | checkpoint bytes a scene |\n" + "|---" * 9 + "|"
    )
    for scenes in options.scenes:
        asyncio.run(measure(scenes, options.times, options.postgres, in_stems=options.stems))


if __name__ == "__main__":
    main()
