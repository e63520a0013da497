"""Whether every kind of sound, asked for in words, can be told from all the others.

    python -m bench.kinds [--seeds 10]

Each kind is asked for by as many wordings as seeds (its own English phrases, plain and with words
around them), read by the lexicon, and rendered dry for four seconds. Printed: the share of wordings
read as the kind they name, the share of sounds whose nearest neighbor on simple features
(tests/support/sound_features.py), each sound left out in turn, is of the same kind, and the kinds that
are most often taken for another.
"""

import argparse
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.sound import Kind, Shape, Sound
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import features, nearest

SOUND_S = 4.0
FRAMES = ("{}", "loud {}", "{}, very soft", "slow {}", "fast {}", "heavy {}", "gentle {}")
LEXICON = Path(__file__).parent.parent / "audiostory_core/engines/foley/lexicon"
TABLES = ("nature.toml", "machines.toml", "people.toml", "music.toml")


def phrases_by_kind() -> dict[str, list[str]]:
    """Return the plain English phrases of every kind."""
    found: dict[str, list[str]] = {}
    for table in TABLES:
        for kind, languages in tomllib.loads((LEXICON / table).read_text("utf-8")).items():
            plain = [p for p in languages.get("en", []) if not set(p) & set("-=…")]
            found.setdefault(kind, []).extend(plain)
    return found


def wordings(phrases: list[str], count: int) -> list[str]:
    """Return `count` different ways of asking."""
    told = [
        FRAMES[at // max(len(phrases), 1) % len(FRAMES)].format(phrases[at % len(phrases)])
        for at in range(count)
    ]
    return list(dict.fromkeys(told))


def render(kind: Kind, shape: Shape, seed: int) -> np.ndarray:
    """Return one dry sound, [N] or [2, N]."""
    constants, texture = (np.random.Generator(np.random.PCG64([seed, k])) for k in (0, 1))
    return kind.render(Sound(int(SOUND_S * SAMPLE_RATE), constants, texture, shape=shape))


def main() -> None:
    """Print the shares and the weakest kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    lexicon, kinds, phrases = Lexicon.load(), load_kinds(), phrases_by_kind()
    rows, labels, asked, read = [], [], 0, 0
    for name, kind in sorted(kinds.items()):
        told = wordings(phrases.get(name, []), seeds) if phrases.get(name) else []
        shapes = []
        for text in told:
            asked += 1
            shape = next(
                (m.shape for m in lexicon.read(text, "en").mentions if m.kind == name), None
            )
            read += shape is not None
            shapes.append(shape or Shape())
        for seed in range(seeds):
            shape = shapes[seed % len(shapes)] if shapes else Shape()
            rows.append(features(render(kind, shape, seed)))
            labels.append(name)
    names = np.array(labels)
    taken_for = names[nearest(np.array(rows))]
    wrong = Counter(
        f"{one} for {other}" for one, other in zip(names, taken_for, strict=True) if one != other
    )
    print(f"{len(kinds)} kinds, {len(rows)} sounds, {asked} wordings")
    print(f"read as the kind they name: {read / max(asked, 1):.1%}")
    print(f"nearest neighbor of the same kind: {np.mean(names == taken_for):.1%}")
    print("most often mistaken:", ", ".join(f"{pair} ({n})" for pair, n in wrong.most_common(8)))


if __name__ == "__main__":
    main()
