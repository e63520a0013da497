"""Scenes of foley as a clip a stem: what each holds, and what of the scene it depends on."""

from dataclasses import replace

import numpy as np
import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.scene import levels
from audiostory_core.engines.foley.scene.carryover import decode, encode
from audiostory_core.engines.foley.scene.timeline import Slot, in_sequence
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.quality.checks import FAINT_DBFS
from audiostory_core.stem import SEPARATE_STEMS, Stem
from audiostory_core.story.plan import (
    SAMPLE_RATE,
    CastMember,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
)
from audiostory_core.story.stems import stem_view
from audiostory_core.story.timing import starts_of

SECONDS = 10.0
TAIL = SAMPLE_RATE
SCENE = round(SECONDS * SAMPLE_RATE)
CAST = (CastMember(name="Anna", description="a tired woman"),)
RAIN = SoundLayer(kind="ambience", text="heavy rain")
KNOCK = SoundLayer(kind="sfx", text="three knocks on a door")
PIANO = SoundLayer(kind="music", text="a sad piano")
LINE = SpeechLayer(words="The rain had not stopped for days.", speaker="Anna")


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


def _plan(*scenes, caption="a scene"):
    events = tuple(
        SubEvent(caption=caption, duration_s=SECONDS, layers=layers) for layers in scenes
    )
    return StoryPlan(
        version=2,
        instruction="a story",
        language="en",
        duration_s=SECONDS * len(events),
        sub_events=events,
        cast=CAST,
    )


def _conditions(foley, plan, stem, places=None, known=None):
    made = {}
    wanted = range(len(plan.sub_events)) if places is None else places
    for part in foley.interleave(plan, wanted, known or {}, stem):
        made |= part
    return made


def _clip(foley, plan, stem, place=0):
    event = plan.sub_events[place]
    caption, layers = stem_view(event, stem, starts_of(event))
    request = ClipRequest(
        caption,
        layers,
        SCENE + TAIL,
        7,
        "en",
        CAST,
        _conditions(foley, plan, stem)[place],
        {"tail_samples": TAIL},
        2,
        stem,
    )
    (clip,) = foley.synthesize([request])
    return clip


def _lufs(clip):
    return levels.gated_lufs(clip.waveform)


def test_stems_of_a_scene_are_as_loud_together_as_the_scene(foley):
    plan = _plan((RAIN, KNOCK, LINE))

    composite = _clip(foley, plan, Stem.COMPOSITE)
    stems = [_clip(foley, plan, stem) for stem in (Stem.DIALOGUE, Stem.EFFECTS)]

    together = replace(composite, waveform=sum(clip.waveform for clip in stems))
    assert _lufs(together) == pytest.approx(_lufs(composite), abs=2.0)
    assert all(_lufs(clip) < _lufs(together) for clip in stems)


def test_dialogue_is_lines_and_digital_silence_and_ends_before_the_tail(foley):
    late = LINE.model_copy(update={"start_s": 9.5})
    early = LINE.model_copy(update={"start_s": 2.0})
    plan = _plan((RAIN, early, late))

    clip = _clip(foley, plan, Stem.DIALOGUE)

    assert not clip.waveform[:, : 2 * SAMPLE_RATE].any()
    assert not clip.waveform[:, SCENE:].any()
    assert np.abs(clip.waveform[:, SCENE - 2000 : SCENE]).max() < 1e-3
    begins = np.flatnonzero(np.abs(clip.waveform).max(axis=0) > 1e-3)[0] / SAMPLE_RATE
    assert begins == pytest.approx(2.0, abs=0.2)
    assert clip.matched == (f"speech: Anna: {LINE.words}",) * 2
    assert clip.warnings == clip.unmatched == ()


def test_line_starts_at_its_time_in_a_composite_clip_too(foley):
    line = LINE.model_copy(update={"start_s": 4.0})
    plan = _plan((line,))

    heard = _clip(foley, plan, Stem.COMPOSITE).waveform

    before, after = (
        heard[:, at : at + SAMPLE_RATE] for at in (int(2.9 * SAMPLE_RATE), 4 * SAMPLE_RATE)
    )
    assert np.abs(after).max() > 30 * np.abs(before).max()


