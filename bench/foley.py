"""How fast foley is, and a picture of every sound it makes.

python bench/foley.py                   a table: seconds of sound made in a second of one core
python bench/foley.py --steps           how often it can be stopped, and whether its progress is even
python bench/foley.py --sheet out.png   the spectrograms of all kinds on one sheet
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy import signal

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.progress import followed
from audiostory_core.engines.foley.scene.beds import HOP, OVERLAP
from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.story.plan import SAMPLE_RATE, SoundKind, SoundLayer, SpeechLayer

SHEET_S = 6.0
COLUMNS = 10
SCENE_S, TAIL_S = 30.0, 3.0
SCENES = {
    "one bed": ("rain",),
    "bed, four events": ("rain", "three knocks", "a dog barks", "an approaching truck", "a bell"),
    "two beds, hall": ("a murmuring crowd in a station and rain", "a steam train drives away"),
    "music": ("a lullaby on a music box",),
}
BEDS = ("rain", "a murmuring crowd", "waves")
LINE = "The rain had not stopped for days, and the captain walked along the quay once more. "
BLOCK = HOP + OVERLAP  # samples of a bed that are made at a time
SHOWN = 10  # kinds in the table of steps


def dry(kind: Kind, samples: int, seed: int = 1) -> dsp.Array:
    """Return one sound of a kind as it is made, [N] or [2, N]."""
    constants, texture = (np.random.Generator(np.random.PCG64([seed, k])) for k in (0, 1))
    return kind.render(Sound(samples, constants, texture))


def speed(make: Callable[[], object], duration_s: float, rounds: int = 3) -> float:
    """Return seconds of sound a second; the best of some rounds, after one to warm up."""
    make()
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        make()
        spent.append(time.process_time() - began)
    return duration_s / min(spent)


def scene_request(texts: tuple[str, ...], seed: int) -> ClipRequest:
    """Return a scene whose first text is its ambience and whose others happen."""
    kinds = [SoundKind.AMBIENCE, *[SoundKind.SFX] * (len(texts) - 1)]
    return ClipRequest(
        caption=", ".join(texts),
        layers=tuple(SoundLayer(kind=k, text=t) for k, t in zip(kinds, texts, strict=True)),
        samples=dsp.seconds(SCENE_S + TAIL_S),
        seed=seed,
        language="en",
        parameters={"tail_samples": dsp.seconds(TAIL_S)},
    )


def print_speeds() -> None:
    """Print × real time of whole scenes and of every kind, slowest first."""
    foley = Foley()
    for name, texts in SCENES.items():
        ratio = speed(lambda texts=texts: foley.synthesize([scene_request(texts, 1)]), SCENE_S)
        print(f"{ratio:8.0f} ×  scene: {name}")
    foley.close()
    samples = dsp.seconds(9.0)
    ratios = {
        kind.name: speed(lambda kind=kind: dry(kind, samples), dry(kind, samples).shape[-1] / 44100)
        for kind in load_kinds().values()
    }
    for name, ratio in sorted(ratios.items(), key=lambda pair: pair[1]):
        print(f"{ratio:8.0f} ×  {name}")


@dataclass
class Stopwatch:
    """Notes after how much work of its thread it is told what; implements `ProgressListener`."""

    at_s: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)

    def step(self, index: int, done: float) -> None:
        """Note it."""
        self.at_s.append(time.thread_time())  # not disturbed by what else the machine does
        self.done.append(done)

    @property
    def longest_gap_s(self) -> float:
        """Most work between two steps, in seconds of one core."""
        return float(np.max(np.diff(self.at_s)))

    @property
    def unevenness(self) -> float:
        """Most by which the share that was told differs from the share of the work, 0 … 1."""
        spent = (np.array(self.at_s) - self.at_s[0]) / (self.at_s[-1] - self.at_s[0])
        return float(np.max(np.abs(spent - self.done)))

    def row(self) -> str:
        """Return a line of the table."""
        return (
            f"{1000 * self.longest_gap_s:6.0f} ms {len(self.at_s):6d} steps in "
            f"{self.at_s[-1] - self.at_s[0]:5.2f} s, uneven by {self.unevenness:4.0%}"
        )


def long_scenes() -> dict[str, ClipRequest]:
    """Return scenes of 33 s that take long to make."""
    samples = dsp.seconds(SCENE_S + TAIL_S)
    requests = {name: scene_request(texts, 1) for name, texts in SCENES.items()}
    beds = tuple(SoundLayer(kind=SoundKind.AMBIENCE, text=text) for text in BEDS)
    for name, words, manner in (
        ("three beds, music, talk", LINE * 6, None),
        ("three beds, music, 10,000 characters", LINE * 120, None),
        ("three beds, music, 10,000 in a whisper", LINE * 120, "whispering"),
        ("three beds, music, 10,000 by a robot", LINE * 120, "robotic"),
    ):
        talk = SpeechLayer(words=words, manner=manner)
        music = SoundLayer(kind=SoundKind.MUSIC, text="tense music")
        requests[name] = ClipRequest(name, (*beds, talk, music), samples, 1, "en")
    return requests


def print_steps() -> None:
    """Print the most work between two steps of scenes and of kinds, and how even they are."""
    foley = Foley()
    for name, request in long_scenes().items():
        watch = Stopwatch()
        foley.synthesize([request], watch)
        print(f"{watch.row()}  scene: {name}")
    foley.close()
    watches = {}
    for kind in load_kinds().values():
        watches[kind.name] = Stopwatch()
        with followed(watches[kind.name], 0):
            dry(kind, BLOCK if kind.role is Role.BED else dsp.seconds(SCENE_S + TAIL_S))
    slowest = sorted(watches.items(), key=lambda pair: pair[1].longest_gap_s, reverse=True)
    for name, watch in slowest[:SHOWN]:
        print(f"{1000 * watch.longest_gap_s:6.0f} ms {len(watch.at_s):6d} steps  {name}")


def draw_sheet(path: Path) -> None:
    """Draw a spectrogram of each kind, 0 to 6 s, 60 Hz to 16 kHz, sorted by family."""
    kinds = sorted(load_kinds().values(), key=lambda kind: (kind.family, kind.name))
    rows = -(-len(kinds) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2.2 * COLUMNS, 1.7 * rows))
    for panel in axes.flat[len(kinds) :]:
        panel.axis("off")
    for panel, kind in zip(axes.flat, kinds, strict=False):
        _draw(panel, kind)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=90)


def _draw(panel: plt.Axes, kind: Kind) -> None:
    waveform = dry(kind, dsp.seconds(SHEET_S))
    mono = waveform if waveform.ndim == 1 else waveform.mean(axis=0)
    canvas = np.zeros(dsp.seconds(SHEET_S))
    dsp.place(canvas, mono[: canvas.size], 0)
    hertz, at_s, power = signal.spectrogram(canvas, SAMPLE_RATE, nperseg=2048, noverlap=1024)
    decibels = 10 * np.log10(power + 1e-20)
    top = decibels.max()
    panel.pcolormesh(at_s, hertz, decibels, vmin=top - 80, vmax=top, cmap="magma", rasterized=True)
    panel.set(yscale="log", ylim=(60, 16_000), xlim=(0, SHEET_S), xticks=[], yticks=[])
    panel.minorticks_off()
    mark = {Role.BED: "≈", Role.SUSTAINED: "—", Role.ONESHOT: "·", Role.MUSIC: "♪"}[kind.role]
    panel.set_title(f"{kind.family}: {kind.name} {mark}", fontsize=8)


def main() -> None:
    """Print the table, or draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", action="store_true", help="print steps instead of speeds")
    parser.add_argument("--sheet", type=Path, help="draw all kinds to this PNG file instead")
    arguments = parser.parse_args()
    if arguments.sheet:
        draw_sheet(arguments.sheet)
    elif arguments.steps:
        print_steps()
    else:
        print_speeds()


if __name__ == "__main__":
    main()
