"""Every real instruction becomes a story, measured by meters that are not ours."""

import json
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy import signal

DATA = Path(__file__).parent.parent / "data"
LINES = [json.loads(line) for line in (DATA / "instructions.jsonl").read_text("utf-8").splitlines()]
NAMED = json.loads((DATA / "named_sounds.json").read_text("utf-8"))
TARGET_LUFS, TOLERANCE_LU, CEILING_DBTP = -16.0, 0.5, -1.0
MAY_BE_QUIETER = {"quiet", "unknown"}
MAX_SEAM_EXCESS_DB = 3.0


@pytest.fixture(scope="session")
def named_and_heard() -> dict[str, tuple[int, int]]:
    return {}


@pytest.mark.parametrize("line", LINES, ids=[line["id"] for line in LINES])
def test_instruction_becomes_a_story_of_exactly_its_length_and_loudness(audiostory, tmp_path, line):
    asked = [] if "duration_s" not in line else ["--duration", line["duration_s"]]
    file = tmp_path / "story.wav"

    story = audiostory.json(
        "create", line["instruction"], "--seed", 1, "--output", file, *asked,
        exit_code=3 if line["id"] == "unknown" else 0,
    )  # fmt: skip

    waveform, rate = soundfile.read(file, always_2d=True)
    duration_s = line.get("duration_s", story["duration_s"])
    assert (rate, len(waveform)) == (44_100, round(duration_s * 44_100))
    assert _true_peak_dbtp(waveform) <= CEILING_DBTP
    loudness_lufs = pyloudnorm.Meter(rate).integrated_loudness(waveform)
    if line["id"] in MAY_BE_QUIETER and not story["mastering"]["reached"]:
        assert story["mastering"]["reason"]
        assert loudness_lufs < TARGET_LUFS
    else:
        assert loudness_lufs == pytest.approx(TARGET_LUFS, abs=TOLERANCE_LU)
    excess = [seam["excess_db"] for seam in story["seams"]]
    assert max(excess, default=0.0) <= MAX_SEAM_EXCESS_DB
    _assert_named_sounds_are_made(line["id"], story)


def _assert_named_sounds_are_made(name: str, story: dict) -> None:
    made = {match.split(":")[0] for scene in story["scenes"] for match in scene["matched"]}
    wanted = NAMED.get(name, [])
    missed = [sound["words"] for sound in wanted if not made & set(sound["kinds"])]
    assert len(missed) <= 0.05 * len(wanted), f"not made: {missed} of {sorted(made)}"


def _true_peak_dbtp(waveform: np.ndarray) -> float:
    peak = 0.0
    for start in range(0, len(waveform), 1 << 20):
        block = waveform[max(start - 512, 0) : start + (1 << 20) + 512]
        peak = max(peak, float(np.abs(signal.resample_poly(block, 4, 1, axis=0)).max()))
    return 20 * np.log10(peak)
