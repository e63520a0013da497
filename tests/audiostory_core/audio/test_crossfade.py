import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostory_core.audio.crossfade import correlation, crossfade, overlap_samples, seam_gains
from audiostory_core.audio.pcm import Waveform
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import noise, tone

OVERLAP = 3 * SAMPLE_RATE
MIDDLE = slice(OVERLAP // 2 - SAMPLE_RATE // 5, OVERLAP // 2 + SAMPLE_RATE // 5)


def level_db(waveform: Waveform) -> float:
    return float(10 * np.log10(np.square(waveform, dtype=np.float64).mean()))


def noises(rho: float, seed: int = 0) -> tuple[Waveform, Waveform]:
    left, other = noise(seed, OVERLAP), noise(seed + 100, OVERLAP)
    return left, (rho * left + np.sqrt(1 - rho**2) * other).astype(np.float32)


def tones(rho: float) -> tuple[Waveform, Waveform]:
    return tone(440, OVERLAP), tone(440, OVERLAP, phase=float(np.arccos(rho)))


@pytest.mark.parametrize("pair", [noises, tones])
@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_crossfade_keeps_the_level_in_the_middle_of_the_seam(pair, rho: float) -> None:
    left, right = pair(rho)

    seam = crossfade(left, right)

    assert level_db(seam[:, MIDDLE]) == pytest.approx(level_db(left), abs=0.5)


@pytest.mark.parametrize("pair", [noises, tones])
@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("difference_db", [-30.0, -6.0, 6.0])
def test_crossfade_of_unequal_levels_never_leaves_them(pair, rho, difference_db) -> None:
    left, right = pair(rho)
    right = (right * 10 ** (difference_db / 20)).astype(np.float32)

    seam = crossfade(left, right)

    low, high = sorted((level_db(left), level_db(right)))
    levels = [level_db(seam[:, at : at + 8820]) for at in range(0, OVERLAP - 8820, 8820)]
    assert low - 0.5 <= min(levels)
    assert max(levels) <= high + 0.5
    steps = np.diff(levels) * np.sign(difference_db)
    assert steps.min() > -0.5


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_correlation_is_that_of_the_pair_whatever_the_levels(rho: float) -> None:
    left, right = noises(rho)

    assert correlation(left, 0.01 * right) == pytest.approx(rho, abs=0.02)


def test_correlation_of_silence_and_of_opposites_is_zero() -> None:
    left = noise(1, 1000)

    assert correlation(left, np.zeros_like(left)) == 0.0
    assert correlation(left, -left) == 0.0
    assert correlation(left[:, :0], left[:, :0]) == 0.0


def test_crossfade_begins_as_the_left_and_ends_as_the_right() -> None:
    left, right = tone(200, OVERLAP), noise(3, OVERLAP)

    seam = crossfade(left, right)

    np.testing.assert_allclose(seam[:, :20], left[:, :20], atol=1e-3)
    np.testing.assert_allclose(seam[:, -20:], right[:, -20:], atol=1e-3)


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_crossfade_of_hardly_any_overlap_is_finite_and_exact(overlap: int) -> None:
    seam = crossfade(noise(1, overlap), noise(2, overlap))

    assert seam.shape == (2, overlap)
    assert seam.dtype == np.float32
    assert np.isfinite(seam).all()


def test_crossfade_refuses_sides_of_different_length() -> None:
    with pytest.raises(ValueError, match="differ"):
        crossfade(noise(1, 10), noise(2, 11))


@given(st.floats(0, 1), st.integers(1, 5000))
def test_seam_gains_hold_the_power_of_equally_loud_sides(rho: float, overlap: int) -> None:
    fade_out, fade_in = seam_gains(overlap, rho)

    power = fade_out**2 + fade_in**2 + 2 * rho * fade_out * fade_in
    np.testing.assert_allclose(power, 1.0, rtol=1e-12)


@given(st.integers(0, 200_000), st.integers(1, 10**7), st.integers(1, 10**7))
def test_overlap_leaves_room_for_the_seam_on_the_other_side(tail, left, right) -> None:
    overlap = overlap_samples(tail, left, right)

    assert 0 <= overlap <= tail
    assert 2 * overlap <= min(left, right)