@pytest.mark.parametrize(
    ("starts", "moved"),
    [
        ([0, 50], [0, 50]),
        ([10, 20], [10, 40]),  # the second waits for the first
        ([50, 90], [40, 70]),  # both end within the scene
    ],
)
def test_lines_follow_each_other_and_end_in_their_scene(starts, moved):
    slots = in_sequence([Slot(start, 30) for start in starts], 100)

    assert [slot.start for slot in slots] == moved


def test_music_has_no_bed_and_effects_go_on_where_nothing_is_asked_of_them(foley):
    plan = _plan((RAIN, PIANO), (LINE, PIANO))

    music, effects = (_clip(foley, plan, stem, 1) for stem in (Stem.MUSIC, Stem.EFFECTS))

    assert [match.partition(":")[0] for match in music.matched] == ["piano"]
    assert effects.matched == ("rain: carried on",)
    assert effects.unmatched == effects.warnings == ()
    assert _lufs(effects) > -50


def test_room_tone_alone_is_rightly_near_silence(foley):
    clip = _clip(foley, _plan((LINE,)), Stem.EFFECTS)

    level_db = 20 * np.log10(np.sqrt(np.mean(clip.waveform.astype(float) ** 2)))
    assert clip.is_silence
    assert FAINT_DBFS < level_db < -35
    assert clip.matched == clip.unmatched == ()


def test_effects_under_speech_are_not_raised_as_if_they_were_alone(foley):
    leaf = SoundLayer(kind="sfx", text="leaves rustle")
    alone, spoken = (
        _clip(foley, _plan(layers), Stem.EFFECTS) for layers in ((leaf,), (leaf, LINE))
    )

    assert _lufs(alone) - _lufs(spoken) > 2.0


def test_bed_beside_other_stems_is_not_lifted_as_the_only_subject(foley):
    wind = SoundLayer(kind="ambience", text="crickets")
    alone, beside = (
        _clip(foley, _plan(layers), Stem.EFFECTS) for layers in ((wind,), (wind, PIANO))
    )

    assert _lufs(alone) - _lufs(beside) > 2.0


@pytest.mark.parametrize("stem", [Stem.EFFECTS, Stem.MUSIC])
@pytest.mark.parametrize(
    "captions",
    [
        ("at home: Who is there?", "at home: Stay in the church!"),
        ("Anna says: “Who is there?”", "Anna says: “Stay in the church!”"),
        ('Anna says: "Stay in the church!"',) * 2,  # the author changed the layer alone
    ],
)
def test_other_words_leave_effects_and_music_equal_to_the_byte(foley, stem, captions):
    before, after = (
        _plan(
            (RAIN, KNOCK, LINE.model_copy(update={"words": words}), PIANO),
            (LINE, KNOCK, PIANO),
            caption=caption,
        )
        for words, caption in zip(("Who is there?", "Stay in the church!"), captions, strict=True)
    )

    assert _conditions(foley, before, stem) == _conditions(foley, after, stem)


def test_other_effects_leave_dialogue_unless_the_room_is_another(foley):
    def dialogue(sound):
        plan = _plan((sound, LINE), (LINE,))
        return _conditions(foley, plan, Stem.DIALOGUE)

    assert dialogue(RAIN) == dialogue(KNOCK)
    assert dialogue(RAIN) != dialogue(RAIN.model_copy(update={"text": "water drips in a cave"}))


@pytest.mark.parametrize("stem", SEPARATE_STEMS)
def test_conditions_of_a_stem_are_the_same_whatever_is_known_before(foley, stem):
    plan = _plan((RAIN, LINE), (KNOCK,), (PIANO,), (LINE, KNOCK, PIANO))
    whole = _conditions(foley, plan, stem)

    assert _conditions(foley, plan, stem, [3]) == {3: whole[3]}
    assert _conditions(foley, plan, stem, [3], {0: whole[0]}) == {3: whole[3]}


def test_state_that_nothing_is_beside_is_written_as_before_there_were_stems(foley):
    plan = _plan((RAIN, KNOCK, LINE))
    composite, effects = (
        _conditions(foley, plan, stem)[0].data for stem in (Stem.COMPOSITE, Stem.EFFECTS)
    )

    assert b"beside" not in composite
    assert decode(effects).beside == ("dialogue",)
    assert encode(decode(effects)) == effects
