"""Whole scenes of simple sounds, measured."""

from dataclasses import replace

import numpy as np
import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.scene import levels
from audiostory_core.story.plan import CastMember
from tests.support.foley_fakes import (
    KINDS,
    SECOND,
    ToneVoice,
    brightness_hz,
    lexicon,
    line,
    request,
    sound,
)
from tests.support.sounds import level_db


@pytest.fixture(scope="module")
def foley():
    return Foley(KINDS, lexicon(), ToneVoice())


def _clip(foley, *args, **kwargs):
    return foley.synthesize([request(*args, **kwargs)])[0]


def _onsets(waveform, threshold_db=-40.0):
    """Count rises through the threshold of the level of 10 ms frames."""
    frames = waveform[:, : waveform.shape[1] // 441 * 441].reshape(2, -1, 441)
    levels = 10 * np.log10(np.mean(np.sum(frames**2, axis=0), axis=1) + 1e-20)
    loud = levels > threshold_db
    return int(np.sum(loud[1:] & ~loud[:-1])) + int(loud[0])


def _tone_db(waveform, hertz):
    """Return the level of one frequency, [N] in 0.1 s steps."""
    frame = SECOND // 10
    mono = waveform.mean(axis=0)[: waveform.shape[1] // frame * frame].reshape(-1, frame)
    phase = np.exp(-2j * np.pi * hertz * np.arange(frame) / SECOND)
    return 20 * np.log10(np.abs(np.mean(mono * phase, axis=1)) + 1e-9)


def test_scene_of_three_knocks_has_three_onsets(foley):
    assert _onsets(_clip(foley, "three knocks").waveform) == 3


def test_sounds_happen_in_the_order_of_the_text(foley):
    clip = _clip(foley, "three knocks, then a siren", seconds=10.0)

    siren = _tone_db(clip.waveform, 800.0) > -50
    assert not siren[:12].any()
    assert siren[30:90].all()


def test_sounds_happen_in_the_order_of_the_layers(foley):
    clip = _clip(foley, "x", sound("siren"), sound("piano"), seconds=12.0)

    siren, piano = _tone_db(clip.waveform, 800.0), _tone_db(clip.waveform, _piano_hz(foley))
    assert np.mean(siren[5:45]) > np.mean(siren[75:110]) + 20
    assert np.mean(piano[75:110]) > np.mean(piano[5:45]) + 20


def _piano_hz(foley):
    alone = _clip(foley, "x", sound("piano"), seconds=6.0).waveform.mean(axis=0)
    return np.argmax(np.abs(np.fft.rfft(alone))) / 6.0


def test_joined_sounds_run_together(foley):
    clip = _clip(foley, "a siren while a truck drives away", seconds=10.0)

    siren = _tone_db(clip.waveform, 800.0)
    assert siren[3:95].min() > -45
    assert level_db(clip.waveform[:, :SECOND]) > level_db(clip.waveform[:, -2 * SECOND :]) + 1.0


def test_layers_that_the_caption_joins_run_together(foley):
    caption = "a truck idles while a siren wails"
    layers = sound("a truck idles"), sound("a siren wails")

    together = _clip(foley, caption, *layers, seconds=10.0)
    apart = _clip(foley, caption.replace(" while", ", then"), *layers, seconds=10.0)

    assert _tone_db(together.waveform, 800.0)[3:40].min() > -45
    assert _tone_db(apart.waveform, 800.0)[3:40].max() < -45


def test_bed_runs_from_first_to_last_sample_of_the_tail(foley):
    clip = _clip(foley, "three knocks in the rain", seconds=9.0, tail_s=3.0)

    quietest = min(level_db(part) for part in np.split(clip.waveform, 18, axis=1)[1:])
    assert quietest > KINDS["rain"].level_db - 1.0


def test_oneshots_happen_before_the_tail(foley):
    clip = _clip(foley, "knock, knock, knock", seconds=8.0, tail_s=3.0)

    assert _onsets(clip.waveform[:, : 5 * SECOND]) == _onsets(clip.waveform) == 6


def test_lasting_sound_runs_on_into_the_tail(foley):
    clip = _clip(foley, "a siren", seconds=8.0, tail_s=3.0)

    assert _tone_db(clip.waveform, 800.0)[-5:].min() > -45


def test_story_that_ends_fades_out(foley):
    ends = _clip(foley, "rain", seconds=5.0).waveform
    goes_on = _clip(foley, "rain", seconds=5.0, tail_s=2.0).waveform

    assert np.abs(ends[:, -1]).max() < 1e-4
    assert level_db(goes_on[:, -2000:]) > -36


def test_approaching_source_rises_and_brightens_in_the_scene(foley):
    clip = _clip(foley, "an approaching truck", seconds=9.0).waveform

    first, last = clip[:, : 3 * SECOND], clip[:, -4 * SECOND : -SECOND]
    assert level_db(last) - level_db(first) > 6.0
    assert brightness_hz(last) > 1.3 * brightness_hz(first)


def test_distant_source_is_quieter_and_duller(foley):
    near = _clip(foley, "truck").waveform
    far = _clip(foley, "a distant truck").waveform

    assert level_db(near) - level_db(far) > 8.0
    assert brightness_hz(far) < 0.5 * brightness_hz(near)


def test_reverberant_place_rings_after_the_sound():
    tone = replace(KINDS["room_tone"], level_db=-90.0)
    foley = Foley({**KINDS, "room_tone": tone}, lexicon(), ToneVoice())

    def ringing_db(caption):
        waveform = _clip(foley, caption, seconds=6.0).waveform
        envelope = np.sum(waveform**2, axis=0)
        last = int(np.flatnonzero(envelope > 0.05 * envelope.max())[-1])
        return level_db(waveform[:, last + SECOND // 20 : last + SECOND // 5]) - level_db(
            waveform[:, last - SECOND // 10 : last]
        )

    assert ringing_db("EXT.\nknock") + 6 < ringing_db("INT.\nknock")


def test_words_are_spoken_in_the_order_of_the_layers(foley):
    clip = _clip(foley, "x", sound("siren"), line("Who is there at this hour"), seconds=8.0)

    speech, siren = _tone_db(clip.waveform, 300.0), _tone_db(clip.waveform, 800.0)
    said = np.flatnonzero(speech > -35)
    assert said.size == pytest.approx(15, abs=2)
    assert said[0] > 50
    assert siren[: said[0] - 8].min() > -45


def test_bed_steps_back_under_speech(foley):
    clip = _clip(foley, "rain", sound("rain", "ambience"), line("o" * 40), seconds=8.0)

    speech = _tone_db(clip.waveform, 300.0) > -35
    said = np.flatnonzero(speech)
    spectrum = _high_band_db(clip.waveform)
    assert np.mean(spectrum[said[4:-4]]) == pytest.approx(np.mean(spectrum[60:75]) - 6.0, abs=1.0)


def _high_band_db(waveform):
    frame = SECOND // 10
    frames = waveform[0, : waveform.shape[1] // frame * frame].reshape(-1, frame)
    power = np.abs(np.fft.rfft(frames, axis=1)[:, 500:]) ** 2
    return 10 * np.log10(np.mean(power, axis=1))


def test_line_that_is_a_little_too_long_is_hurried(foley):
    clip = _clip(foley, "x", line("o" * 100), seconds=5.5)

    assert clip.warnings == ()
    assert (_tone_db(clip.waveform, 300.0) > -40).sum() == pytest.approx(50, abs=4)


def test_line_that_is_much_too_long_is_flagged_and_complete(foley):
    clip = _clip(foley, "x", line("o" * 300), seconds=5.0)

    assert len(clip.warnings) == 1
    assert "3.9 times as fast" in clip.warnings[0]


def test_lines_that_do_not_fit_overlap_and_are_flagged(foley):
    clip = _clip(foley, "x", line("o" * 80, "ANNA"), line("o" * 80, "BEN"), seconds=5.5)

    assert any("overlap" in warning for warning in clip.warnings)


def test_speakers_have_voices_of_their_own(foley):
    cast = (CastMember(name="ANNA"), CastMember(name="BEN"))
    asked = request("x", line("o" * 20, "ANNA"), line("o" * 20, "BEN"), seconds=8.0)
    clip = foley.synthesize([asked.__class__(**{**vars(asked), "cast": cast})])[0]

    spectrum = np.abs(np.fft.rfft(clip.waveform.mean(axis=0)))
    peaks = [hertz for hertz in range(300, 4000, 50) if spectrum[hertz * 8] > 0.5 * spectrum.max()]
    assert len(peaks) == 2


def test_peaks_of_loud_things_leave_room():
    loud = {**KINDS, **{name: replace(KINDS[name], level_db=0.0) for name in ("truck", "knock")}}
    foley = Foley(loud, lexicon(), ToneVoice())
    clip = _clip(foley, "rain, a truck, then three knocks", seconds=9.0)

    assert 0.3 < np.abs(clip.waveform).max() <= levels.SCENE_PEAK + 1e-6


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_short_scene_of_many_things_is_whole(foley, seconds):
    asked = ("rain", sound("three knocks"), sound("siren"), line("Go."), sound("piano", "music"))
    clip = _clip(foley, *asked, seconds=seconds)

    assert clip.waveform.shape == (2, round(seconds * SECOND))
    assert np.isfinite(clip.waveform).all()


def test_pause_keeps_its_turn(foley):
    clip = _clip(foley, "three knocks, a pause, then a siren", seconds=12.0)

    siren = _tone_db(clip.waveform, 800.0) > -50
    assert np.argmax(siren) > 35
    assert "silence: pause" in clip.matched
