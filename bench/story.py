"""Whole stories through the command line: wall time and memory.

    python -m bench.story --minutes 0.585 10 120

Each story is made by `audiostory create` in a data folder of its own that is removed afterwards.
Memory is the largest sum of resident sizes over the process and its helpers, sampled 20 times a
second. × real time is the story's length over the wall time of the whole command.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

INSTRUCTIONS = Path(__file__).parent.parent / "tests" / "data" / "instructions.jsonl"
SAMPLE_S = 0.05


def instruction_for(minutes: float) -> str:
    """Return the fire truck for short stories, the day in a city for long ones."""
    wanted = "fire-truck" if minutes < 2 else "long"
    lines = (json.loads(line) for line in INSTRUCTIONS.read_text("utf-8").splitlines())
    return next(line["instruction"] for line in lines if line["id"] == wanted)


def measure(minutes: float) -> dict[str, float]:
    """Make one story; return its wall seconds and the peak of memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "api", "create", instruction_for(minutes),
            "--duration", str(60 * minutes), "--seed", "1", "--output", f"{folder}/story.wav",
            "--json",
        ]  # fmt: skip
        environment = os.environ | {"AUDIOSTORY_HOME": f"{folder}/home"}
        started = time.perf_counter()
        told_file = Path(folder) / "told.json"
        with told_file.open("wb") as told_to:
            child = subprocess.Popen(command, env=environment, stdout=told_to)
            peak = 0
            while child.poll() is None:
                peak = max(peak, _resident_bytes(child.pid))
                time.sleep(SAMPLE_S)
        wall_s = time.perf_counter() - started
        told = json.loads(told_file.read_text("utf-8"))
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "story_s": told["duration_s"],
        "scenes": len(told["scenes"]),
        "wall_s": wall_s,
        "real_time": told["duration_s"] / wall_s,
        "peak_mb": peak / 1e6,
        "disk_mb": disk / 1e6,
    }


def _resident_bytes(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    """Print a row per story."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.585, 10.0])
    print("| story | scenes | wall | × real time | peak memory | disk |")
    print("|---|---|---|---|---|---|")
    for minutes in parser.parse_args().minutes:
        row = measure(minutes)
        print(
            f"| {row['story_s']:g} s | {row['scenes']} | {row['wall_s']:.1f} s "
            f"| {row['real_time']:.0f} | {row['peak_mb']:.0f} MB | {row['disk_mb']:.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
