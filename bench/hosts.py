"""What a host adds to a clip: the same engine in a host and in this process, in turns.

    python -m bench.hosts [--times 20] [--seconds 5 25 33]

The engine is the toy of the tests, whose own work is small. Figures are the median wall time of a
clip, the mean processor time of both processes (the kernel counts it by 10 ms), and the most memory
that the parent allocates for one, as a multiple of its samples. Starting is measured alone.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from audiostory_core.engines.card import read_card
from audiostory_core.engines.host.engine import HostedEngine
from audiostory_core.engines.protocol import UNWATCHED, ClipRequest
from audiostory_core.story.plan import SAMPLE_RATE

TOY = Path(__file__).parent.parent / "tests" / "data" / "engines" / "toy"
CARD = read_card(TOY, "the tests")
BARE = (sys.executable, "-I", "-S")


@dataclass
class Figures:
    """Seconds of each clip."""

    wall_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)

    def row(self) -> str:
        """Return the median of the one and the mean of the other, in milliseconds."""
        wall_s, processor_s = statistics.median(self.wall_s), statistics.mean(self.processor_s)
        return f"{wall_s * 1000:.1f} ms | {processor_s * 1000:.1f} ms"


def make_in_process() -> Callable[[ClipRequest], np.ndarray]:
    """Return what makes a clip here, as an engine in process would: into one array."""
    spec = importlib.util.spec_from_file_location("toy", TOY / "engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    engine = module.Toy()

    def make(request: ClipRequest) -> np.ndarray:
        (clip,) = engine.synthesize([vars(request)], UNWATCHED)
        return np.array([np.frombuffer(channel, "<f4") for channel in clip["channels"]])

    return make


def measure(make: Callable[[ClipRequest], Any], figures: Figures, request: ClipRequest) -> None:
    """Make a clip and note what it took."""
    wall, processor = time.perf_counter(), processor_s()
    make(request)
    figures.wall_s.append(time.perf_counter() - wall)
    figures.processor_s.append(processor_s() - processor)


def processor_s() -> float:
    """Return the processor time of this process and its children that live."""
    own = os.times()
    children = psutil.Process().children(recursive=True)
    return own.user + own.system + sum(sum(child.cpu_times()[:2]) for child in children)


def copies_of(engine: HostedEngine, request: ClipRequest) -> float:
    """Return the most memory that is allocated here for a clip, in sizes of its samples."""
    tracemalloc.start()
    (clip,) = engine.synthesize([request])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / clip.waveform.nbytes


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 25.0, 33.0])
    args = parser.parse_args()

    starts = []
    for _ in range(args.times):
        engine = HostedEngine(CARD, BARE, dict(os.environ))
        begun = time.perf_counter()
        engine.synthesize([ClipRequest("a", (), 10, 1, "en", parameters=CARD.defaults)])
        starts.append(time.perf_counter() - begun)
        engine.close()
    print(f"start of a host: {statistics.median(starts) * 1000:.0f} ms")

    print("| clip | in process: wall | processor | in a host: wall | processor | copies |")
    print("|---|---|---|---|---|---|")
    engine, here = HostedEngine(CARD, BARE, dict(os.environ)), make_in_process()
    for seconds in args.seconds:
        samples = round(seconds * SAMPLE_RATE)
        request = ClipRequest("a", (), samples, 1, "en", parameters=CARD.defaults)
        hosted, direct = Figures(), Figures()
        for _ in range(args.times):
            measure(here, direct, request)
            measure(lambda request: engine.synthesize([request]), hosted, request)
        copies = copies_of(engine, request)
        print(f"| {seconds:g} s | {direct.row()} | {hosted.row()} | {copies:.2f} |")
    engine.close()


if __name__ == "__main__":
    main()
