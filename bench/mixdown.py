"""How many times faster than real time a mix is measured, mastered, exported and read.

    python -m bench.mixdown [--minutes 10]

Prints one line per operation, the most memory that numpy and Python held meanwhile, and what
reading three stems costs beside reading one mix of the same length, by turns.
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from audiostory_core.audio.balance import Balance, Ducking
from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.export import export, wav_bytes
from audiostory_core.audio.loudness import SegmentLoudness, measure_segment
from audiostory_core.audio.mastering import choose_master_gain
from audiostory_core.audio.mixdown import Chain, MasterGain, Mixdown, MixSegment, Source
from audiostory_core.audio.pcm import SampleFormat, Waveform, au_bytes, flac_bytes
from audiostory_core.audio.stems import StemSum
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SAMPLE_RATE, seconds_of

T = TypeVar("T")

SCENE = 10 * SAMPLE_RATE
TAIL = 3 * SAMPLE_RATE
RANGE_S = 1.0
TURNS = 5  # of stems and composite beside each other
LINE_EVERY = 6 * SAMPLE_RATE


def clip(seed: int) -> Waveform:
    """Colored noise under knocks: half a minute of it needs the limiter."""
    rng = np.random.default_rng(seed)
    bed = np.cumsum(rng.standard_normal((2, SCENE + TAIL)), axis=1)
    bed = np.diff(bed - np.roll(bed, 40, axis=1), prepend=0.0)
    waveform = 0.08 * bed / bed.std()
    for at in rng.integers(0, SCENE, 8):
        length = min(4000, SCENE + TAIL - at)
        fall = np.exp(-np.arange(length) / 600)
        waveform[:, at : at + length] += 0.25 * rng.random() * fall * rng.standard_normal(length)
    return waveform.clip(-1, 1).astype(np.float32)


def story(folder: Path, scenes: int) -> list[MixSegment]:
    """Lay out two clips by turns; files are shared, so the disk holds only two scenes."""
    clips = [clip(seed) for seed in (1, 2)]
    segments = []
    for k, waveform in enumerate(clips):
        (folder / f"clip{k}.flac").write_bytes(flac_bytes(waveform))
        seam = crossfade(waveform[:, SCENE:], clips[1 - k][:, :TAIL])
        (folder / f"seam{k}.au").write_bytes(au_bytes(seam))
    for k in range(scenes):
        opening = TAIL if k else 0
        segments.append(MixSegment(folder / f"clip{k % 2}.flac", opening, SCENE - opening))
        if k + 1 < scenes:
            segments.append(MixSegment(folder / f"seam{k % 2}.au", 0, TAIL))
    return segments


def timed(name: str, heard_s: float, operation: Callable[[], T]) -> T:
    """Run an operation and print its ratio to real time."""
    started = time.perf_counter()
    outcome = operation()
    print(f"{name:<34}{heard_s / (time.perf_counter() - started):>9.0f} × real time")
    return outcome


def read_through(source: Source | list[MixSegment], mastering: MasterGain | None) -> None:
    """Read a mix in blocks, forwards."""
    with Mixdown(source, mastering) as mix:
        for _ in mix.blocks():
            pass


def read_ranges(segments: list[MixSegment], mastering: MasterGain, count: int) -> None:
    """Ask for one second at a time, each time anew, as a player that jumps about does."""
    length = int(RANGE_S * SAMPLE_RATE) * SampleFormat.PCM_24.frame_bytes
    rng = np.random.default_rng(0)
    for _ in range(count):
        with Mixdown(segments, mastering) as mix:
            first = int(rng.integers(44, mix.samples * SampleFormat.PCM_24.frame_bytes - length))
            for _ in wav_bytes(mix, first, first + length - 1):
                pass


def export_to(path: Path, segments: list[MixSegment], mastering: MasterGain) -> None:
    """Export a mix."""
    with Mixdown(segments, mastering) as mix:
        export(mix, path)


def three_stems(segments: list[MixSegment]) -> StemSum:
    """Hear a mix as three stems at once, two of them ducked under half the story."""
    end = sum(segment.samples for segment in segments)
    return StemSum(
        {stem: Chain(segments) for stem in (Stem.DIALOGUE, Stem.EFFECTS, Stem.MUSIC)},
        Balance(
            gains={
                Stem.DIALOGUE: ((0, -9.5),),  # what is three times the same
                Stem.EFFECTS: ((0, -9.5),),
                Stem.MUSIC: ((0, -9.5), (end, -12.0)),
            },
            ducking=Ducking(),
            spoken=tuple((at, at + LINE_EVERY // 2) for at in range(0, end, LINE_EVERY)),
        ),
    )


def compare(name: str, segments: list[MixSegment], mastering: MasterGain | None) -> None:
    """Print how much processor time three stems take of what a composite takes."""
    sources: tuple[Source, ...] = (Chain(segments), three_stems(segments))
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * TURNS):
        started = time.process_time()
        read_through(sources[turn % 2], mastering)
        spent[turn % 2].append(time.process_time() - started)
    composite_s, stems_s = (statistics.median(times) for times in spent)
    print(
        f"{name:<34}{stems_s / composite_s:>9.2f} × a composite "
        f"({stems_s:.2f} s to {composite_s:.2f} s of processor time)"
    )


def main() -> None:
    """Measure a synthetic story and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        segments = story(folder, max(round(minutes * 6), 2))
        length_s = seconds_of(sum(segment.samples for segment in segments))

        def measure() -> list[SegmentLoudness]:
            return [measure_segment(segment) for segment in segments]

        loudness = timed("measure segments", length_s, measure)
        mastering, report = timed(
            "choose mastering", length_s, lambda: choose_master_gain(segments, loudness)
        )
        plain = MasterGain(0.0, limiting=False)
        timed("read, gain alone", length_s, lambda: read_through(segments, plain))
        timed("read, limited", length_s, lambda: read_through(segments, mastering))
        timed("read 1 s ranges as WAV, limited", 50, lambda: read_ranges(segments, mastering, 50))
        timed("export WAV", length_s, lambda: export_to(folder / "a.wav", segments, mastering))
        timed("export FLAC", length_s, lambda: export_to(folder / "a.flac", segments, mastering))
        compare("three stems, gain alone", segments, plain)
        compare("three stems, limited", segments, mastering)
        tracemalloc.start()
        export_to(folder / "a.wav", segments, mastering)
        _, most = tracemalloc.get_traced_memory()
    print(f"{'memory while exporting':<34}{most / 2**20:>9.1f} MiB")
    print(f"{length_s:g} s; {report.as_dict()}")


if __name__ == "__main__":
    main()
