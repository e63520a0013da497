import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audiostory_core.audio.activity import speech_activity
from audiostory_core.audio.balance import Balance, Ducking, gain_points
from audiostory_core.audio.limiter import BLOCK, CEILING_DBTP
from audiostory_core.audio.loudness import BIN, measure_range
from audiostory_core.audio.mastering import TARGET_LUFS, choose_master_gain
from audiostory_core.audio.mixdown import (
    OPEN_FILES,
    Chain,
    MasterGain,
    Mixdown,
    MixSegment,
    Silence,
)
from audiostory_core.audio.pcm import Waveform
from audiostory_core.audio.stems import InMemory, StemSum
from audiostory_core.errors import UnreadableAudio
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import independent_peak_dbtp, kept, noise, spiky, stitched, tone

LENGTH = 9 * SAMPLE_RATE + 17
WORDS = ((88_200, 132_300), (220_500, 264_600))
LIMITED = MasterGain(gain_db=6.0, limiting=True)


def speech(seed: int = 9) -> Waveform:
    """Noise that swells where `WORDS` are, and is nothing elsewhere."""
    waveform = np.zeros((2, LENGTH), np.float32)
    for start, stop in WORDS:
        waveform[:, start:stop] = noise(seed, stop - start, 0.2)
    return waveform


def chains(folder: Path) -> dict[Stem, Chain]:
    """Three stems: a line with silence around it, music of three clips, effects with a gap."""
    line = kept(folder, "line", speech())
    (folder / "music").mkdir()
    scenes = [100_003, 150_001, LENGTH - 250_004]
    clips = [spiky(k, n + 44_100 * (k < 2), 3) for k, n in enumerate(scenes)]
    music = stitched(folder / "music", clips, scenes, 44_100)
    knocks = kept(folder, "knocks", spiky(7, 100_000, 4))
    rest = LENGTH - 160_000
    return {
        Stem.DIALOGUE: Chain(
            [MixSegment(line.path, 0, 140_000), MixSegment(line.path, 140_000, LENGTH - 140_000)]
        ),
        Stem.MUSIC: Chain(music),
        Stem.EFFECTS: Chain([knocks, Silence(60_000), Silence(rest)]),
    }


BALANCE = Balance(
    gains={
        Stem.MUSIC: gain_points([(0, 0, -2.0), (100_003, 44_100, -5.0), (250_004, 44_100, 1.0)]),
        Stem.DIALOGUE: ((0, 1.5),),
    },
    ducking=Ducking(),
    spoken=WORDS,
)


@pytest.fixture(scope="module")
def stems(tmp_path_factory) -> Iterator[StemSum]:
    total = StemSum(chains(tmp_path_factory.mktemp("stems")), BALANCE)
    yield total
    total.close()


def test_chain_without_a_file_is_silence(tmp_path) -> None:
    clip = kept(tmp_path, "clip", noise(1, 1000))
    chain = Chain([Silence(10), clip, Silence(0), Silence(5)])

    waveform = chain.read(0, chain.samples)

    assert chain.samples == 1015
    assert chain.segments == (clip,)
    assert not waveform[:, :10].any()
    assert not waveform[:, 1010:].any()
    np.testing.assert_allclose(waveform[:, 10:1010], noise(1, 1000), atol=1e-6)
    chain.close()


def test_chain_keeps_few_files_open_and_reads_on_after_it_was_closed(tmp_path) -> None:
    clips = [kept(tmp_path, f"clip{k}", noise(k, 500)) for k in range(OPEN_FILES + 3)]
    chain = Chain(clips)

    before = chain.read(0, chain.samples)
    opened = [path for path in Path("/proc/self/fd").iterdir() if _is_in(path, tmp_path)]
    chain.close()

    assert len(opened) == OPEN_FILES
    assert not [path for path in Path("/proc/self/fd").iterdir() if _is_in(path, tmp_path)]
    assert np.array_equal(chain.read(0, chain.samples), before)
    chain.close()


