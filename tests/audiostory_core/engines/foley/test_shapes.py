"""Layers with a shape: gain, position, distance, start, fades, count and pace, measured."""

from itertools import pairwise

import numpy as np
import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.story.plan import SAMPLE_RATE, SoundLayer, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.spans import spread
from tests.support.sound_features import onsets

SECONDS = 8.0
RAIN = ("ambience", "rain falls")
SIREN = ("sfx", "a siren wails")
KNOCK = ("sfx", "a knock on a door")
PIANO = ("music", "a piano plays")
LINE = "The rain had not stopped for days."


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


def _layer(kind, text, **shape):
    if kind == "speech":
        return SpeechLayer(words=text, **shape)
    return SoundLayer(kind=kind, text=text, **shape)


def _heard(foley, *layers, caption="a scene", seconds=SECONDS, tail_s=0.0):
    samples = round((seconds + tail_s) * SAMPLE_RATE)
    tail = {"tail_samples": round(tail_s * SAMPLE_RATE)}
    request = ClipRequest(caption, layers, samples, 7, "en", parameters=tail, version=2)
    (clip,) = foley.synthesize([request])
    return clip.waveform


def _level_db(waveform):
    return 10 * np.log10(max(np.mean(waveform.astype(float) ** 2), 1e-20))


def _between(waveform, start_s, end_s):
    return waveform[:, round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]


@pytest.mark.parametrize("gain_db", [-24.0, -12.0, -3.0, 3.0])
@pytest.mark.parametrize("sound", [SIREN, KNOCK, PIANO, ("speech", LINE)])
def test_gain_changes_the_level_of_a_layer_by_so_many_db(foley, sound, gain_db):
    room_tone = _heard(foley, _layer(*KNOCK, start_s=SECONDS))
    plain = _heard(foley, _layer(*sound)) - room_tone

    shaped = _heard(foley, _layer(*sound, gain_db=gain_db)) - room_tone

    assert _level_db(shaped) - _level_db(plain) == pytest.approx(gain_db, abs=0.6)


@pytest.mark.parametrize("gain_db", [-12.0, -6.0, 6.0])
def test_gain_changes_the_level_of_a_bed_by_so_many_db(foley, gain_db):
    plain = _heard(foley, _layer(*RAIN))

    shaped = _heard(foley, _layer(*RAIN, gain_db=gain_db))

    assert _level_db(shaped) - _level_db(plain) == pytest.approx(gain_db, abs=0.6)


def test_gain_of_a_layer_leaves_the_others_as_they_are(foley):
    bark = _layer("sfx", "a dog barks", start_s=5)

    loud, quiet = (
        _heard(foley, _layer("sfx", "a bell rings", start_s=0.5, gain_db=gain_db), bark)
        for gain_db in (-1.0, -20.0)
    )

    assert _level_db(_between(quiet, 5, 6)) == pytest.approx(_level_db(_between(loud, 5, 6)), abs=1)
    assert _level_db(_between(quiet, 0.5, 2)) < _level_db(_between(loud, 0.5, 2)) - 12


@pytest.mark.parametrize("sound", [RAIN, SIREN, KNOCK, PIANO, ("speech", LINE)])
def test_pan_moves_the_balance(foley, sound):
    def balance_db(pan):
        left, right = _heard(foley, _layer(*sound, pan=pan))
        return _level_db(right) - _level_db(left)

    balances = [balance_db(pan) for pan in (-0.8, -0.3, 0.3, 0.8)]

    assert balances[0] < -6
    assert balances[-1] > 6
    assert all(before < after for before, after in pairwise(balances))


@pytest.mark.parametrize("sound", [RAIN, SIREN, KNOCK])
def test_distance_takes_level_and_highs(foley, sound):
    def brightness_db(waveform):
        power = np.abs(np.fft.rfft(waveform.mean(axis=0))) ** 2
        hertz = np.fft.rfftfreq(waveform.shape[1], 1 / SAMPLE_RATE)
        return 10 * np.log10(power[hertz > 3000].sum() / power[hertz < 1000].sum())

    near, middle, far = (
        _heard(foley, _layer(*sound, distance=distance)) for distance in (0.0, 0.5, 1.0)
    )

    assert _level_db(near) > _level_db(middle) > _level_db(far)
    assert brightness_db(near) > brightness_db(middle) > brightness_db(far)


def test_distance_as_data_holds_whatever_the_text_says(foley):
    told = _heard(foley, _layer("sfx", "a siren wails in the distance", distance=0.0))

    assert _level_db(told) == pytest.approx(_level_db(_heard(foley, _layer(*SIREN))), abs=1)


@pytest.mark.parametrize("start_s", [0.0, 1.25, 5.5])
@pytest.mark.parametrize("sound", [RAIN, SIREN, KNOCK, PIANO])
def test_start_moves_the_onset(foley, sound, start_s):
    waveform = _heard(foley, _layer(*sound, start_s=start_s))

    loudness = np.abs(waveform).max(axis=0)
    begins = np.flatnonzero(loudness > 0.2 * loudness.max())[0] / SAMPLE_RATE
    assert start_s <= begins < start_s + 0.4


def test_what_starts_at_a_time_takes_no_turn_from_the_others(foley):
    bell = _layer("sfx", "a bell rings", start_s=7.0, gain_db=-60)

    with_bell = _heard(foley, _layer(*KNOCK), bell)

    alone = _heard(foley, _layer(*KNOCK))
    assert onsets(with_bell.mean(axis=0))[0] == pytest.approx(
        onsets(alone.mean(axis=0))[0], abs=0.05
    )


