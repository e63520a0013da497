"""Whole stories through the command line: wall time, processor time and memory.

    python -m bench.story --minutes 0.585 10 120
    python -m bench.story --minutes 10 --cores 1 2
    python -m bench.story --minutes 10 --cores 2 --against ../other-checkout --times 5

Each story is made by `audiostory create` in a data folder of its own that is removed afterwards.
Wall time is that of the whole command; processor time and memory are those of the process and all
it starts. Memory is the largest sum of proportional set sizes, sampled 5 times a second: a page
that two processes share counts half for either. Sampling takes 0.7 s of a core in 12 s and stops
each process meanwhile, so that memory is measured in a run of its own. × real time is
the story's length over the wall time. With `--cores` the command may use so many cores only. With
`--against` a checkout with an environment of its own makes the same story in turn, and medians are
shown; the last row has the ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import psutil

HERE = Path(__file__).parent.parent
INSTRUCTIONS = HERE / "tests" / "data" / "instructions.jsonl"
SAMPLE_S = 0.2


@dataclass(frozen=True)
class Row:
    """What one story took."""

    story_s: float
    scenes: float
    wall_s: float
    processor_s: float
    real_time: float
    peak_mb: float
    disk_mb: float


def instruction_for(minutes: float) -> str:
    """Return the fire truck for short stories, the day in a city for long ones."""
    wanted = "fire-truck" if minutes < 2 else "long"
    lines = (json.loads(line) for line in INSTRUCTIONS.read_text("utf-8").splitlines())
    return next(line["instruction"] for line in lines if line["id"] == wanted)


def measure(
    minutes: float, cores: int | None = None, checkout: Path = HERE, *, weighs: bool = False
) -> Row:
    """Make one story with a checkout; its memory is 0 unless it is weighed."""
    python = sys.executable if checkout == HERE else str(checkout / ".venv" / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            python, "-m", "api", "create", instruction_for(minutes),
            "--duration", str(60 * minutes), "--seed", "1", "--output", f"{folder}/story.wav",
            "--json",
        ]  # fmt: skip
        report = Path(folder) / "report.json"
        environment = os.environ | {"AUDIOSTORY_HOME": f"{folder}/home"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its byte code
        before, started = os.times(), time.perf_counter()
        with report.open("wb") as output:
            child = subprocess.Popen(
                command,
                cwd=checkout,
                env=environment,
                stdout=output,
                preexec_fn=None if cores is None else partial(_keep_to, cores),
            )
            peak = 0
            while weighs and child.poll() is None:
                peak = max(peak, _memory_bytes(child.pid))
                time.sleep(SAMPLE_S)
            child.wait()
        wall_s, after = time.perf_counter() - started, os.times()
        story = json.loads(report.read_text("utf-8"))
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return Row(
        story_s=story["duration_s"],
        scenes=len(story["scenes"]),
        wall_s=wall_s,
        processor_s=after.children_user
        + after.children_system
        - before.children_user
        - before.children_system,
        real_time=story["duration_s"] / wall_s,
        peak_mb=peak / 1e6,
        disk_mb=disk / 1e6,
    )


def _keep_to(cores: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _memory_bytes(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_proportional_bytes(member) for member in family)


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it has just ended
        return 0


def interleave(makers: Sequence[Callable[..., Row]], times: int) -> list[Row]:
    """Have each maker make its story so many times, in turns; return the medians of each.

    Each makes it once more, for its memory.
    """
    rows: list[list[Row]] = [[] for _ in makers]
    for _ in range(times):
        for made, make in zip(rows, makers, strict=True):
            made.append(make())
    medians = [
        Row(**{name: median(asdict(row)[name] for row in made) for name in asdict(made[0])})
        for made in rows
    ]
    return [
        replace(row, peak_mb=make(weighs=True).peak_mb)
        for row, make in zip(medians, makers, strict=True)
    ]


def show(name: str, row: Row) -> None:
    """Print a row of the table."""
    print(
        f"| {name} | {row.story_s:g} s | {row.scenes:g} | {row.wall_s:.1f} s "
        f"| {row.processor_s:.1f} s | {row.real_time:.0f} | {row.peak_mb:.0f} MB "
        f"| {row.disk_mb:.0f} MB |",
        flush=True,
    )


def main() -> None:
    """Print a row per story, number of cores and checkout."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.585, 10.0])
    parser.add_argument("--cores", type=int, nargs="+", default=[None])
    parser.add_argument("--against", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--times", type=int, default=1, help="timed, of which the median is shown")
    wanted = parser.parse_args()
    checkouts = [HERE] if wanted.against is None else [wanted.against.resolve(), HERE]
    print("| what | story | scenes | wall | processor | × real time | peak memory | disk |")
    print("|---|---|---|---|---|---|---|---|")
    for minutes in wanted.minutes:
        cases = [(cores, checkout) for cores in wanted.cores for checkout in checkouts]
        rows = interleave([partial(measure, minutes, *case) for case in cases], wanted.times)
        for (cores, checkout), row in zip(cases, rows, strict=True):
            where = "this" if checkout == HERE else checkout.name
            show(where if cores is None else f"{where}, {cores} cores", row)
        if wanted.against is not None:
            for other, this in zip(rows[::2], rows[1::2], strict=True):
                print(
                    f"| ratio | | | {other.wall_s / this.wall_s:.2f} × faster "
                    f"| {this.processor_s / other.processor_s:.2f} × "
                    f"| | {this.peak_mb / other.peak_mb:.2f} × | |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
