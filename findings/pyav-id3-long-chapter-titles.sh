#!/usr/bin/env bash
# av (PyAV) 18.1.0 with the FFmpeg that it brings, mutagen 1.48.1, Python 3.11, Linux x86-64
#
# An MP3 of a book carries its chapters as ID3v2 CHAP frames. In a file that FFmpeg wrote itself (ID3v2.4, its default),
# a chapter whose title takes 126 bytes of UTF-8 or more is *gone* when FFmpeg reads it back: not shortened, not without
# a title, the chapter is not in the list, and nothing is said. The file is right: mutagen shows every chapter and the
# whole title. So a chapter of the old-fashioned kind ("In which ... and what came of it"), or one of some 63 Cyrillic
# or 42 Chinese characters, is lost by the next program that copies the chapters.
# (ID3v2.4 writes sizes in seven bits a byte, ID3v2.3 in eight. Both agree up to 127, and within a chapter the reader
# takes the first for the second.)
#
# Saved as ID3v2.3 (`id3v2_version=3` of the muxer, or mutagen's `v2_version=3`), every chapter is read back; whoever
# counts chapters of an MP3 counts them with mutagen.
#
# Output seen on 2026-12-01:
#   ID3v2.4, title of 125 bytes: 3 chapters by mutagen, 3 by av
#   ID3v2.4, title of 126 bytes: 3 chapters by mutagen, 2 by av
#   ID3v2.4, 70 Cyrillic characters: 3 chapters by mutagen, 2 by av
#   ID3v2.3, title of 126 bytes: 3 chapters by mutagen, 3 by av
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
from mutagen.id3 import ID3

RATE = 44_100


def write_book(title: str, version: int) -> None:
    """Write three seconds of a tone as an MP3 of three chapters, the second of that title."""
    titles = ["The harbor", title, "The end"]
    chapters = [
        {
            "id": index + 1,
            "start": 1000 * index,
            "end": 1000 * (index + 1),
            "time_base": Fraction(1, 1000),
            "metadata": {"title": words},
        }
        for index, words in enumerate(titles)
    ]
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype("float32")
    with av.open("book.mp3", "w", options={"id3v2_version": str(version)}) as book:
        stream = book.add_stream("libmp3lame", rate=RATE, layout="mono")
        book.set_chapters(chapters)
        frame = av.AudioFrame.from_ndarray(tone[None].astype("float32"), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            book.mux(packet)


def count() -> tuple[int, int]:
    """Return how many chapters mutagen and av read."""
    with av.open("book.mp3") as book:
        return len(ID3("book.mp3").getall("CHAP")), len(book.chapters())


seen = {}
for words, title, version in (
    ("ID3v2.4, title of 125 bytes", "x" * 125, 4),
    ("ID3v2.4, title of 126 bytes", "x" * 126, 4),
    ("ID3v2.4, 70 Cyrillic characters", "ж" * 70, 4),
    ("ID3v2.3, title of 126 bytes", "x" * 126, 3),
):
    write_book(title, version)
    seen[words] = count()
    print(f"{words}: {seen[words][0]} chapters by mutagen, {seen[words][1]} by av")
assert list(seen.values()) == [(3, 3), (3, 2), (3, 2), (3, 3)]
PYTHON
echo "as seen"
