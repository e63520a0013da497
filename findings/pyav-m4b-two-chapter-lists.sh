#!/usr/bin/env bash
# av (PyAV) 18.1.0 with the FFmpeg that it brings, mutagen 1.48.1, Python 3.11, Linux x86-64
#
# FFmpeg writes the chapters of an M4B twice: as a track of text (what QuickTime and FFmpeg itself read) and as a list of
# starts (`chpl`, what mutagen and several players read). The two lists of one file do not say the same:
# - Where the first chapter begins after an opening (at 5 s), the list says 5 s and the track says 0 s: its samples
#   follow one another from 0, so the opening becomes part of chapter 1. A pause between chapters goes to the chapter
#   before it, for both.
# - The list ends after 255 chapters, for its count is a byte; the track has all. Nothing is said of either.
#
# Whoever wants one answer from every player begins the first chapter at 0 (give the opening a chapter of its own), lets
# each chapter reach to the next, and stays at 255 or fewer: parts of a book, not scenes.
#
# Output seen on 2026-12-01:
#   opening of 5 s: the track says [0.0, 6.0], the list says [5.0, 6.0]
#   300 chapters: the track has 300, the list has 255
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 mutagen==1.48.1 numpy==2.4.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np
from mutagen.mp4 import MP4

RATE = 44_100


def write_book(starts_ms: list[int], end_ms: int) -> None:
    """Write a tone as an M4B whose chapters follow one another from those starts."""
    chapters = [
        {
            "id": index + 1,
            "start": start,
            "end": end,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": f"Chapter {index + 1}"},
        }
        for index, (start, end) in enumerate(zip(starts_ms, [*starts_ms[1:], end_ms], strict=True))
    ]
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(end_ms * RATE // 1000) / RATE)
    with av.open("book.m4b", "w", format="ipod") as book:
        stream = book.add_stream("aac", rate=RATE, layout="mono")
        book.set_chapters(chapters)
        frame = av.AudioFrame.from_ndarray(tone[None].astype("float32"), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            book.mux(packet)


def read_track() -> list[float]:
    """Return the starts (s) that FFmpeg reads."""
    with av.open("book.m4b") as book:
        return [float(chapter["start"] * chapter["time_base"]) for chapter in book.chapters()]


def read_list() -> list[float]:
    """Return the starts (s) that mutagen reads."""
    return [chapter.start for chapter in MP4("book.m4b").chapters]


write_book([5_000, 6_000], 7_000)
late = read_track(), read_list()
print(f"opening of 5 s: the track says {late[0]}, the list says {late[1]}")
write_book([200 * index for index in range(300)], 60_000)
many = len(read_track()), len(read_list())
print(f"300 chapters: the track has {many[0]}, the list has {many[1]}")
assert late == ([0.0, 6.0], [5.0, 6.0])
assert many == (300, 255)
PYTHON
echo "as seen"
