from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest

from audiostory_core.audio.limiter import CEILING_DBTP
from audiostory_core.audio.loudness import measure_segment
from audiostory_core.audio.mastering import (
    LEFT_QUIET,
    TARGET_LUFS,
    MasteringReport,
    choose_master_gain,
)
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import independent_peak_dbtp, kept, noise, spiky, stitched, tone

SECONDS_7 = 7 * SAMPLE_RATE


def cut(segment: MixSegment) -> list[MixSegment]:
    edges = [0, segment.samples // 3 + 11, segment.samples // 2, segment.samples]
    return [MixSegment(segment.path, a, b - a) for a, b in pairwise(edges)]


def heard(segments: Sequence[MixSegment]) -> tuple[Waveform, MasteringReport]:
    mastering, report = choose_master_gain(segments, [measure_segment(s) for s in segments])
    with Mixdown(segments, mastering) as mix:
        return mix.read(0, mix.samples), report


def lufs(waveform: Waveform) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(waveform.T.astype(np.float64)))


def sparse(seed: int, samples: int) -> Waveform:
    waveform = noise(seed, samples, 0.2)
    waveform[:, SAMPLE_RATE // 2 :] *= (np.arange(samples - SAMPLE_RATE // 2) // 30_000) % 4 == 0
    return waveform


def louder_in_places(seed: int, samples: int) -> Waveform:
    """Bursts of 25 ms a second that need 2 to 6 dB of limiting."""
    swell = 1 + 5 * (np.arange(samples) % 44_100 < 1102)
    return (noise(seed, samples, 0.05).clip(-0.14, 0.14) * swell).astype(np.float32)


REACHABLE = {
    "noise": noise(1, SECONDS_7, 0.05),
    "quiet": noise(2, SECONDS_7, 0.0003),
    "hardly there": noise(3, SECONDS_7, 0.00003),
    "loud": noise(4, SECONDS_7, 0.5),
    "tone": tone(440, SECONDS_7),
    "sparse": sparse(5, SECONDS_7),
    "limited": louder_in_places(6, SECONDS_7),
    "knocks": spiky(7, SECONDS_7, 30, level=0.12),
    "quiet half": np.concatenate([noise(8, 200_000, 2e-5), noise(9, 108_000, 0.1)], axis=1),
}


@pytest.mark.parametrize("name", REACHABLE)
def test_mastering_reaches_loudness_and_peak_by_other_meters(tmp_path: Path, name: str) -> None:
    waveform, report = heard(cut(kept(tmp_path, name, REACHABLE[name])))

    assert report.reached
    assert report.reason is None
    assert lufs(waveform) == pytest.approx(TARGET_LUFS, abs=0.5)
    assert report.loudness_lufs == pytest.approx(lufs(waveform), abs=0.1)
    assert independent_peak_dbtp(waveform) <= CEILING_DBTP
    assert 0 <= report.reduction_db <= 6


def test_mastering_of_peaks_limits_them(tmp_path: Path) -> None:
    _, report = heard(cut(kept(tmp_path, "limited", REACHABLE["limited"])))

    assert report.reduction_db > 2
    assert report.true_peak_dbtp is not None
    assert -2.0 < report.true_peak_dbtp <= CEILING_DBTP


@pytest.mark.parametrize("level", [0.0003, 0.01])
def test_mastering_that_needs_too_much_limiting_keeps_the_peak_rule(tmp_path, level) -> None:
    waveform, report = heard(cut(kept(tmp_path, "clicky", spiky(11, SECONDS_7, 12, level))))

    assert not report.reached
    assert report.reason is not None
    assert "limiting" in report.reason
    assert report.reduction_db == pytest.approx(6.0)
    assert independent_peak_dbtp(waveform) <= CEILING_DBTP
    assert report.loudness_lufs == pytest.approx(lufs(waveform), abs=0.1)
    assert report.loudness_lufs < TARGET_LUFS - 0.5


def test_mastering_of_silence_says_so(tmp_path: Path) -> None:
    waveform, report = heard([kept(tmp_path, "silence", np.zeros((2, 50_000), np.float32))])

    assert not waveform.any()
    assert report.reason == "the mix is silent"
    assert report.loudness_lufs is None
    assert report.true_peak_dbtp is None


def test_mastering_of_less_than_400_ms_is_decided_by_its_peak(tmp_path: Path) -> None:
    waveform, report = heard([kept(tmp_path, "short", noise(1, 10_000))])

    assert report.loudness_lufs is None
    assert not report.reached
    assert independent_peak_dbtp(waveform) <= CEILING_DBTP
    assert np.abs(waveform).max() > 0.6


def test_mastering_of_nothing_is_silent() -> None:
    mastering, report = choose_master_gain([], [])

    assert mastering.gain_db == 0.0
    assert not report.reached


def test_mastering_of_a_stitched_story_holds_across_seams(tmp_path: Path) -> None:
    scenes, tail = [88_200, 60_001, 120_000, 90_000], 66_150
    levels = [0.02, 0.2, 0.05, 0.1]
    clips = [
        spiky(k, n + (tail if k < 3 else 0), 2, level)
        for k, (n, level) in enumerate(zip(scenes, levels, strict=True))
    ]

    waveform, report = heard(stitched(tmp_path, clips, scenes, tail))

    assert waveform.shape[1] == sum(scenes)
    assert report.reached
    assert lufs(waveform) == pytest.approx(TARGET_LUFS, abs=0.5)
    assert independent_peak_dbtp(waveform) <= CEILING_DBTP


def test_mastering_report_is_plain_data(tmp_path: Path) -> None:
    _, report = heard([kept(tmp_path, "noise", noise(1, 50_000))])

    assert MasteringReport(**report.as_dict()) == report


@pytest.mark.parametrize("waveform", [noise(1, SECONDS_7, 0.003), noise(1, 10_000, 0.003)])
def test_mastering_that_may_not_raise_leaves_a_quiet_mix_quiet(tmp_path: Path, waveform) -> None:
    segment = kept(tmp_path, "hiss", waveform)

    mastering, report = choose_master_gain([segment], [measure_segment(segment)], may_raise=False)

    assert mastering == MasterGain(0.0, limiting=False)
    assert (report.gain_db, report.reason, report.reached) == (0.0, LEFT_QUIET, False)
    assert report.true_peak_dbtp == pytest.approx(independent_peak_dbtp(waveform), abs=0.1)


def test_mastering_that_may_not_raise_still_lowers_what_is_loud(tmp_path: Path) -> None:
    segment = kept(tmp_path, "loud", REACHABLE["loud"])

    lowered = choose_master_gain([segment], [measure_segment(segment)], may_raise=False)

    assert lowered == choose_master_gain([segment], [measure_segment(segment)])
    assert lowered[1].reached
