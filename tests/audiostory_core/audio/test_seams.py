import json

import numpy as np
import pytest

from audiostory_core.audio.crossfade import crossfade
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.seams import SeamFigures, measure_seam, remarks
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import noise, tone

SAMPLES = 4 * SAMPLE_RATE
OVERLAP = 3 * SAMPLE_RATE
SIDE = SAMPLES - OVERLAP


def figures_of(left: Waveform, right: Waveform, seam: Waveform | None = None) -> SeamFigures:
    """`left` ends with the overlap, `right` begins with it."""
    ending, opening = left[:, SIDE:], right[:, :OVERLAP]
    mixed = crossfade(ending, opening) if seam is None else seam
    return measure_seam(ending, opening, mixed, left[:, :SIDE], right[:, OVERLAP:])


@pytest.mark.parametrize("right_level", [0.001, 0.03, 0.1, 0.3])
def test_seam_of_a_crossfade_stays_within_its_sides(right_level: float) -> None:
    figures = figures_of(noise(1, SAMPLES), noise(2, SAMPLES, right_level))

    assert figures.excess_db < 0.3
    assert figures.step_db == pytest.approx(20 * np.log10(right_level / 0.1), abs=0.3)
    assert figures.overlap_s == 3.0
    assert remarks(figures) == ()


def test_seam_that_dips_is_measured_and_told() -> None:
    dip = 0.1 * noise(3, OVERLAP)

    figures = figures_of(noise(1, SAMPLES), noise(2, SAMPLES), dip)

    assert figures.excess_db == pytest.approx(20.0, abs=0.5)
    assert figures.in_db == pytest.approx(-40.0, abs=0.3)
    assert "20." in remarks(figures)[0] or "19." in remarks(figures)[0]


def test_seam_that_swells_is_measured() -> None:
    figures = figures_of(noise(1, SAMPLES), noise(2, SAMPLES), 2 * noise(3, OVERLAP))

    assert figures.excess_db == pytest.approx(6.0, abs=0.3)


def test_seam_with_a_hole_says_how_long_it_is() -> None:
    left, right = noise(1, SAMPLES), noise(2, SAMPLES)
    left[:, SIDE + SAMPLE_RATE // 2 :] = 0
    right[:, :SAMPLE_RATE] = 0

    figures = figures_of(left, right)

    assert figures.silence_s == pytest.approx(0.5, abs=0.051)
    assert "gap of 0.5 s" in remarks(figures)[-1]


def test_seam_into_silence_has_no_hole() -> None:
    figures = figures_of(noise(1, SAMPLES), np.zeros((2, SAMPLES), np.float32))

    assert figures.silence_s == 0.0
    assert figures.excess_db == 0.0
    assert figures.centroid_step_octaves == 0.0


def test_seam_centroid_tells_how_much_brighter_the_next_scene_is() -> None:
    figures = figures_of(tone(500, SAMPLES), tone(2000, SAMPLES))

    assert figures.centroid_step_octaves == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("overlap", [0, 1, 500])
def test_seam_figures_of_hardly_any_overlap_are_plain_data(overlap: int) -> None:
    side = noise(1, overlap)
    figures = measure_seam(side, side, side, side[:, :0], noise(2, 10))

    assert SeamFigures(**json.loads(json.dumps(figures.as_dict(), allow_nan=False))) == figures
