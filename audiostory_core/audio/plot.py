"""A picture of a mix: captions, waveform, loudness over time, scene boundaries and seams.

Imports scipy and matplotlib: for the command line and workers only. Draws through matplotlib's
objects, never pyplot, which keeps global state.
"""

import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from audiostory_core.audio.export import whole_file, write_all
from audiostory_core.audio.loudness import (
    BIN,
    MOMENTARY_BINS,
    SHORT_TERM_BINS,
    bin_energies,
    measure_blocks,
    sliding_lufs,
)
from audiostory_core.audio.mastering import TARGET_LUFS
from audiostory_core.audio.mixdown import Mixdown
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE, seconds_of

SUFFIXES = (".png",)
WIDTH_IN, HEIGHT_IN, DPI = 16.0, 7.0, 120
COLUMNS = int(WIDTH_IN * DPI)
QUIETEST_LUFS = -60.0
CAPTION_PT = 8.0
CAPTION_LINES = 6
NARROWEST = 5  # characters; a narrower scene shows its number alone
LETTERS_IN = 0.078  # width of a letter at CAPTION_PT, in inches
SANS = "DejaVu Sans"  # ships with matplotlib
WIDE_FONTS = (  # with Chinese and Japanese; the first that is installed is used
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)


def draw(
    mixdown: Mixdown,
    starts_s: Sequence[float],
    captions: Sequence[str],
    seams_s: Sequence[tuple[float, float]],
    destination: Path,
    title: str = "",
) -> None:
    """Draw a mix to a PNG file, reading it once.

    Args:
        mixdown: as it would be heard.
        starts_s: of each scene, from 0.
        captions: of each scene, in any script; what no font can show becomes □.
        seams_s: start and length of each seam.
        destination: ends in .png; appears complete or not at all.
        title: above the picture.

    Raises:
        BadInput: named `plot`, if the file cannot be written.
        StudioError: if the mix cannot be read.
    """
    envelope = _Envelope(mixdown.samples)
    energies = bin_energies([measure_blocks(envelope.watch(mixdown.blocks()))])
    length_s = seconds_of(mixdown.samples)
    fonts = _fonts()

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    telling, waveform, loudness = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 2, 1.6))
    if title:
        shown = _showable(title, fonts)[:140]
        telling.set_title(shown, family=list(fonts), parse_math=False, loc="left")
    _draw_captions(telling, [*starts_s, length_s], captions, fonts)
    _draw_waveform(waveform, envelope, length_s)
    _draw_loudness(loudness, energies)
    for axes in (waveform, loudness):
        for start_s, overlap_s in seams_s:
            axes.axvspan(start_s, start_s + overlap_s, color="tab:orange", alpha=0.25, lw=0)
        for start_s in starts_s[1:]:
            axes.axvline(start_s, color="black", lw=0.6, alpha=0.6)
    loudness.set_xlim(0, length_s)
    loudness.xaxis.set_major_formatter(FuncFormatter(_clock))
    loudness.set_xlabel("time (orange: seams)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with whole_file(destination, SUFFIXES, "plot") as file:
        write_all(file, picture.getvalue())


class _Envelope:
    """Lowest and highest value of each column of the picture, over both channels."""

    def __init__(self, samples: int) -> None:
        self.width = max(-(-samples // COLUMNS), 1)
        columns = -(-samples // self.width)
        self.low = np.zeros(columns, np.float32)
        self.high = np.zeros(columns, np.float32)

    def watch(self, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
        at = 0
        for block in blocks:
            starts = np.arange(-(at % self.width), block.shape[1], self.width).clip(0)
            columns = slice(at // self.width, at // self.width + len(starts))
            for kept, combine in ((self.low, np.minimum), (self.high, np.maximum)):
                extreme = combine.reduceat(combine.reduce(block, axis=0), starts)
                kept[columns] = combine(kept[columns], extreme)
            yield block
            at += block.shape[1]


def _draw_captions(
    axes: Axes, edges_s: Sequence[float], captions: Sequence[str], fonts: dict[str, set[int]]
) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(bottom=False)
    inches_per_s = 0.92 * WIDTH_IN / edges_s[-1]
    spans = zip(edges_s[:-1], edges_s[1:], captions, strict=True)
    crowded = len(captions) > COLUMNS // 24
    for index, (start_s, stop_s, caption) in enumerate(spans):
        axes.axvspan(start_s, stop_s, color="tab:blue", alpha=0.14 if index % 2 else 0.06, lw=0)
        room = int((stop_s - start_s) * inches_per_s / LETTERS_IN)
        if crowded and room < NARROWEST:
            continue
        words = str(index + 1)
        if room >= NARROWEST:
            words += " " + _wrapped(_showable(caption, fonts), room - 1, len(words) + 1)
        axes.text(
            start_s + 0.05 / inches_per_s,
            0.96,
            words,
            fontsize=CAPTION_PT,
            family=list(fonts),
            va="top",
            clip_on=True,
            parse_math=False,
        )


def _draw_waveform(axes: Axes, envelope: _Envelope, length_s: float) -> None:
    at = (np.arange(len(envelope.low)) + 0.5) * envelope.width / SAMPLE_RATE
    axes.fill_between(
        np.minimum(at, length_s), envelope.low, envelope.high, color="tab:blue", lw=0.3
    )
    axes.set_ylim(-1, 1)
    axes.set_ylabel("waveform")
    axes.grid(axis="y", alpha=0.3)


def _draw_loudness(axes: Axes, energies: NDArray[np.float64]) -> None:
    for bins, label, width in (
        (MOMENTARY_BINS, "momentary (400 ms)", 0.5),
        (SHORT_TERM_BINS, "short-term (3 s)", 1.5),
    ):
        values = np.maximum(sliding_lufs(energies, bins), QUIETEST_LUFS - 10)
        at = (np.arange(len(values)) + bins / 2) * BIN / SAMPLE_RATE
        axes.plot(at, values, lw=width, label=label)
    axes.axhline(TARGET_LUFS, color="tab:red", lw=0.8, ls="--", label=f"{TARGET_LUFS:g} LUFS")
    axes.set_ylim(QUIETEST_LUFS, 0)
    axes.set_ylabel("loudness (LUFS)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=CAPTION_PT, ncols=3)


def _fonts() -> dict[str, set[int]]:
    """Return font families to try in order, each with the characters it has."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    wide = [name for name in WIDE_FONTS if name in installed][:1]
    paths = {name: font_manager.findfont(name) for name in (SANS, *wide)}
    return {name: set(font_manager.get_font(path).get_charmap()) for name, path in paths.items()}


def _showable(text: str, fonts: dict[str, set[int]]) -> str:
    known = set().union(*fonts.values())
    return "".join(letter if ord(letter) in known else "□" for letter in " ".join(text.split()))


def _wrapped(text: str, room: int, taken: int) -> str:
    """Break text into lines of `room` letters, of which `taken` are gone in the first."""
    lines: list[str] = []
    line, used = "", taken
    for word in _pieces(text):
        width = _width(word)
        if used + width > room and (line or not lines):
            lines.append(line.rstrip())
            line, used = "", 0
        line += word
        used += width
    lines.append(line.rstrip())
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], lines[CAPTION_LINES - 1] + " …"]
    return "\n".join(lines)


def _pieces(text: str) -> Iterator[str]:
    """Split where a line may break: after spaces, and after any wide character."""
    piece = ""
    for letter in text:
        piece += letter
        if letter == " " or _width(letter) == 2:
            yield piece
            piece = ""
    yield piece


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _clock(at_s: float, _position: int) -> str:
    minutes, seconds = divmod(round(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
