from itertools import pairwise

import numpy as np
import pyloudnorm
import pytest

from audiostory_core.audio.loudness import (
    BIN,
    SHORT_TERM_BINS,
    SegmentLoudness,
    bin_energies,
    integrated_lufs,
    measure_blocks,
    measure_segment,
    measure_waveform,
    sliding_lufs,
)
from audiostory_core.audio.mixdown import Mixdown, MixSegment
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import kept, noise, spiky, stitched, tone

SECONDS_9 = 9 * SAMPLE_RATE


def lufs(waveform: Waveform) -> float:
    """By another implementation."""
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(waveform.T.astype(np.float64)))


def pulsed(samples: int) -> Waveform:
    swell = np.maximum(0, np.sin(2 * np.pi * 0.7 * np.arange(samples) / SAMPLE_RATE)) ** 3
    return (noise(4, samples, 0.2) * swell).astype(np.float32)


def gated(samples: int) -> Waveform:
    """Loud, then hardly there, then silent, then loud again."""
    waveform = noise(5, samples, 0.1)
    waveform[:, samples // 4 : samples // 2] *= 0.003
    waveform[:, samples // 2 : 3 * samples // 4] = 0
    return waveform


PROGRAMMES = {
    "noise": noise(1, SECONDS_9),
    "tone": tone(1000, SECONDS_9),
    "bass": tone(55, SECONDS_9),
    "pulsed": pulsed(SECONDS_9),
    "gated": gated(SECONDS_9),
    "knocks": spiky(6, SECONDS_9, 25, level=0.002),
}


@pytest.mark.parametrize("name", PROGRAMMES)
def test_loudness_of_segments_is_that_of_the_whole(tmp_path, name: str) -> None:
    waveform = PROGRAMMES[name]
    whole = kept(tmp_path, name, waveform)
    cuts = [0, 70_001, 70_500, 250_003, 350_111, waveform.shape[1]]
    parts = [MixSegment(whole.path, a, b - a) for a, b in pairwise(cuts)]

    measured = integrated_lufs(bin_energies([measure_segment(part) for part in parts]))

    assert measured == pytest.approx(lufs(waveform), abs=0.1)


def test_loudness_of_a_stitched_mix_is_unbiased_by_its_seams(tmp_path) -> None:
    scenes, tail = [SAMPLE_RATE] * 8, SAMPLE_RATE // 2
    clips = [tone(60 + 5 * k, n + (tail if k < 7 else 0)) for k, n in enumerate(scenes)]
    segments = stitched(tmp_path, clips, scenes, tail)
    with Mixdown(segments) as mix:
        whole = mix.read(0, mix.samples)

    measured = integrated_lufs(bin_energies([measure_segment(s) for s in segments]))

    assert measured == pytest.approx(lufs(whole), abs=0.1)


def test_loudness_of_a_full_scale_sine_is_what_the_standard_says() -> None:
    both = tone(997, SECONDS_9, level=1.0)
    one = both * np.array([[1.0], [0.0]], np.float32)

    assert integrated_lufs(bin_energies([measure_waveform(one)])) == pytest.approx(-3.01, abs=0.01)
    assert integrated_lufs(bin_energies([measure_waveform(both)])) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("waveform", [np.zeros((2, 200_000), np.float32), noise(1, BIN * 4 - 1)])
def test_loudness_of_silence_and_of_less_than_400_ms_is_undefined(waveform) -> None:
    assert integrated_lufs(bin_energies([measure_waveform(waveform)])) is None
    assert integrated_lufs(bin_energies([])) is None


def test_segment_loudness_does_not_depend_on_how_it_is_read() -> None:
    waveform = spiky(8, 100_003, 9)
    sizes = [1, 5, 440, 441, 442, 30_000, 7, 12, 65_536]
    edges = np.minimum(np.cumsum([0, *sizes, 100_003]), 100_003)

    whole = measure_waveform(waveform)
    blocks = measure_blocks(waveform[:, a:b] for a, b in pairwise(edges))

    np.testing.assert_allclose(blocks.energies, whole.energies, rtol=1e-5, atol=1e-12)
    assert np.array_equal(blocks.peaks, whole.peaks)
    assert blocks.samples == whole.samples == 100_003


def test_segment_loudness_knows_what_surrounds_it() -> None:
    waveform = noise(3, 60_000, 0.01) + np.float32(0.5)  # the high-pass hears an offset begin

    alone = measure_waveform(waveform[:, 20_000:40_000])
    within = measure_waveform(
        waveform[:, 20_000:40_000], waveform[:, :20_000], waveform[:, 40_000:]
    )

    steady = float(np.median(within.energies))
    assert np.abs(within.energies / steady - 1).max() < 1.5
    assert alone.energies[0] > 100 * steady


def test_segment_loudness_counts_peaks_across_its_borders() -> None:
    waveform = np.zeros((2, 2000), np.float32)
    waveform[:, 999:1001] = 0.5

    measured = measure_waveform(waveform[:, :1000], after=waveform[:, 1000:])

    assert measured.true_peak > 0.6


def test_segment_loudness_survives_keeping() -> None:
    measured = measure_waveform(noise(2, 44_321))

    read = SegmentLoudness.from_bytes(44_321, measured.as_bytes())

    assert read.true_peak == measured.true_peak > 0.3
    assert np.array_equal(read.energies, measured.energies)
    with pytest.raises(ValueError, match="of 55000 samples"):
        SegmentLoudness.from_bytes(55_000, measured.as_bytes())


def test_short_term_loudness_follows_a_step() -> None:
    waveform = noise(3, 10 * SAMPLE_RATE, 0.1)
    waveform[:, 5 * SAMPLE_RATE :] *= 0.1

    values = sliding_lufs(bin_energies([measure_waveform(waveform)]), SHORT_TERM_BINS)

    assert len(values) == 100 - SHORT_TERM_BINS + 1
    assert values[0] - values[-1] == pytest.approx(20.0, abs=0.2)
