import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import SOUND, Foley
from audiostory_core.engines.protocol import Engine
from audiostory_core.story.plan import StoryPlan, SubEvent
from tests.support.foley_fakes import (
    KINDS,
    SECOND,
    ToneVoice,
    condition_of,
    lexicon,
    line,
    request,
    sound,
)
from tests.support.sounds import level_db

PRINT_DIGEST = """
import hashlib
from audiostory_core.engines.foley.engine import Foley
from tests.support.foley_fakes import KINDS, ToneVoice, lexicon, line, request, sound
asked = request("three knocks at the station", sound("siren with a truck"), line("Who?"), tail_s=2)
clip = Foley(KINDS, lexicon(), ToneVoice()).synthesize([asked])[0]
print(hashlib.sha256(clip.waveform.tobytes()).hexdigest())
"""


@pytest.fixture
def foley():
    return Foley(KINDS, lexicon(), ToneVoice())


def _clip(foley, *args, **kwargs):
    return foley.synthesize([request(*args, **kwargs)])[0]


def test_foley_is_an_engine(foley):
    engine: Engine = foley

    assert engine.capabilities.name == "foley"
    assert engine.capabilities.revision == str(SOUND)


def test_clip_has_exactly_the_asked_samples(foley):
    clip = foley.synthesize([replace(request("rain"), samples=123_457)])[0]

    assert clip.waveform.shape == (2, 123_457)
    assert clip.waveform.dtype == np.float32


def test_equal_requests_give_equal_clips_whatever_came_before(foley):
    first = _clip(foley, "a siren in the rain", sound("knock"))
    _clip(foley, "hum")

    again = _clip(foley, "a siren in the rain", sound("knock"))
    np.testing.assert_array_equal(first.waveform, again.waveform)


def test_seed_changes_the_clip(foley):
    assert not np.array_equal(
        _clip(foley, "knock").waveform, _clip(foley, "knock", seed=2).waveform
    )


def test_clip_is_bit_identical_in_another_process(foley):
    asked = request(
        "three knocks at the station", sound("siren with a truck"), line("Who?"), tail_s=2
    )
    here = hashlib.sha256(foley.synthesize([asked])[0].waveform.tobytes()).hexdigest()

    environment = {**os.environ, "PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1"}
    there = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert there.stdout.strip() == here


def test_result_says_what_was_made(foley):
    clip = _clip(foley, "x", sound("rain", "ambience"), sound("three knocks"), line("Who?", "ANNA"))

    assert clip.matched == ("rain: rain", "knock: knocks", "speech: ANNA: Who?")
    assert clip.unmatched == ()


def test_caption_stands_in_where_there_are_no_layers(foley):
    assert _clip(foley, "a siren in the rain").matched == ("rain: rain", "siren: siren")


def test_layers_stand_before_the_caption(foley):
    assert _clip(foley, "a siren", sound("knock")).matched == ("knock: knock",)


def test_unknown_sounds_give_quiet_ambience_and_are_listed(foley):
    clip = _clip(foley, "A quasar beside a vortigaunt parade.")

    assert clip.unmatched == ("A quasar beside a vortigaunt parade.",)
    assert clip.matched == ()
    assert -60 < level_db(clip.waveform) < -35


def test_silence_is_made_and_said_to_be_silence(foley):
    clip = _clip(foley, "silence")

    assert clip.is_silence
    assert clip.unmatched == ()
    assert level_db(clip.waveform) < -40


def test_unknown_layer_beside_known_ones_is_a_warning(foley):
    clip = _clip(foley, "x", sound("knock"), sound("vortigaunt"))

    assert clip.unmatched == ()
    assert clip.warnings == ("not made: vortigaunt",)


def test_unknown_sound_beside_speech_is_a_warning(foley):
    clip = _clip(foley, "vortigaunt", sound("vortigaunt"), line("Who?"))

    assert clip.unmatched == ()
    assert clip.warnings == ("not made: vortigaunt",)


def _story(foley, *captions, seconds=8.0):
    events = tuple(SubEvent(caption=caption, duration_s=seconds) for caption in captions)
    plan = StoryPlan(
        instruction="a story",
        language="en",
        duration_s=seconds * len(events),
        sub_events=events,
    )
    clips, condition = [], None
    for index, event in enumerate(events):
        condition = condition_of(foley, plan, index, condition)
        asked = request(event.caption, seconds=seconds + 3, tail_s=3, seed=index)
        clips.append(foley.synthesize([replace(asked, condition=condition)])[0])
    return clips


def test_bed_continues_from_one_clip_into_the_next(foley):
    first, second = _story(foley, "rain", "knock")

    tail, opening = first.waveform[:, -3 * SECOND :], second.waveform[:, : SECOND // 10]
    ahead = tail[:, : SECOND // 10]
    assert np.corrcoef(ahead[0], opening[0])[0, 1] > 0.95
    assert np.corrcoef(ahead[1], opening[1])[0, 1] > 0.95


def test_scene_that_only_tells_more_moves_the_sounds_of_the_one_before(foley):
    _, second = _story(foley, "a truck with a siren", "and drives away")

    assert second.matched == ("truck: receding", "siren: receding")
    start, end = second.waveform[:, :SECOND], second.waveform[:, 7 * SECOND : 8 * SECOND]
    assert level_db(start) > level_db(end) + 8.0


def test_events_wait_for_the_seam_of_a_later_scene(foley):
    first, second = _story(foley, "knock", "knock")

    assert _onset_s(first.waveform) < 0.5
    assert 1.0 < _onset_s(second.waveform) < 2.0


def _onset_s(waveform):
    return np.argmax(np.abs(waveform).max(axis=0) > 0.05) / SECOND


def test_story_seed_gives_beds_another_identity(foley):
    plan = StoryPlan(
        instruction="rain",
        language="en",
        duration_s=4.0,
        sub_events=(SubEvent(caption="rain", duration_s=4.0),),
    )
    asked = replace(request("rain", seconds=4.0), condition=condition_of(foley, plan, 0, None))
    other = replace(asked, parameters={**asked.parameters, "story_seed": 9})

    first, second = foley.synthesize([asked, other])
    assert abs(np.corrcoef(first.waveform[0], second.waveform[0])[0, 1]) < 0.1


def test_catalog_holds_every_kind_the_scenes_rely_on():
    kinds = load_kinds()

    assert all(name == kind.name for name, kind in kinds.items())
    assert "room_tone" in kinds
    assert len(kinds) >= 60
