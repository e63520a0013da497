import json

import numpy as np
import pytest

from audiostory_core.audio.loudness import integrated_lufs, measure_energies
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import highest_true_peak
from audiostory_core.quality.checks import CHECKS, Expectation, examine
from audiostory_core.quality.measures import Measures, measure
from tests.support.signals import noise, tone

SAMPLES = 100_003


def changed(at: int, value: float) -> Waveform:
    waveform = noise(1, SAMPLES)
    waveform[0, at] = value
    return waveform


def clipped(run: int) -> Waveform:
    waveform = noise(1, SAMPLES)
    waveform[1, 500 : 500 + run] = 1.0
    return waveform


@pytest.mark.parametrize(
    "waveform",
    [noise(1, SAMPLES), noise(1, SAMPLES, 0.003), tone(60, SAMPLES, level=0.99), clipped(2)],
    ids=["noise", "faint", "loud tone", "touching full scale"],
)
def test_measures_of_a_good_clip_raise_nothing(waveform) -> None:
    assert examine(measure(waveform, SAMPLES), Expectation()) == ()


@pytest.mark.parametrize(
    ("waveform", "wrong"),
    [
        (changed(7, np.nan), "not numbers"),
        (changed(SAMPLES - 1, -np.inf), "not numbers"),
        (noise(1, SAMPLES - 1), "length"),
        (noise(1, SAMPLES)[:1], "length"),
        (np.zeros((2, SAMPLES), np.float32), "silent"),
        (noise(1, SAMPLES, 1e-5), "silent"),
        (clipped(3), "clipped"),
        (changed(9, 1.2), "clipped"),
        (noise(1, SAMPLES) + np.float32(0.03), "offset"),
    ],
)
def test_measures_of_a_bad_clip_say_what_is_wrong(waveform, wrong: str) -> None:
    findings = examine(measure(waveform, SAMPLES), Expectation())

    assert len(findings) == 1
    assert wrong in findings[0].sentence


def test_measures_let_silence_pass_where_none_is_expected() -> None:
    measures = measure(np.zeros((2, SAMPLES), np.float32), SAMPLES)

    assert examine(measures, Expectation(is_silence=True)) == ()
    assert measures.silent_fraction == 1.0
    assert measures.loudness_lufs is None


def test_measures_hear_one_short_sound_in_silence() -> None:
    waveform = np.zeros((2, SAMPLES), np.float32)
    waveform[:, 50_000:52_000] = noise(2, 2000, 0.02)

    measures = measure(waveform, SAMPLES)

    assert examine(measures, Expectation()) == ()
    assert 0.9 < measures.silent_fraction < 1.0
    assert measures.loudest_db == pytest.approx(
        20 * np.log10(0.02) - 10 * np.log10(17640 / 2000), abs=1
    )


def test_measures_measure_level_and_offset() -> None:
    measures = measure(tone(1000, SAMPLES, level=0.5) + np.float32(0.01), SAMPLES)

    assert measures.rms_db == pytest.approx(-9.03, abs=0.05)
    assert measures.peak == pytest.approx(0.51, abs=0.001)
    assert measures.true_peak == pytest.approx(0.51, abs=0.005)
    assert measures.dc == pytest.approx(0.01, abs=1e-4)
    assert measures.loudness_lufs == pytest.approx(-6.0, abs=0.2)


@pytest.mark.parametrize("samples", [0, 1, 30, 5000])
def test_measures_of_hardly_any_sound_are_plain_data(samples: int) -> None:
    measures = measure(noise(1, samples), samples)

    assert (
        Measures.from_stored(json.loads(json.dumps(measures.as_dict(), allow_nan=False)))
        == measures
    )


def test_measures_of_another_version_are_read_and_judged_by_what_they_have() -> None:
    stored = measure(noise(1, SAMPLES), SAMPLES).as_dict()
    del stored["dc"], stored["loudness_lufs"]
    later = stored | {"speech_intelligibility": 0.1}

    measures = Measures.from_stored(later)

    assert (measures.dc, measures.peak) == (None, stored["peak"])
    assert examine(measures, Expectation()) == ()
    assert examine(Measures.from_stored({}), Expectation()) == ()
    [finding] = examine(Measures.from_stored(later | {"clipped_samples": 3}), Expectation())
    assert finding.code == "clipped"


def test_findings_have_a_code_each_and_a_broken_clip_has_one() -> None:
    worst = Measures(peak=2.0, loudest_db=-99.0, dc=0.5)
    broken = Measures(finite=False, exact_length=False, loudest_db=-99.0, dc=0.5)

    codes = [finding.code for finding in examine(worst, Expectation())]

    assert codes == ["silent", "clipped", "offset"]
    assert [finding.code for finding in examine(broken, Expectation())] == ["not_finite"]
    assert len(CHECKS) == 5


@pytest.mark.parametrize("first", [0, 4_409, 30_000])
@pytest.mark.parametrize("last", [30_870, 61_740, 99_500])
@pytest.mark.parametrize("level", [0.5, 0.001])
def test_silence_after_the_last_sound_changes_no_figure(first, last, level) -> None:
    waveform = np.zeros((2, 5 * SAMPLES), np.float32)
    waveform[:, first:last] = noise(3, last - first, level) + tone(30, last - first, level=level)

    measures = measure(waveform, 5 * SAMPLES)

    assert measures.loudness_lufs == integrated_lufs(measure_energies(waveform))
    assert measures.true_peak == highest_true_peak(waveform)
