import tracemalloc

import numpy as np
import pytest

from audiostory_core.audio.limiter import BLOCK
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.errors import StudioError
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import kept, noise, spiky, stitched

LIMITED = MasterGain(gain_db=5.0, limiting=True)


@pytest.fixture(scope="module")
def long_mix(tmp_path_factory) -> tuple[MixSegment, ...]:
    """A story of odd lengths, about 9 s, that is loud in places only."""
    folder = tmp_path_factory.mktemp("mix")
    scenes = [100_003, 7, 150_001, 22_051, 130_777]
    tail = 44_100
    lengths = [*(n + tail for n in scenes[:-1]), scenes[-1]]
    clips = [spiky(k, n, 3) for k, n in enumerate(lengths)]
    return tuple(stitched(folder, clips, scenes, tail))


@pytest.mark.parametrize(
    "scenes",
    [[1], [44_101], [22_050, 22_051], [99_991, 3, 1, 50_001], [22_050, 22_050, 500_001]],
)
@pytest.mark.parametrize("tail", [0, 1, 132_300])
def test_mixdown_has_exactly_the_samples_of_its_scenes(tmp_path, scenes, tail) -> None:
    last = len(scenes) - 1
    clips = [noise(k, n + (tail if k < last else 0)) for k, n in enumerate(scenes)]

    with Mixdown(stitched(tmp_path, clips, scenes, tail)) as mix:
        assert mix.samples == sum(scenes)
        assert mix.read(0, mix.samples).shape == (2, sum(scenes))


def test_mixdown_places_every_scene_at_its_start(tmp_path) -> None:
    scenes, tail = [50_001, 40_000, 60_000], 3000
    clips = [noise(k, n + (tail if k < 2 else 0)) for k, n in enumerate(scenes)]

    with Mixdown(stitched(tmp_path, clips, scenes, tail)) as mix:
        whole = mix.read(0, mix.samples)

    for start, clip, samples, opening in zip(
        [0, 50_001, 90_001], clips, scenes, [0, tail, tail], strict=True
    ):
        body = whole[:, start + opening : start + samples]
        np.testing.assert_allclose(body, clip[:, opening:samples], atol=1e-7)


@pytest.mark.parametrize("mastering", [None, MasterGain(-3.3, limiting=False), LIMITED])
def test_mixdown_reads_any_range_as_a_slice_of_the_whole(long_mix, mastering) -> None:
    with Mixdown(long_mix, mastering) as mix:
        whole = np.concatenate(list(mix.blocks()), axis=1)
        assert whole.dtype == np.float32
        end = mix.samples
    ranges = [
        *((0, 0), (0, 1), (end - 1, end), (end, end), (0, end), (7, 8)),
        *((BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (100_000, 100_010), (BLOCK + 5, end - 3)),
    ]

    for start, stop in ranges:
        with Mixdown(long_mix, mastering) as mix:
            assert np.array_equal(mix.read(start, stop), whole[:, start:stop])


def test_mixdown_reads_backwards_as_forwards(long_mix) -> None:
    with Mixdown(long_mix, LIMITED) as mix:
        forwards = list(mix.blocks())
        for index in reversed(range(len(forwards))):
            stop = min((index + 1) * BLOCK, mix.samples)
            assert np.array_equal(mix.read(index * BLOCK, stop), forwards[index])


def test_mixdown_limits_only_where_it_must(long_mix) -> None:
    with Mixdown(long_mix, LIMITED) as mix, Mixdown(long_mix) as stored:
        limited = mix.read(0, mix.samples)
        louder = stored.read(0, mix.samples) * np.float32(10 ** (5 / 20))

    untouched = np.mean(limited == louder)
    assert 0.2 < untouched < 0.95
    assert np.abs(limited).max() < 0.9 < np.abs(louder).max()


def test_mixdown_unlimited_equals_limited_where_no_peak_needs_it(long_mix) -> None:
    with (
        Mixdown(long_mix, MasterGain(-20.0, limiting=True)) as limiting,
        Mixdown(long_mix, MasterGain(-20.0, limiting=False)) as plain,
    ):
        assert np.array_equal(limiting.read(0, plain.samples), plain.read(0, plain.samples))


def test_mixdown_refuses_a_range_outside(long_mix) -> None:
    with Mixdown(long_mix) as mix, pytest.raises(ValueError, match="not within"):
        mix.read(0, mix.samples + 1)


def test_mixdown_of_nothing_reads_nothing() -> None:
    with Mixdown([], LIMITED) as mix:
        assert mix.read(0, 0).shape == (2, 0)
        assert list(mix.blocks()) == []


def test_mixdown_says_which_file_is_missing_short_or_damaged(tmp_path) -> None:
    short = kept(tmp_path, "short", noise(1, 1000))
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(b"fLaC not really")

    for segment in (
        MixSegment(short.path, 0, 1001),
        MixSegment(short.path, 2000, 10),
        MixSegment(damaged, 0, 10),
        MixSegment(tmp_path / "missing.flac", 0, 10),
    ):
        with Mixdown([segment]) as mix, pytest.raises(StudioError, match=segment.path.name):
            mix.read(0, segment.samples)


def test_mixdown_memory_does_not_grow_with_the_story(tmp_path) -> None:
    clip = kept(tmp_path, "clip", spiky(5, 20 * SAMPLE_RATE, 20))

    def peak_bytes(times: int) -> int:
        tracemalloc.start()
        with Mixdown([clip] * times, LIMITED) as mix:
            for _ in mix.blocks():
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(4) < 1.1 * peak_bytes(1)
