"""Real sounds from real words, measured in finished clips."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.story.plan import StoryPlan, SubEvent
from tests.support.foley_fakes import (
    SECOND,
    ToneVoice,
    brightness_hz,
    condition_of,
    line,
    request,
    sound,
)
from tests.support.sounds import level_db

PRINT_DIGEST = """
import hashlib
from audiostory_core.engines.foley.engine import Foley
from tests.support.foley_fakes import line, request, sound
foley = Foley()
asked = request("Rain in a cathedral", sound("three knocks"), line("Who is there?", "ANNA"), tail_s=2)
print(hashlib.sha256(foley.synthesize([asked])[0].waveform.tobytes()).hexdigest())
foley.close()
"""


@pytest.fixture(scope="module")
def foley():
    return Foley(speech=ToneVoice())


def _heard(foley, caption, seconds=6.0, **kwargs):
    clip = foley.synthesize([request(caption, seconds=seconds, **kwargs)])[0]
    assert clip.unmatched == ()
    return clip.waveform


def test_lexicon_and_catalog_know_the_same_kinds():
    assert Lexicon.load().kinds == load_kinds().keys()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("caption", "count"), [("three knocks", 3), ("five knocks", 5)])
def test_knocks_have_as_many_onsets_as_the_words_count(foley, caption, count, seed):
    waveform = _heard(foley, caption, seed=seed)

    envelope = np.sqrt(np.convolve(np.sum(waveform**2, axis=0), np.ones(2205) / 2205, "same"))
    peaks, _ = signal.find_peaks(envelope, height=0.2 * envelope.max(), distance=5000)
    assert len(peaks) == count


def test_fundamental_of_a_siren_sweeps(foley):
    waveform = _heard(foley, "a siren", seconds=10.0).mean(axis=0)

    hertz, _, power = signal.spectrogram(waveform, SECOND, nperseg=8192)
    audible = (hertz > 250) & (hertz < 2500)
    track = hertz[audible][np.argmax(power[audible], axis=0)]
    assert np.percentile(track, 90) > 1.3 * np.percentile(track, 10)


def test_rain_is_spectrally_flat(foley):
    hertz, power = signal.welch(_heard(foley, "rain")[0], SECOND, nperseg=2048)

    band = power[(hertz > 500) & (hertz < 8000)]
    assert np.exp(np.mean(np.log(band))) / np.mean(band) > 0.6


MOVING = ["a truck", "a siren", "footsteps", "a steam train", "a helicopter", "marching"]


@pytest.mark.parametrize("who", MOVING)
def test_what_approaches_rises_and_brightens(foley, who):
    waveform = _heard(foley, f"{who} approaching", seconds=13.0)

    # A siren's wail takes about four seconds and a half.
    first, last = waveform[:, : 9 * SECOND // 2], waveform[:, -5 * SECOND : -SECOND // 2]
    assert level_db(last) - level_db(first) > 6.0
    assert _share_of_highs_db(last) > _share_of_highs_db(first) + 1.0


@pytest.mark.parametrize("who", MOVING)
def test_what_recedes_falls(foley, who):
    waveform = _heard(foley, f"{who} receding", seconds=9.0)

    assert level_db(waveform[:, : 3 * SECOND]) - level_db(waveform[:, -4 * SECOND : -SECOND]) > 6.0


DISTANT = [
    "thunder",
    "dog barking",
    "church bell",
    "car horn",
    "crowd",
    "drums",
    "gunshot",
    "chainsaw",
]


@pytest.mark.parametrize("what", DISTANT)
def test_what_is_distant_loses_level_and_highs(foley, what):
    near, far = _heard(foley, what), _heard(foley, f"distant {what}")

    assert level_db(near) - level_db(far) > 3.0
    assert _share_of_highs_db(far) < _share_of_highs_db(near) - 3.5


def _share_of_highs_db(waveform):
    hertz, power = signal.welch(waveform.mean(axis=0), SECOND, nperseg=4096)
    return 10 * np.log10(np.sum(power[hertz > 2000]) / np.sum(power))


def test_vehicle_that_passes_is_loudest_in_the_middle(foley):
    waveform = _heard(foley, "a motorcycle passing by", seconds=9.0)

    first, middle, last = (level_db(part) for part in np.split(waveform, 3, axis=1))
    assert middle > max(first, last) + 6.0


def test_same_sound_in_a_cathedral_rings_longer(foley):
    def ringing_db(caption):
        waveform = _heard(foley, caption, seconds=5.0)
        at = int(np.argmax(np.sum(waveform**2, axis=0)))
        after = waveform[:, at + SECOND // 2 : at + SECOND]
        return level_db(after) - level_db(waveform[:, at : at + SECOND // 10])

    assert ringing_db("one knock in a cathedral") > ringing_db("one knock") + 6.0


@pytest.mark.parametrize("bed", ["rain", "wind", "waves", "a murmuring crowd", "a refrigerator"])
def test_real_bed_runs_through_the_seam(foley, bed):
    events = tuple(SubEvent(caption=text, duration_s=7.0) for text in (bed, f"{bed}, a knock"))
    plan = StoryPlan(instruction=bed, language="en", duration_s=14.0, sub_events=events)
    before = condition_of(foley, plan, 0, None)
    after = condition_of(foley, plan, 1, before)

    asked = [
        replace(request(event.caption, seconds=10.0, tail_s=3.0), condition=condition)
        for event, condition in zip(events, (before, after), strict=True)
    ]
    tail, opening = (clip.waveform for clip in foley.synthesize(asked))
    for channel in range(2):
        left = tail[channel, 7 * SECOND + 2000 : 8 * SECOND]
        right = opening[channel, 2000:SECOND]
        assert np.corrcoef(left, right)[0, 1] > 0.98


def test_clip_with_real_speech_is_bit_identical_in_another_process():
    foley = Foley()
    asked = request(
        "Rain in a cathedral", sound("three knocks"), line("Who is there?", "ANNA"), tail_s=2
    )
    here = hashlib.sha256(foley.synthesize([asked])[0].waveform.tobytes()).hexdigest()
    foley.close()

    there = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "11", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


@pytest.mark.parametrize(
    ("language", "caption", "kind"),
    [
        ("es", "un perro ladra", "dog"),
        ("fr", "un chien aboie", "dog"),
        ("de", "ein Hund bellt", "dog"),
        ("zh", "狗叫", "dog"),
        ("ja", "犬が吠える", "dog"),
    ],
)
def test_words_of_six_languages_are_heard(foley, language, caption, kind):
    asked = replace(request(caption, seconds=3.0), language=language)
    clip = foley.synthesize([asked])[0]

    assert any(made.startswith(f"{kind}: ") for made in clip.matched)
    assert brightness_hz(clip.waveform) > 100