def _is_in(descriptor: Path, folder: Path) -> bool:
    return descriptor.exists() and descriptor.resolve().is_relative_to(folder)


def test_sum_is_every_stem_by_its_gain(stems) -> None:
    wanted = np.zeros((2, LENGTH))
    for stem, chain in stems.stems.items():
        gain = np.broadcast_to(BALANCE.gain(stem, 0, LENGTH), (LENGTH,))
        wanted += chain.read(0, LENGTH) * gain.astype(np.float64)

    np.testing.assert_allclose(stems.read(0, LENGTH), wanted, atol=1e-6)


def test_stems_read_alone_add_up_to_the_mix(stems) -> None:
    with Mixdown(stems) as mix:
        whole = mix.read(0, LENGTH)
    alone = np.zeros_like(whole)
    for stem in stems.stems:
        with Mixdown(stems.stem(stem)) as mix:
            alone += np.concatenate(list(mix.blocks()), axis=1)

    np.testing.assert_allclose(alone, whole, atol=1e-6)


@pytest.mark.parametrize("mastering", [None, MasterGain(-3.3, limiting=False), LIMITED])
def test_sum_reads_any_range_as_a_slice_of_the_whole(stems, mastering) -> None:
    with Mixdown(stems, mastering) as mix:
        whole = np.concatenate(list(mix.blocks()), axis=1)
    assert whole.shape == (2, LENGTH)
    ranges = [
        *((0, 0), (0, 1), (LENGTH - 1, LENGTH), (BLOCK - 1, BLOCK + 1), (100_000, 100_010)),
        *((88_190, 88_205), (77_000, 88_201), (132_299, 150_000), (BLOCK + 5, LENGTH - 3)),
    ]

    for start, stop in ranges:
        with Mixdown(stems, mastering) as mix:
            assert np.array_equal(mix.read(start, stop), whole[:, start:stop])


def test_sum_of_one_stem_at_its_own_level_is_that_chain(tmp_path) -> None:
    clip = kept(tmp_path, "clip", spiky(3, LENGTH, 5))
    with (
        Mixdown([clip], LIMITED) as mix,
        Mixdown(StemSum({Stem.EFFECTS: Chain([clip])}, Balance()), LIMITED) as total,
    ):
        assert np.array_equal(mix.read(0, LENGTH), total.read(0, LENGTH))


def test_sum_of_a_part_has_the_gains_of_its_place(stems) -> None:
    first, stop = 80_000, 140_000
    part = StemSum(
        {s: InMemory(c.read(first, stop)) for s, c in stems.stems.items()}, BALANCE, first
    )

    assert np.array_equal(part.read(0, stop - first), stems.read(first, stop))


def test_sum_refuses_stems_of_different_lengths_and_a_range_outside(stems) -> None:
    sources = {Stem.MUSIC: Chain([Silence(5)]), Stem.EFFECTS: Chain([Silence(6)])}

    with pytest.raises(ValueError, match="5, 6"):
        StemSum(sources, Balance())
    with pytest.raises(ValueError, match="not within"):
        stems.read(0, LENGTH + 1)


def test_sum_of_nothing_reads_nothing() -> None:
    with Mixdown(StemSum({}, Balance()), LIMITED) as mix:
        assert mix.read(0, 0).shape == (2, 0)


def test_mixdown_of_a_source_leaves_its_files_to_it(tmp_path) -> None:
    clip = kept(tmp_path, "clip", noise(1, 1000))

    with pytest.raises(TypeError, match="by itself"):
        Mixdown(Chain([clip]), None, lambda _: True)
    with Mixdown(Chain([clip], lambda _: False)) as mix, pytest.raises(UnreadableAudio):
        mix.read(0, 10)


def test_reading_a_waveform_does_not_lend_it_out() -> None:
    waveform = noise(1, 1000)
    StemSum({Stem.MUSIC: InMemory(waveform)}, Balance(gains={Stem.MUSIC: ((0, -6.0),)})).read(0, 99)

    assert np.array_equal(waveform, noise(1, 1000))


