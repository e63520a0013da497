#!/usr/bin/env bash
# soundfile 0.14.0 with its libsndfile 1.2.2, numpy 2.4.0, Python 3.11, Linux x86-64
#
# An Ogg Vorbis file is read a piece at a time, as a cutter does: read, skip a bit, read on. After a seek of up to two
# seconds *forward* of where the last read ended, the first samples are not those of the file: up to about 1,000 of them, off
# by as much as 0.75 of full scale, and then all is right again. The position is right (no shift), nothing is raised.
# A seek backward, one further than two seconds ahead, and one within the block that is decoded already are exact, and
# so are all seeks in Opus and MP3 files of the same sound: whoever tests seeking by jumping about in a file, or opens
# it anew for each piece, never sees it. (A short way ahead libsndfile does not search for a page but drops packets, and
# the first block that it then decodes has nothing before it to overlap with.)
#
# Whoever needs exact pieces: seek back a little first (`f.seek(0)` is enough), then forward, or read through the gap.
#
# Output seen on 2026-12-01:
#   backward 2,500 to 90,000 frames: 0 of 40 wrong
#   forward 1,200 to 90,000 frames: 39 of 40 wrong, at most 974 frames of each
#   the same by way of frame 0: 0 of 40 wrong
#   forward 100,000 to 200,000 frames: 0 of 40 wrong
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import soundfile as sf

RATE, READ = 48_000, 2_000
rng = np.random.default_rng(1)
time_s = np.arange(60 * RATE) / RATE
sweep = 0.3 * np.sin(2 * np.pi * (200 + 20 * time_s) * time_s)
sound = (sweep + 0.05 * rng.standard_normal(len(sweep))).astype("float32")
with sf.SoundFile("sound.ogg", "w", RATE, 1, format="OGG", subtype="VORBIS") as file:
    for start in range(0, len(sound), RATE):
        file.write(sound[start : start + RATE])
whole, _ = sf.read("sound.ogg", dtype="float32")
assert len(whole) == len(sound)


def count_wrong(shortest: int, longest: int, by_way_of_0: bool = False) -> tuple[int, int]:
    """Return how many of 40 seeks were followed by wrong samples, and how many at most."""
    wrong, most = 0, 0
    for _ in range(40):
        start = int(rng.integers(300_000, len(whole) - 300_000))
        target = start + READ + int(rng.integers(shortest, longest))
        with sf.SoundFile("sound.ogg") as file:
            file.seek(start)
            file.read(READ)
            if by_way_of_0:
                file.seek(0)
            assert file.seek(target) == target
            piece = file.read(3_000, dtype="float32")
        differs = np.flatnonzero(np.abs(piece - whole[target : target + 3_000]) > 1e-4)
        wrong += len(differs) > 0
        most = max(most, int(differs[-1]) + 1 if len(differs) else 0)
    return wrong, most


back, _ = count_wrong(-90_000, -2_500)
ahead, most = count_wrong(1_200, 90_000)
restarted, _ = count_wrong(1_200, 90_000, by_way_of_0=True)
far, _ = count_wrong(100_000, 200_000)
print(f"backward 2,500 to 90,000 frames: {back} of 40 wrong")
print(f"forward 1,200 to 90,000 frames: {ahead} of 40 wrong, at most {most} frames of each")
print(f"the same by way of frame 0: {restarted} of 40 wrong")
print(f"forward 100,000 to 200,000 frames: {far} of 40 wrong")
assert back == restarted == far == 0
assert ahead >= 36 and most <= 1_024
PYTHON
echo "as seen"
