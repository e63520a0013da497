#!/usr/bin/env bash
# av (PyAV) 18.1.0 with the FFmpeg that it brings, numpy 2.4.0, Python 3.11, Linux x86-64
#
# A codec works in frames, so the last one is padded; the container says where the sound ends. Opus as .opus or .webm
# and MP3 as .mp3 decode to the samples that went in, to the sample. The same packets as MP4 (what a dubbed film is) do
# not: what precedes the sound is cut as it should be, what follows is kept, 525 samples of Opus and 1,076 of MP3 here,
# and it is not silence. Nor can the reader cut them by the length that the file states: FFmpeg writes the edit list in
# milliseconds, so that the track claims 144,144 or 144,096 samples where 144,123 went in. FLAC and ALAC are exact.
#
# Whoever joins or loops such tracks keeps the number of samples elsewhere (or uses FLAC in MP4), and does not take the
# stated duration for it: it is up to 27 samples short, which cuts off sound.
#
# Output seen on 2026-12-01 (144,123 samples in):
#   libopus in .opus: 144123 decoded
#   libopus in .webm: 144123 decoded
#   libmp3lame in .mp3: 144123 decoded
#   flac in .mp4: 144123 decoded
#   libopus in .mp4: 144648 decoded, 144144 stated
#   libmp3lame in .mp4: 145199 decoded, 144096 stated
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

RATE, SAMPLES = 48_000, 3 * 48_000 + 123


def encode(path: str, codec: str) -> None:
    """Write a tone of SAMPLES samples."""
    tone = (0.1 * np.sin(2 * np.pi * 300 * np.arange(SAMPLES) / RATE)).astype("float32")
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE)
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for part in resampler.resample(frame):
            for packet in stream.encode(part):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)


def decode(path: str) -> tuple[int, int | None]:
    """Return how many samples come out, and how many the track states."""
    with av.open(path) as file:
        track = file.streams.audio[0]
        stated = track.duration and round(track.duration * track.time_base * RATE)
        return sum(frame.samples for frame in file.decode(track)), stated


for path, codec in (
    ("a.opus", "libopus"),
    ("a.webm", "libopus"),
    ("a.mp3", "libmp3lame"),
    ("a.mp4", "flac"),
):
    encode(path, codec)
    decoded, _ = decode(path)
    print(f"{codec} in .{path[2:]}: {decoded} decoded")
    assert decoded == SAMPLES
for codec, extra, claimed in (("libopus", 525, 144_144), ("libmp3lame", 1_076, 144_096)):
    encode("b.mp4", codec)
    decoded, stated = decode("b.mp4")
    print(f"{codec} in .mp4: {decoded} decoded, {stated} stated")
    assert (decoded, stated) == (SAMPLES + extra, claimed)
PYTHON
echo "as seen"
