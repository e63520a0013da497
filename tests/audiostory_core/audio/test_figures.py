from itertools import pairwise

import numpy as np
import pytest

from audiostory_core.audio.balance import Balance, Ducking
from audiostory_core.audio.figures import measure_sum, measured_span, sum_seams
from audiostory_core.audio.loudness import (
    SegmentLoudness,
    measure_range,
    measure_segment,
    measure_slice,
    measure_waveform,
)
from audiostory_core.audio.mixdown import Chain, MixSegment, Silence
from audiostory_core.audio.pcm import Waveform, rounded
from audiostory_core.audio.rendering import render_end, render_opening, render_seam
from audiostory_core.audio.seams import measure_seam
from audiostory_core.audio.stems import InMemory, StemSum
from audiostory_core.errors import UnreadableAudio
from audiostory_core.stem import Stem
from tests.support.signals import kept, noise, spiky

LENGTH, TAIL = 120_000, 20_000
BODY = (TAIL, LENGTH - TAIL)  # offset and samples
BALANCE = Balance(
    gains={Stem.EFFECTS: ((0, -4.0),), Stem.MUSIC: ((500_000, 0.0), (600_000, -6.0))},
    ducking=Ducking(),
    spoken=((470_000, 520_000), (560_000, 561_000)),
)
AT = 500_000  # of the body in the story


def clip(seed: int) -> Waveform:
    return rounded(spiky(seed, LENGTH + TAIL, 4))


def is_equal(left: SegmentLoudness, right: SegmentLoudness) -> bool:
    return left.samples == right.samples and left.as_bytes() == right.as_bytes()


@pytest.mark.parametrize(("offset", "samples"), [BODY, (0, LENGTH), (100, 7), (30_000, 110_000)])
def test_figures_of_one_stem_are_those_of_its_file(tmp_path, offset, samples) -> None:
    whole = kept(tmp_path, "clip", clip(1))
    stems, at_hand = {Stem.EFFECTS: (whole.path, offset)}, {Stem.EFFECTS: (clip(1), offset)}

    measured = measure_sum(stems, samples, Balance(), AT)

    assert is_equal(measured, measure_segment(MixSegment(whole.path, offset, samples)))
    assert is_equal(measured, measure_sum(at_hand, samples, Balance(), AT))
    assert is_equal(measured, measure_range(Chain([whole]), offset, offset + samples))


def test_figures_of_a_body_are_those_of_its_mixed_clips(tmp_path) -> None:
    clips = {stem: clip(k) for k, stem in enumerate(Stem) if stem != "composite"}
    start, stop = AT - TAIL, AT + LENGTH
    sources = {stem: InMemory(waveform) for stem, waveform in clips.items()}
    mixed = StemSum(sources, BALANCE, start).read(0, stop - start)
    music = kept(tmp_path, "music", clips[Stem.MUSIC]).path

    stems = {stem: (waveform, TAIL) for stem, waveform in clips.items()}
    measured = measure_sum(stems | {Stem.MUSIC: (music, TAIL)}, BODY[1], BALANCE, AT)

    assert is_equal(measured, measure_slice(mixed, *BODY))
    assert not is_equal(measured, measure_sum(stems, BODY[1], Balance(), AT))


def test_figures_depend_on_no_more_of_the_balance_than_their_span() -> None:
    first, stop = measured_span(AT, BODY[1])
    stems = {Stem.MUSIC: (clip(1), TAIL), Stem.EFFECTS: (clip(2), TAIL)}
    far = BALANCE.model_copy(update={"spoken": ((0, first - 30_000), *BALANCE.spoken)})
    near = BALANCE.model_copy(update={"spoken": ((first - 4, first - 3), *BALANCE.spoken[1:])})
    measured = measure_sum(stems, BODY[1], BALANCE, AT)

    assert far.around(first, stop, stems) == BALANCE.around(first, stop, stems)
    assert is_equal(measure_sum(stems, BODY[1], far, AT), measured)
    assert near.around(first, stop, stems) != BALANCE.around(first, stop, stems)
    assert not is_equal(measure_sum(stems, BODY[1], near, AT), measured)


