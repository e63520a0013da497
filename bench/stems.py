"""What a story costs in three stems, beside the same plan as composite clips, by turns.

    python -m bench.stems [--minutes 10] [--times 3]

Every scene of the plan lasts 15 s and has a bed, music, a line and a sound, all made by foley. Each
story is made by a command of its own in an empty data folder; figures are medians.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

BEDS = ("rain on a tin roof", "wind in trees", "a busy street", "fire crackling", "sea waves")
SOUNDS = ("three knocks on a door", "a dog barks", "footsteps on gravel", "a car passes")
MUSIC = ("slow piano", "soft strings", "a guitar")
SCENE_S = 15.0


def plan_of(scenes: int) -> dict[str, Any]:
    """Return a plan in which every scene has something of each stem."""
    parts = islice(zip(cycle(BEDS), cycle(MUSIC), cycle(SOUNDS), strict=False), scenes)
    return {
        "version": 2,
        "instruction": "a bench",
        "language": "en",
        "cast": [{"name": "Anna", "description": "a woman"}],
        "sub_events": [
            {
                "caption": f"scene {number}",
                "duration_s": SCENE_S,
                "layers": [
                    {"kind": "ambience", "text": bed},
                    {"kind": "music", "text": music},
                    {
                        "kind": "speech",
                        "words": f"This is what she said on day {number}, and nobody answered.",
                        "speaker": "Anna",
                    },
                    {"kind": "sfx", "text": sound},
                ],
            }
            for number, (bed, music, sound) in enumerate(parts, 1)
        ],
    }


def measure(plan: Path, *options: str) -> tuple[float, float]:
    """Make a story; return seconds of wall and of processor time, all its processes together."""
    with tempfile.TemporaryDirectory() as home:
        target = Path(home) / "story.wav"
        command = [sys.executable, "-m", "api", "create", "--plan", plan, "--seed", "4"]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(
            [*command, "-o", target, *options],
            env=os.environ | {"AUDIOSTORY_HOME": home},
            check=True,
            capture_output=True,
        )
        wall_s = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row for wall and one for processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(plan_of(round(60 * given.minutes / SCENE_S))), "utf-8")
        rounds = [(measure(plan), measure(plan, "--effects", "foley")) for _ in range(given.times)]
    print("| | composite, s | three stems, s | ratio |\n|---|---|---|---|")
    for row, name in enumerate(("wall", "processor time")):
        one, three = (statistics.median(pair[way][row] for pair in rounds) for way in (0, 1))
        print(f"| {name} | {one:.1f} | {three:.1f} | {three / one:.2f} |")


if __name__ == "__main__":
    main()
