#!/usr/bin/env bash
# av (PyAV) 18.1.0 with the FFmpeg that it brings, mutagen 1.48.1, Python 3.11, Linux x86-64
#
# An MP3 of 300 chapters has 300 CHAP frames, and one CTOC frame that lists them in order, as podcast players read them.
# The count in a CTOC is one byte. FFmpeg neither stops at 255 nor splits the table: it counts modulo 256. With 256
# chapters the table of contents is empty, with 300 it has the first 44, and no warning is logged. FFmpeg itself reads
# the CHAP frames alone and so shows all of them: a round trip through one library looks right.
#
# Whoever writes more than 255 chapters writes the tags with mutagen, as a table of tables (CTOC allows it).
#
# Output seen on 2026-12-01:
#   255 chapters: 255 by av, 255 CHAP frames, 255 in the table of contents
#   256 chapters: 256 by av, 256 CHAP frames, 0 in the table of contents
#   300 chapters: 300 by av, 300 CHAP frames, 44 in the table of contents
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

RATE, CHAPTER_MS = 44_100, 100


def write_book(count: int) -> None:
    """Write a tone as an MP3 with a chapter each tenth of a second."""
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(count * CHAPTER_MS * RATE // 1000) / RATE)
    with av.open("book.mp3", "w") as book:
        stream = book.add_stream("libmp3lame", rate=RATE, layout="mono")
        book.set_chapters(
            [
                {
                    "id": index + 1,
                    "start": CHAPTER_MS * index,
                    "end": CHAPTER_MS * (index + 1),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"Chapter {index + 1}"},
                }
                for index in range(count)
            ]
        )
        frame = av.AudioFrame.from_ndarray(tone[None].astype("float32"), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            book.mux(packet)


seen = []
for count in (255, 256, 300):
    write_book(count)
    with av.open("book.mp3") as book:
        read = len(book.chapters())
    tags = ID3("book.mp3")
    listed = sum(len(table.child_element_ids) for table in tags.getall("CTOC"))
    print(f"{count} chapters: {read} by av, {len(tags.getall('CHAP'))} CHAP frames, {listed} in the table of contents")
    seen.append((read, len(tags.getall("CHAP")), listed))
assert seen == [(255, 255, 255), (256, 256, 0), (300, 300, 44)]
PYTHON
echo "as seen"
