import subprocess
import sys

import pytest
from matplotlib import image

from audiostory_core.audio.mixdown import MasterGain, Mixdown
from audiostory_core.audio.plot import draw
from audiostory_core.errors import BadInput
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import kept, noise, spiky

CAPTIONS = ["Rain on $5 tin_roofs^2, then a\nlong silence", "消防车离开车站，警笛声大作。", "x", ""]


def test_plot_draws_captions_of_any_script_without_a_warning(tmp_path) -> None:
    clip = kept(tmp_path, "clip", spiky(1, 4 * SAMPLE_RATE, 5))

    with Mixdown([clip], MasterGain(6.0, limiting=True)) as mix:
        draw(mix, [0, 2, 3.5, 3.6], CAPTIONS, [(2, 0.5)], tmp_path / "mix.png", "Ein Märchen 😀")

    picture = image.imread(tmp_path / "mix.png")
    assert picture.shape[:2] == (840, 1920)
    assert picture.std() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.flac", "mix.png"]


@pytest.mark.parametrize(("samples", "scenes"), [(1, 1), (1000, 1), (SAMPLE_RATE, 500)])
def test_plot_draws_very_short_and_very_crowded_mixes(tmp_path, samples, scenes) -> None:
    clip = kept(tmp_path, "clip", noise(1, samples))
    length_s = samples / SAMPLE_RATE

    with Mixdown([clip]) as mix:
        starts_s = [length_s * k / scenes for k in range(scenes)]
        draw(mix, starts_s, ["a crowded street"] * scenes, [], tmp_path / "mix.png")

    assert (tmp_path / "mix.png").stat().st_size > 5000


def test_plot_to_a_place_that_cannot_be_is_explained(tmp_path) -> None:
    clip = kept(tmp_path, "clip", noise(1, 1000))

    for name in ("missing/mix.png", "mix.txt"):
        with Mixdown([clip]) as mix, pytest.raises(BadInput) as caught:
            draw(mix, [0.0], ["rain"], [], tmp_path / name)
        assert caught.value.field == "plot"


def test_plot_leaves_pyplot_alone() -> None:
    script = "import sys, audiostory_core.audio.plot; sys.exit('matplotlib.pyplot' in sys.modules)"

    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)

    assert ended.returncode == 0