def test_figures_of_a_story_in_parts_are_those_of_the_whole() -> None:
    """Measured part by part out of the mix, peaks and energies leave nothing out."""
    total = StemSum(
        {s: InMemory(clip(k)) for k, s in enumerate((Stem.MUSIC, Stem.EFFECTS))}, BALANCE, AT
    )
    cuts = [0, 44_100, 88_200, total.samples]

    parts = [measure_range(total, a, b) for a, b in pairwise(cuts)]
    whole = measure_range(total, 0, total.samples)

    assert max(part.true_peak for part in parts) == whole.true_peak
    energies = np.concatenate([part.energies for part in parts])
    np.testing.assert_allclose(energies, whole.energies, rtol=1e-4, atol=1e-7)


def test_figures_of_silence_are_zero() -> None:
    measured = measure_sum({}, 10_000, BALANCE, AT)

    assert measured.samples == 10_000
    assert not measured.energies.any()
    assert measured.true_peak == 0.0


def test_figures_of_a_clip_that_is_too_short_say_which(tmp_path) -> None:
    short = kept(tmp_path, "short", noise(1, 5000)).path

    with pytest.raises(UnreadableAudio, match=r"short\.flac"):
        measure_sum({Stem.MUSIC: (short, 4000)}, 1001, Balance(), 0)


def seams() -> dict[Stem, tuple]:
    left, right = clip(1), clip(2)
    return {
        Stem.DIALOGUE: render_opening(0.3 * left, LENGTH, 0.3 * right, TAIL),
        Stem.MUSIC: render_seam(left, LENGTH, right, TAIL),
        Stem.EFFECTS: render_end(right, LENGTH, TAIL),
    }


def test_figures_of_a_seam_are_those_of_its_mix() -> None:
    rendered = seams()

    total = sum_seams(rendered, BALANCE, AT)
    measured = measure_sum({s: seam.in_place for s, seam in rendered.items()}, TAIL, BALANCE, AT)

    assert is_equal(measured, measure_waveform(total.waveform, total.before, total.after))
    gains = {stem: BALANCE.gain(stem, AT, AT + TAIL) for stem in rendered}
    wanted = sum(seam.waveform * gains[stem] for stem, seam in rendered.items())
    np.testing.assert_allclose(total.waveform, wanted, atol=1e-6)


def test_seams_of_different_surroundings_are_added_up_in_place() -> None:
    short = render_seam(clip(1)[:, -TAIL - 50 :], 50, clip(2)[:, : TAIL + 9], TAIL)

    total = sum_seams({Stem.MUSIC: short, Stem.DIALOGUE: seams()[Stem.DIALOGUE]}, Balance(), AT)

    other = seams()[Stem.DIALOGUE]
    assert np.array_equal(total.before[:, :-50], other.before[:, :-50])
    np.testing.assert_allclose(total.before[:, -50:], (other.before[:, -50:] + short.before))
    np.testing.assert_allclose(total.after[:, :9], other.after[:, :9] + short.after)
    assert np.array_equal(total.after[:, 9:], other.after[:, 9:])


def test_seam_of_a_sum_has_figures_for_its_author() -> None:
    total = sum_seams(seams(), BALANCE, AT)

    figures = measure_seam(total.left, total.right, total.waveform, total.before, total.after)

    assert figures.silence_s == 0.0
    assert figures.excess_db < 3.0


def test_seam_in_a_chain_is_heard_where_it_is_measured(tmp_path) -> None:
    """A seam with a tail alone: its chain goes on into silence."""
    whole = kept(tmp_path, "left", clip(1))
    end = render_end(whole.path, LENGTH, TAIL)
    path = kept(tmp_path, "end", end.waveform).path
    chain = Chain([MixSegment(whole.path, 0, LENGTH), MixSegment(path, 0, TAIL), Silence(50_000)])

    measured = measure_range(chain, LENGTH, LENGTH + TAIL)

    alone = measure_sum({Stem.MUSIC: end.in_place}, TAIL, Balance(), 0)
    np.testing.assert_allclose(measured.energies, alone.energies, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(measured.peaks, alone.peaks, atol=1e-6)