def test_mastering_of_a_sum_reaches_loudness_and_peak(tmp_path) -> None:
    sources = {
        Stem.DIALOGUE: InMemory(0.2 * speech()),
        Stem.MUSIC: InMemory(noise(1, LENGTH, 0.02)),
        Stem.EFFECTS: InMemory(spiky(5, LENGTH, 9, level=0.01)),
    }
    total = StemSum(sources, BALANCE)
    cuts = [0, 100_003, 250_004, LENGTH]
    loudness = [measure_range(total, *cut) for cut in pairwise(cuts)]

    mastering, report = choose_master_gain(total, loudness)

    with Mixdown(total, mastering) as mix:
        heard = mix.read(0, LENGTH)
        measured = measure_range(InMemory(heard), 0, LENGTH)
    assert report.reduction_db > 0
    assert report.loudness_lufs == pytest.approx(TARGET_LUFS, abs=0.5)
    assert independent_peak_dbtp(heard) <= CEILING_DBTP
    assert report.true_peak_dbtp == pytest.approx(20 * np.log10(measured.true_peak), abs=0.01)


def level_db(waveform: Waveform) -> float:
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


def test_music_is_ducked_under_the_words_that_were_measured(tmp_path) -> None:
    line, music = speech(), noise(2, LENGTH, 0.1)
    spoken = speech_activity(line)
    total = StemSum(
        {Stem.DIALOGUE: InMemory(line), Stem.MUSIC: InMemory(music)},
        Balance(ducking=Ducking(depth_db=12.0), spoken=spoken),
    )

    heard = total.stem(Stem.MUSIC).read(0, LENGTH)

    for start, stop in WORDS:
        under = level_db(heard[:, start:stop]) - level_db(music[:, start:stop])
        assert under == pytest.approx(-12.0, abs=0.01)
    for start, stop in ((0, 70_000), (170_000, 200_000), (310_000, LENGTH)):
        assert np.array_equal(heard[:, start:stop], music[:, start:stop])
    assert np.array_equal(total.stem(Stem.DIALOGUE).read(0, LENGTH), line)


def test_ducking_makes_no_click(tmp_path) -> None:
    """A click is energy far from a tone that is ducked, in any 10 ms."""
    bed = tone(220, LENGTH)
    total = StemSum({Stem.MUSIC: InMemory(bed)}, Balance(ducking=Ducking(), spoken=WORDS))

    def highest_db(waveform: Waveform) -> float:
        frames = waveform[0, : LENGTH - LENGTH % 441].reshape(-1, 441).astype(np.float64)
        power = np.abs(np.fft.rfft(frames * np.hanning(441), axis=1)) ** 2
        return float(10 * np.log10(power[:, 20:].sum(axis=1).max() / power.sum(axis=1).max()))

    abrupt = bed.copy()
    for start, stop in WORDS:
        abrupt[:, start + 50 : stop + 50] *= np.float32(10 ** (-9 / 20))
    assert highest_db(total.read(0, LENGTH)) < highest_db(bed) + 3
    assert highest_db(abrupt) > highest_db(bed) + 20


def test_memory_of_a_sum_does_not_grow_with_the_story(tmp_path) -> None:
    clip = kept(tmp_path, "clip", spiky(5, 20 * SAMPLE_RATE, 20))

    def peak_bytes(times: int) -> int:
        end = times * clip.samples
        balance = Balance(
            gains={Stem.MUSIC: ((0, 0.0), (end, -12.0))},
            ducking=Ducking(),
            spoken=tuple((at, at + 20_000) for at in range(0, end, 60 * BIN)),
        )
        tracemalloc.start()
        sources = {stem: Chain([clip] * times) for stem in (Stem.MUSIC, Stem.EFFECTS)}
        with Mixdown(StemSum(sources, balance), LIMITED) as mix:
            for _ in mix.blocks():
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_bytes(1)  # fills what is kept of ramps
    assert peak_bytes(4) < 1.1 * peak_bytes(1)