@pytest.mark.parametrize("sound", [RAIN, SIREN, PIANO])
def test_fades_shape_the_envelope(foley, sound):
    plain = _heard(foley, _layer(*sound, start_s=0.0), tail_s=1.0)

    faded = _heard(foley, _layer(*sound, start_s=0.0, fade_in_s=3.0, fade_out_s=3.0), tail_s=1.0)

    def change_db(start_s, end_s):
        spans = (_between(waveform, start_s, end_s) for waveform in (faded, plain))
        after, before = (_level_db(span) for span in spans)
        return after - before

    assert change_db(0.3, 0.8) < -12  # of a raised cosine at a fifth of its length
    assert change_db(1.2, 1.8) == pytest.approx(-6, abs=3)
    assert change_db(3.5, 4.5) == pytest.approx(0, abs=1.5)
    assert change_db(6.2, 6.8) == pytest.approx(-6, abs=3)
    assert change_db(7.2, 7.7) < -12
    assert change_db(8.2, 8.8) < -20  # nothing in the tail but the room


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("text", ["a knock on a door", "three knocks on a door"])
def test_count_gives_so_many_onsets(foley, text, count):
    waveform = _heard(foley, _layer("sfx", text, count=count))

    assert onsets(waveform.mean(axis=0)).size == count


def test_pace_is_the_rate_of_what_happens(foley):
    def rate_hz(pace):
        at_s = onsets(_heard(foley, _layer("sfx", "knocks", count=6, pace=pace)).mean(axis=0))
        return (at_s.size - 1) / (at_s[-1] - at_s[0])

    paces = ("very slow", "slow", "normal", "fast", "very fast")
    rates = [rate_hz(pace) for pace in paces]

    assert all(slower < 0.85 * faster for slower, faster in pairwise(rates))
    assert rates[3] / rates[1] == pytest.approx(1.6 / 0.6, rel=0.25)


def test_pause_before_a_line_delays_it(foley):
    def begins_s(pause_s):
        line = SpeechLayer(words="Stop.", pause_before_s=pause_s)
        loudness = np.abs(_heard(foley, line)).max(axis=0)
        return np.flatnonzero(loudness > 0.2 * loudness.max())[0] / SAMPLE_RATE

    plain_s = begins_s(None)

    assert begins_s(2.0) == pytest.approx(plain_s + 2.0, abs=0.3)


def test_line_whose_pause_does_not_fit_is_spoken_to_its_end(foley):
    line = _layer("speech", "One two three four five.", pause_before_s=30)

    waveform = _heard(foley, line, seconds=3)

    whole = _heard(foley, _layer("speech", "One two three four five."), seconds=3)
    assert _level_db(waveform) == pytest.approx(_level_db(whole), abs=1)


def test_layer_that_starts_after_its_scene_is_a_warning(foley):
    request = ClipRequest(
        "a scene", (_layer(*SIREN, start_s=9),), round(SECONDS * SAMPLE_RATE), 7, "en", version=2
    )

    (clip,) = foley.synthesize([request])

    assert clip.warnings == ("starts after the end of its scene: siren wails",)


@pytest.mark.parametrize(("version", "has_birds"), [(1, True), (2, False)])
def test_caption_adds_no_sound_to_the_layers_of_version_2(foley, version, has_birds):
    layers = (_layer("sfx", "a door creaks"),)
    request = ClipRequest("A door creaks in the forest", layers, 88_200, 7, "en", version=version)

    (clip,) = foley.synthesize([request])

    assert ("birds: forest" in clip.matched) == has_birds


def test_layers_of_version_2_that_cannot_be_made_are_not_told_by_the_caption(foley):
    layers = (_layer("sfx", "a zorgle"),)
    request = ClipRequest("A dog barks", layers, 88_200, 7, "en", version=2)

    (clip,) = foley.synthesize([request])

    assert clip.matched == ()
    assert clip.unmatched == ("a zorgle",)


def test_layer_of_three_scenes_is_heard_in_them_and_no_longer(foley):
    rain = _layer("ambience", "heavy rain", scenes=3, fade_out_s=1.0)
    door = _layer("sfx", "a door creaks")
    scenes = ((rain,), (door,), (door,), (door,))
    plan = spread(
        StoryPlan(
            version=2,
            instruction="a story",
            language="en",
            duration_s=24,
            sub_events=tuple(
                SubEvent(caption=f"scene {at}", duration_s=6, layers=layers)
                for at, layers in enumerate(scenes)
            ),
        )
    )
    conditions = {}
    for part in foley.interleave(plan, range(4), {}):
        conditions |= part

    clips = foley.synthesize(
        [
            ClipRequest(
                event.caption, event.layers, event.samples, 7, "en",
                condition=conditions[at], version=2,
            )
            for at, event in enumerate(plan.sub_events)
        ]
    )  # fmt: skip

    has_rain = [any(said.startswith("rain: ") for said in clip.matched) for clip in clips]
    assert has_rain == [True, True, True, False]
    ends_db = [_level_db(clip.waveform[:, -SAMPLE_RATE // 2 :]) for clip in clips]
    assert ends_db[1] > ends_db[2] + 12
