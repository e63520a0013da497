import json

import numpy as np
import pytest

from audiostory_core.audio.pcm import Waveform
from audiostory_core.quality.measures import Measures, measure, verdict
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
def test_figures_of_a_good_clip_raise_nothing(waveform) -> None:
    assert verdict(measure(waveform, SAMPLES), sound_expected=True) == ()


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
def test_figures_of_a_bad_clip_say_what_is_wrong(waveform, wrong: str) -> None:
    reasons = verdict(measure(waveform, SAMPLES), sound_expected=True)

    assert len(reasons) == 1
    assert wrong in reasons[0]


def test_figures_let_silence_pass_where_none_is_expected() -> None:
    measures = measure(np.zeros((2, SAMPLES), np.float32), SAMPLES)

    assert verdict(measures, sound_expected=False) == ()
    assert measures.silent_fraction == 1.0
    assert measures.loudness_lufs is None


def test_figures_hear_one_short_sound_in_silence() -> None:
    waveform = np.zeros((2, SAMPLES), np.float32)
    waveform[:, 50_000:52_000] = noise(2, 2000, 0.02)

    measures = measure(waveform, SAMPLES)

    assert verdict(measures, sound_expected=True) == ()
    assert 0.9 < measures.silent_fraction < 1.0
    assert measures.loudest_db == pytest.approx(
        20 * np.log10(0.02) - 10 * np.log10(17640 / 2000), abs=1
    )


def test_figures_measure_level_and_offset() -> None:
    measures = measure(tone(1000, SAMPLES, level=0.5) + np.float32(0.01), SAMPLES)

    assert measures.rms_db == pytest.approx(-9.03, abs=0.05)
    assert measures.peak == pytest.approx(0.51, abs=0.001)
    assert measures.true_peak == pytest.approx(0.51, abs=0.005)
    assert measures.dc == pytest.approx(0.01, abs=1e-4)
    assert measures.loudness_lufs == pytest.approx(-6.0, abs=0.2)


@pytest.mark.parametrize("samples", [0, 1, 30, 5000])
def test_figures_of_hardly_any_sound_are_plain_data(samples: int) -> None:
    measures = measure(noise(1, samples), samples)

    assert Measures(**json.loads(json.dumps(measures.as_dict(), allow_nan=False))) == measures
