import numpy as np
import pytest

from audiostory_core.audio.loudness import bin_energies, integrated_lufs, measure_waveform
from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.scene import levels
from audiostory_core.engines.foley.sound import Role, Sound
from audiostory_core.engines.foley.synthesis import dsp
from tests.support.foley_fakes import KINDS, SECOND, ToneVoice, lexicon, line, request, sound
from tests.support.sounds import level_db


@pytest.fixture
def rng():
    return np.random.Generator(np.random.PCG64(5))


def _crest_db(waveform):
    return 20 * np.log10(np.max(np.abs(waveform)) / dsp.loudest_rms(waveform))


def _clicks(rng, samples=4 * SECOND):
    canvas = np.zeros(samples)
    for at in range(SECOND // 4, samples, SECOND // 2):
        dsp.place(canvas, dsp.white(rng, 3000) * dsp.decay(3000, 0.06), at)
    return canvas


def test_transients_are_tamed_and_stay_where_they_are(rng):
    clicks = _clicks(rng)
    tamed = levels.leveled(clicks, -24.0)

    assert _crest_db(clicks) > 20
    assert _crest_db(tamed) < levels.MAX_CREST_DB + 5.0
    assert np.array_equal(tamed != 0, clicks != 0)


def test_tone_gets_its_level_and_no_overtones():
    tone = 0.3 * np.sin(2 * np.pi * 440 * dsp.times(SECOND))
    even = levels.leveled(tone, -20.0)

    assert even / np.max(even) == pytest.approx(tone / np.max(tone), abs=1e-9)
    assert 20 * np.log10(dsp.loudest_rms(even)) == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("kind", ["footsteps", "knock", "hammer", "glass", "applause", "gunshot"])
def test_crest_of_real_sounds_is_bounded(kind, rng):
    made = load_kinds()[kind]
    dry = made.render(Sound(6 * SECOND, rng, rng))

    even = levels.leveled(dry, levels.evened(made.level_db))
    assert _crest_db(even) < levels.MAX_CREST_DB + 3.0
    assert np.max(np.abs(even)) <= levels.SOUND_PEAK + 1e-9


def test_order_of_levels_is_kept():
    natural = sorted(kind.level_db for kind in load_kinds().values() if kind.role is Role.ONESHOT)
    mixed = [levels.evened(level_db) for level_db in natural]

    assert mixed == sorted(mixed)
    assert mixed[-1] - mixed[0] == pytest.approx(levels.SOUND_RATIO * (natural[-1] - natural[0]))


def test_silence_stays_silence():
    assert not levels.leveled(np.zeros(SECOND), -20.0).any()
    assert levels.gated_lufs(np.zeros((2, SECOND), np.float32)) is None
    assert levels.lift_db(np.zeros((2, SECOND), np.float32)) == 0.0


@pytest.mark.parametrize("channels", [1, 2])
def test_limiter_holds_its_ceiling_and_leaves_the_rest_alone(rng, channels):
    waveform = 0.1 * rng.standard_normal((channels, 3 * SECOND))
    waveform[:, SECOND : SECOND + 300] *= 12.0

    limited = levels.limited(waveform, np.full(1, 0.6))

    assert np.max(np.abs(limited)) <= 0.6 + 1e-6
    before = slice(0, SECOND - 8 * levels.BLOCK)
    assert np.array_equal(limited[:, before], waveform[:, before])
    assert np.array_equal(limited[:, -SECOND:], waveform[:, -SECOND:])


def test_limiter_does_not_follow_the_waves_of_a_bass():
    bass = np.sin(2 * np.pi * 55 * dsp.times(2 * SECOND))
    limited = levels.limited(bass, np.full(1, 0.5))

    spectrum = np.abs(np.fft.rfft(limited[SECOND // 2 : -SECOND // 2]))
    assert np.sum(spectrum[65:] ** 2) < 1e-4 * np.sum(spectrum**2)


def test_soft_ceiling_is_never_reached_and_bends_nothing_below_its_knee(rng):
    waveform = rng.standard_normal((2, SECOND)).astype(np.float32)
    bent = levels.softened(waveform.copy(), 1.0)

    quiet = np.abs(waveform) < levels.KNEE
    assert np.array_equal(bent[quiet], waveform[quiet])
    assert np.max(np.abs(bent)) <= 1.0


def test_events_give_way_and_beds_keep_their_level(rng):
    under = 0.02 * rng.standard_normal((2, 2 * SECOND)).astype(np.float32)
    events = np.zeros((2, 2 * SECOND), np.float32)
    events[:, : SECOND // 2] = 0.9

    mixed = levels.under_one_ceiling(events, under)

    assert np.max(np.abs(mixed)) <= levels.SCENE_PEAK + 1e-6
    assert np.array_equal(mixed[:, SECOND:], under[:, SECOND:])


def test_gated_loudness_agrees_with_the_meter(rng):
    noise = np.stack([dsp.colored(rng, 8 * SECOND, -3.0) for _ in "lr"])
    noise[:, : 3 * SECOND] *= 0.001
    waveform = (0.05 * noise).astype(np.float32)

    metered = integrated_lufs(bin_energies([measure_waveform(waveform)]))
    assert levels.gated_lufs(waveform) == pytest.approx(metered, abs=0.5)


def test_quiet_scenes_are_lifted_and_stay_the_quieter_ones(rng):
    noise = rng.standard_normal((2, SECOND)).astype(np.float32)
    gains_db = range(-50, -10, 4)

    lifted = [
        gain_db + levels.lift_db(noise * np.float32(10 ** (gain_db / 20))) for gain_db in gains_db
    ]

    assert lifted == sorted(lifted)
    assert lifted[-1] - lifted[0] < 0.75 * (gains_db[-1] - gains_db[0])


def test_bed_that_is_all_there_is_comes_nearer():
    foley = Foley(KINDS, lexicon(), ToneVoice())
    alone = foley.synthesize([request("rain", seconds=6.0, tail_s=1.0)])[0].waveform
    beneath = foley.synthesize([request("rain, a pause", seconds=6.0, tail_s=1.0)])[0].waveform

    lift_db = level_db(alone[:, SECOND:]) - level_db(beneath[:, SECOND:])
    assert lift_db == pytest.approx(levels.subject_lift_db(-30.0), abs=0.3)


@pytest.mark.parametrize("bed", ["heavy rain", "a waterfall", "waves"])
def test_line_lies_clear_of_the_beds(bed):
    foley = Foley(speech=ToneVoice())
    layers = sound(bed, "ambience"), line("o" * 50)
    clip = foley.synthesize([request(bed, *layers, seconds=8.0)])[0].waveform
    foley.close()

    mono = clip.mean(axis=0)[: 80 * (SECOND // 10)].reshape(80, -1)
    power = np.abs(np.fft.rfft(mono, axis=1)) ** 2
    tone = power[:, 28:33].sum(axis=1)
    said = np.argsort(tone)[-20:]
    rest = power[said].sum(axis=1) - tone[said]
    assert 10 * np.log10(np.mean(tone[said]) / np.mean(rest)) > 10.0


def test_power_of_frames_is_that_of_each_by_itself(rng):
    waveform = rng.standard_normal((2, 40 * levels.FRAME + 777)).astype(np.float32)
    waveform[:, 3 * levels.FRAME : 9 * levels.FRAME] = 0.0
    waveform[1, : 5 * levels.FRAME] = 0.0

    each = [
        levels.frame_power(waveform[:, at : at + levels.FRAME])[0]
        for at in range(0, waveform.shape[1], levels.FRAME)
    ]

    assert np.array_equal(levels.frame_power(waveform), each)
    assert not levels.frame_power(waveform)[3:9].any()


@pytest.mark.parametrize("channels", [(), (1,), (2,)])
def test_peaks_of_blocks_are_the_largest_magnitudes(rng, channels):
    waveform = rng.standard_normal((*channels, 10 * levels.BLOCK + 5)).astype(np.float32)

    blocks = [
        np.abs(waveform[..., at : at + levels.BLOCK]).max()
        for at in range(0, waveform.shape[-1], levels.BLOCK)
    ]

    assert np.array_equal(levels.block_peaks(waveform), blocks)


def test_softening_is_the_same_wherever_a_sample_stands(rng):
    waveform = rng.standard_normal((2, levels.BENT_AT_ONCE + 1000)).astype(np.float32)
    knee, room = levels.KNEE * 2.0, (1 - levels.KNEE) * 2.0
    magnitude = np.abs(waveform)
    bent = np.sign(waveform) * (knee + room * np.tanh((magnitude - knee) / room))
    expected = np.where(magnitude > knee, bent, waveform)

    softened = levels.softened(waveform.copy(), 2.0)

    assert np.allclose(softened, expected, rtol=1e-6)
    assert np.any(softened != waveform)
    assert np.abs(softened).max() <= 2.0
