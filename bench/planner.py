"""How long the planner `clauses` takes: for 1,000 words, and as the text grows.

Run from the repository root: `python -m bench.planner`. Prints the best of a few runs, in
milliseconds, and milliseconds per 1,000 characters, which should not grow.
"""

import time
from collections.abc import Mapping

from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief

_STORY = (
    "Before sunrise street sweepers pass and the first bus sighs at its stop. Pigeons scatter. "
    "A baker drags up a shutter, a radio starts inside, and a tired woman answers: "
    '"Yes, I am awake. I will be there in ten minutes." Then heavy rain falls for 12 seconds. '
)
_CHINESE = "清晨的火车站：人群嘈杂，广播响起，列车进站刹车，然后车门打开，女人说：“再见。”"
_LARGEST = 200_000  # characters


def _filled(unit: str, characters: int) -> str:
    return (unit * (characters // len(unit) + 1))[:characters]


def _texts() -> Mapping[str, str]:
    return {
        "1,000 words": " ".join(_filled(_STORY, 20_000).split()[:1_000]),
        "English 50k": _filled(_STORY, 50_000),
        "English 200k": _filled(_STORY, _LARGEST),
        "Chinese 200k": _filled(_CHINESE, _LARGEST),
        "one word 200k": "a" * _LARGEST,
        "spaces 200k": "a" + " " * (_LARGEST - 2) + "b",
        "newlines 200k": "a" + "\n" * (_LARGEST - 2) + "b",
        "digits 200k": "1" * _LARGEST,
        "times 200k": _filled("1 s ", _LARGEST),
        "clocks 200k": _filled("0:10 ", _LARGEST),
        "quotes 200k": '"' * _LARGEST,
        "open quotes 200k": "“" * _LARGEST,
        "quoted 200k": _filled('"a" ', _LARGEST),
        "apostrophes 200k": _filled("'a ", _LARGEST),
        "brackets 200k": "(" * _LARGEST,
        "commas 200k": _filled("a,", _LARGEST),
        "stops 200k": "." * _LARGEST,
        "and 200k": _filled("and ", _LARGEST),
        "colons 200k": _filled("a: ", _LARGEST),
        "cues 200k": _filled("A (b): c\n", _LARGEST),
        "items 200k": _filled("1. a\n", _LARGEST),
        "inline items 200k": _filled("1. a 2. b 3. c ", _LARGEST),
        "one-letter words 200k": _filled("a ", _LARGEST),
    }


def main() -> None:
    """Print the table."""
    planner = Clauses()
    print(f"{'text':<24}{'characters':>12}{'ms':>10}{'ms / 1k':>10}{'sub-events':>12}")
    for name, text in _texts().items():
        runs = 5 if len(text) < 60_000 else 1
        best = float("inf")
        for _ in range(runs):
            start = time.perf_counter()
            plan = planner.plan(Brief(text, duration_s=3600.0))
            best = min(best, 1000 * (time.perf_counter() - start))
        per_thousand = 1000 * best / len(text)
        counted = len(plan.sub_events)
        print(f"{name:<24}{len(text):>12,}{best:>10.1f}{per_thousand:>10.2f}{counted:>12,}")


if __name__ == "__main__":
    main()
