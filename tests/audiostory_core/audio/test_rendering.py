import numpy as np
import pytest

from audiostory_core.audio.rendering import render_end, render_opening, render_seam
from tests.support.signals import kept, noise

LEFT_END, OVERLAP = 30_000, 10_000
LEFT, RIGHT = noise(1, LEFT_END + OVERLAP), noise(2, 40_000)


def test_end_of_a_clip_fades_out_at_equal_power() -> None:
    end = render_end(LEFT, LEFT_END, OVERLAP)

    tail = LEFT[:, LEFT_END:]
    theta = (np.arange(OVERLAP) + 0.5) / OVERLAP * np.pi / 2
    np.testing.assert_allclose(end.waveform, tail * np.cos(theta), atol=1e-7)
    assert np.array_equal(end.before, LEFT[:, LEFT_END - OVERLAP : LEFT_END])
    assert np.array_equal(end.left, tail)
    assert not end.right.any()
    assert not end.after.any()


def test_end_of_a_clip_complements_an_opening_that_fades_in() -> None:
    """The powers of what fades out and of what would fade in add up to one."""
    ones = np.ones((2, LEFT_END + OVERLAP), np.float32)

    fade = render_end(ones, LEFT_END, OVERLAP).waveform

    np.testing.assert_allclose(fade**2 + fade[:, ::-1] ** 2, 1.0, atol=1e-6)


def test_opening_is_begun_as_it_is() -> None:
    opening = render_opening(LEFT, LEFT_END, RIGHT, OVERLAP)

    assert np.array_equal(opening.waveform, RIGHT[:, :OVERLAP])
    assert np.array_equal(opening.before, LEFT[:, LEFT_END - OVERLAP : LEFT_END])
    assert np.array_equal(opening.after, RIGHT[:, OVERLAP : 2 * OVERLAP])
    assert not opening.left.any()


def test_opening_of_nothing_is_silence() -> None:
    for left, right in ((LEFT, None), (None, None)):
        opening = render_opening(left, LEFT_END, right, OVERLAP)
        assert opening.waveform.shape == (2, OVERLAP)
        assert not opening.waveform.any()
        assert opening.before.any() == (left is not None)


@pytest.mark.parametrize(
    "render",
    [
        lambda left, right: render_seam(left, LEFT_END, right, OVERLAP),
        lambda left, right: render_opening(left, LEFT_END, right, OVERLAP),
        lambda left, _: render_end(left, LEFT_END, OVERLAP),
    ],
    ids=["both", "opening", "end"],
)
def test_seam_in_place_is_all_of_it(tmp_path, render) -> None:
    left, right = (kept(tmp_path, str(k), each).path for k, each in enumerate((LEFT, RIGHT)))

    seam = render(left, right)
    stretch, at = seam.in_place

    assert at == OVERLAP
    assert np.array_equal(stretch[:, at : at + OVERLAP], seam.waveform)
    assert np.array_equal(stretch[:, :at], seam.before)
    assert np.array_equal(stretch[:, at + OVERLAP :], seam.after)
