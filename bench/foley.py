"""How fast foley is, and a picture of every sound it makes.

python bench/foley.py                   a table: seconds of sound made in a second of one core
python bench/foley.py --sheet out.png   the spectrograms of all kinds on one sheet
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy import signal

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.story import SAMPLE_RATE, SoundKind, SoundLayer

SHEET_S = 6.0
COLUMNS = 10
SCENE_S, TAIL_S = 30.0, 3.0
SCENES = {
    "one bed": ("rain",),
    "bed, four events": ("rain", "three knocks", "a dog barks", "an approaching truck", "a bell"),
    "two beds, hall": ("a murmuring crowd in a station and rain", "a steam train drives away"),
    "music": ("a lullaby on a music box",),
}


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
    parser.add_argument("--sheet", type=Path, help="draw all kinds to this PNG file instead")
    arguments = parser.parse_args()
    if arguments.sheet:
        draw_sheet(arguments.sheet)
    else:
        print_speeds()


if __name__ == "__main__":
    main()
