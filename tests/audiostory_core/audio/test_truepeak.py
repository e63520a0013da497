import numpy as np
import pytest

from audiostory_core.audio.loudness import BIN
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.truepeak import (
    HOP,
    REACH,
    ROWS,
    highest_true_peak,
    leading_true_peaks,
    true_peaks,
)
from tests.support.signals import noise, spiky, tone

LENGTH = 5 * BIN + 77


def quiet_then_loud(samples: int) -> Waveform:
    return (noise(3, samples) * np.linspace(0, 1, samples) ** 8).astype(np.float32)


@pytest.mark.parametrize("samples", [1, HOP, ROWS * HOP, ROWS * HOP + 1, BIN, LENGTH])
@pytest.mark.parametrize("open_bin", [0, 1, BIN - 1, 1234])
@pytest.mark.parametrize(
    "waveform",
    [
        noise(1, LENGTH + 2 * REACH),
        spiky(2, LENGTH + 2 * REACH, 20),
        tone(11_025, LENGTH + 2 * REACH, phase=0.8),
        quiet_then_loud(LENGTH + 2 * REACH),
        np.zeros((2, LENGTH + 2 * REACH), np.float32),
    ],
    ids=["noise", "clicks", "between samples", "quiet, then loud", "silence"],
)
def test_leading_true_peaks_have_the_highest_of_every_bin_to_the_bit(
    waveform: Waveform, open_bin: int, samples: int
) -> None:
    stretch = waveform[:, : samples + 2 * REACH]
    starts = np.arange(-open_bin, samples, BIN).clip(0)
    highest = np.maximum.reduceat(true_peaks(stretch), starts)
    leading = np.maximum.reduceat(leading_true_peaks(stretch, starts), starts)
    assert np.array_equal(leading, highest)


def test_leading_true_peaks_are_few() -> None:
    stretch = noise(1, 10 * BIN + 2 * REACH)
    leading = leading_true_peaks(stretch, np.arange(0, 10 * BIN, BIN))
    assert np.count_nonzero(leading) < 0.05 * leading.size


@pytest.mark.parametrize("samples", [1, HOP, LENGTH])
@pytest.mark.parametrize(
    "waveform",
    [
        noise(1, LENGTH),
        spiky(2, LENGTH, 20),
        tone(11_025, LENGTH, phase=0.8),
        quiet_then_loud(LENGTH),
    ],
    ids=["noise", "clicks", "between samples", "quiet, then loud"],
)
def test_the_highest_true_peak_is_that_of_all_samples_to_the_bit(
    waveform: Waveform, samples: int
) -> None:
    surrounded = np.pad(waveform[:, :samples], ((0, 0), (REACH, REACH)))
    assert highest_true_peak(waveform[:, :samples]) == true_peaks(surrounded).max()


def test_the_highest_true_peak_of_nothing_is_none() -> None:
    assert highest_true_peak(np.zeros((2, 0), np.float32)) == 0.0
