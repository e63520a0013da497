#!/usr/bin/env bash
# soundfile 0.14.0 (its wheel holds libsndfile 1.2.2), numpy 2.4.6, Python 3.11, Linux x86-64
#
# A variable-bit-rate MP3 whose first frame is no Xing/Info frame (streams that were cut, recorders that never go
# back to write one) is a valid MP3. libsndfile estimates its length from the bit rate of the first frames, reports
# that as `frames`, and then *stops reading there*: read() returns the estimate's worth of samples and raises
# nothing, `blocks()` ends, SoundFile.tell() equals `frames`. What follows is lost without a word. With the Xing
# frame in place the very same audio frames are read to their end. For a constant bit rate the estimate is a little
# too long instead, and reading ends early by itself.
#
# Whoever must know the length: look for Xing, Info or VBRI in the first frame, and count frames where none is.
#
# Output seen on 2026-11-30:
#   whole file: 2646000 samples promised, 2646000 read
#   without its Xing frame: 990440 promised, 990440 read, no error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
"$folder/env/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import soundfile

RATE, SECONDS = 44_100, 60
BIT_RATES = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]  # kbit/s, MPEG-1 layer III
folder = Path(sys.argv[1])
rng = np.random.default_rng(1)
sound = 0.3 * rng.standard_normal((RATE * SECONDS, 2)) * np.linspace(1.0, 0.0, RATE * SECONDS)[:, None]
whole, cut = folder / "whole.mp3", folder / "cut.mp3"
soundfile.write(whole, sound, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)

mp3 = whole.read_bytes()
at = mp3.index(b"\xff\xfb")
padding = mp3[at + 2] >> 1 & 1
length = 144 * BIT_RATES[mp3[at + 2] >> 4] * 1000 // RATE + padding
assert b"Xing" in mp3[at : at + length], "the encoder writes no Xing frame any more"
cut.write_bytes(mp3[at + length :])


def count(path):
    with soundfile.SoundFile(path) as file:
        promised = file.frames
        return promised, len(file.read(dtype="float32"))


promised, read = count(whole)
print(f"whole file: {promised} samples promised, {read} read")
cut_promised, cut_read = count(cut)
print(f"without its Xing frame: {cut_promised} promised, {cut_read} read, no error")
assert promised == read == RATE * SECONDS, "a whole file is read otherwise than it was"
assert cut_promised == cut_read < 0.9 * RATE * SECONDS, "the behavior has changed"
PYTHON
