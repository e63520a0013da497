import numpy as np
import pytest

from audiostory_core.audio.limiter import (
    AFTER,
    BEFORE,
    CEILING_DBTP,
    LOOK_AHEAD,
    RELEASE,
    TARGET,
    limit,
)
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import OVERSHOOT, REACH, true_peaks
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import independent_peak_dbtp, noise, spiky, tone


def limited(waveform: Waveform) -> Waveform:
    return limit(np.pad(waveform, ((0, 0), (BEFORE, AFTER))))


def square(samples: int) -> Waveform:
    return np.sign(tone(997, samples) + 1e-9).astype(np.float32)


@pytest.mark.parametrize(
    "waveform",
    [
        1.9 * tone(80, 100_000, level=1.0),
        1.9 * tone(11_025, 100_000, phase=0.8, level=1.0),
        1.4 * square(100_000),
        2.0 * spiky(2, 100_000, 20),
        noise(4, 100_000, level=0.4),
    ],
    ids=["bass", "between samples", "square", "knocks", "noise"],
)
def test_limiter_keeps_an_independent_true_peak_under_the_ceiling(waveform) -> None:
    assert independent_peak_dbtp(waveform) > CEILING_DBTP
    assert independent_peak_dbtp(limited(waveform)) <= CEILING_DBTP


def test_limiter_leaves_what_is_low_enough_alone_to_the_bit() -> None:
    waveform = 0.8 * tone(440, 50_000, level=1.0)

    assert np.array_equal(limited(waveform), waveform)


def test_limiter_acts_only_near_the_peak() -> None:
    waveform = noise(7, 80_000, level=0.05)
    waveform[:, 40_000:40_040] = 1.5

    result = limited(waveform)

    changed = np.flatnonzero((result != waveform).any(axis=0))
    assert 40_000 - LOOK_AHEAD - 2 * REACH <= changed[0] < 40_000
    assert 40_040 < changed[-1] <= 40_040 + RELEASE + LOOK_AHEAD + 2 * REACH


def test_limiter_gain_never_jumps() -> None:
    waveform = tone(50, 80_000, level=0.5) + np.float32(0.01)
    waveform[:, 40_000:40_010] = 1.6

    gain = (limited(waveform) / waveform)[0]
    gain_db = 20 * np.log10(np.abs(gain[np.abs(waveform[0]) > 0.005]))

    assert gain_db.min() < -5.0
    assert np.abs(np.diff(gain_db)).max() < 0.1


def test_limiter_moves_both_channels_together() -> None:
    waveform = np.stack([1.6 * tone(300, 60_000, level=1.0)[0], 0.1 * noise(1, 60_000)[0]])

    result = limited(waveform.astype(np.float32))

    quiet_db = 10 * np.log10(np.square(result[1]).mean() / np.square(waveform[1]).mean())
    loud_db = 10 * np.log10(np.square(result[0]).mean() / np.square(waveform[0]).mean())
    assert quiet_db == pytest.approx(loud_db, abs=0.3)


@pytest.mark.parametrize("cut", [0, 1, 12_345, 65_536])
def test_limiter_gives_the_same_bits_from_any_longer_context(cut: int) -> None:
    whole = np.pad(2 * spiky(9, 140_000, 30), ((0, 0), (BEFORE + 5000, AFTER + 5000)))

    block = limit(whole[:, 5000 + cut : 5000 + cut + BEFORE + 30_000 + AFTER])
    same = limit(whole[:, cut : cut + 10_000 + BEFORE + 30_000 + AFTER])

    np.testing.assert_allclose(block, same[:, 5000 : 5000 + 30_000], rtol=2e-7)


def test_true_peaks_find_what_lies_between_samples() -> None:
    waveform = tone(SAMPLE_RATE / 4, 4000, phase=np.pi / 4, level=1.0)

    assert np.abs(waveform).max() < 0.71
    assert true_peaks(waveform)[200:-200].max() == pytest.approx(1.0, abs=0.005)


def test_true_peaks_of_a_stretch_do_not_depend_on_where_it_begins() -> None:
    waveform = noise(3, 5000)

    whole = true_peaks(waveform)

    assert np.array_equal(true_peaks(waveform[:, 777:]), whole[777:])


def test_overshoot_bounds_every_true_peak() -> None:
    rng = np.random.default_rng(0)
    waveform = np.sign(rng.standard_normal((2, 200_000))).astype(np.float32)

    peaks = true_peaks(waveform)

    assert 1.5 < peaks.max() <= OVERSHOOT
    assert TARGET < 10 ** (CEILING_DBTP / 20)
