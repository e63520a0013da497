import json

import numpy as np
import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.scene.beds import Bed, BedRenderer
from audiostory_core.engines.foley.scene.carryover import decode
from audiostory_core.engines.foley.sound import Shape
from audiostory_core.story.plan import StoryPlan, SubEvent
from tests.support.foley_fakes import KINDS, SECOND, ToneVoice, condition_of, lexicon, line
from tests.support.sounds import level_db


@pytest.fixture
def foley():
    return Foley(KINDS, lexicon(), ToneVoice())


def _plan(*events):
    parts = tuple(
        event if isinstance(event, SubEvent) else SubEvent(caption=event, duration_s=10.0)
        for event in events
    )
    total = sum(event.duration_s for event in parts)
    return StoryPlan(instruction="a story", language="en", duration_s=total, sub_events=parts)


def _states(foley, plan):
    condition, states = None, []
    for index in range(len(plan.sub_events)):
        condition = condition_of(foley, plan, index, condition)
        states.append(decode(condition.data))
    return states


def _bed(state, kind):
    return next((bed for bed in state.beds if bed.kind == kind), None)


def test_condition_is_canonical_json_and_the_same_every_time(foley):
    plan = _plan("rain in the station", line_event("Hello."))
    condition = condition_of(foley, plan, 0, None)

    assert condition == condition_of(foley, plan, 0, None)
    written = json.dumps(
        json.loads(condition.data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert written.encode() == condition.data


def line_event(words, speaker="ANNA"):
    return SubEvent(caption=words, duration_s=10.0, layers=(line(words, speaker),))


def test_bed_runs_on_lower_and_does_not_restart(foley):
    first, second, third = _states(foley, _plan("rain", "three knocks", "knock"))

    beds = [_bed(state, "rain") for state in (first, second, third)]
    assert [bed.start for bed in beds] == [0, 10 * SECOND, 20 * SECOND]
    assert len({bed.seed for bed in beds}) == 1
    assert [bed.gain_db for bed in beds] == [0.0, -6.0, -9.0]


def test_bed_that_is_never_named_again_wanes_and_is_gone(foley):
    states = _states(foley, _plan("rain", *["knock"] * 8))

    gains = [bed.gain_db for state in states if (bed := _bed(state, "rain"))]
    assert gains == [0.0, -6.0, -9.0, -12.0, -15.0, -18.0]


def test_place_named_again_keeps_its_beds(foley):
    first, again = _states(foley, _plan("at the station", "knock at the station"))

    assert _bed(first, "crowd").gain_db == _bed(again, "crowd").gain_db
    assert _bed(again, "crowd").start == 10 * SECOND


def test_bed_named_again_comes_back_to_its_level(foley):
    *_, last = _states(foley, _plan("rain", "knock", "rain"))

    assert _bed(last, "rain").gain_db == 0.0
    assert _bed(last, "rain").start == 20 * SECOND


def test_new_place_ends_the_old_one_but_not_the_weather(foley):
    station, kitchen = _states(foley, _plan("rain at the station", "in the kitchen"))

    assert _bed(station, "crowd") is not None
    assert _bed(kitchen, "crowd") is None
    assert _bed(kitchen, "hum") is not None
    assert _bed(kitchen, "rain") is not None
    assert (station.room, kitchen.room) == ("hall", "small")


@pytest.mark.parametrize("caption", ["silence", "only a piano"])
def test_silence_and_only_end_what_went_on(foley, caption):
    _, last = _states(foley, _plan("rain", caption))

    assert [bed.kind for bed in last.beds] == ["room_tone"]


def test_bed_that_receded_is_gone_afterwards(foley):
    _, last = _states(foley, _plan("receding rain", "knock"))

    assert _bed(last, "rain") is None


def test_bed_that_approached_stays_near(foley):
    _, last = _states(foley, _plan("approaching rain", "knock"))

    assert _bed(last, "rain").shape == Shape()


def test_voices_and_positions_keep_their_order_of_appearance(foley):
    plan = _plan(
        line_event("One.", "ANNA"), line_event("Two.", "BEN"), line_event("Three.", "ANNA")
    )

    states = _states(foley, plan)

    assert states[-1].voices == ("ANNA", "BEN")
    assert [state.voice_of("ANNA") for state in states] == [0, 0, 0]


def test_recurring_source_keeps_its_position(foley):
    first, _, last = _states(foley, _plan("siren", "knock", "siren"))

    assert first.position_of("siren") == last.position_of("siren")
    assert last.position_of("knock") != last.position_of("siren")


def test_key_and_tempo_hold_and_dark_tones_are_minor(foley):
    events = [
        SubEvent(caption="piano", duration_s=5.0, tone=tone) for tone in ("calm", "tense", "calm")
    ]
    plain, tense, after = _states(foley, _plan(*events))

    assert len({(state.tonic, state.tempo_bpm) for state in (plain, tense, after)}) == 1
    assert tense.minor
    assert after.minor == plain.minor


def test_split_scene_carries_its_sounds_and_motions_on(foley):
    parts = [
        SubEvent(caption="a truck drives away in the rain", duration_s=10.0, continues=part > 0)
        for part in range(3)
    ]
    states = _states(foley, _plan(*parts))

    assert [dict(state.elapsed)["truck"] for state in states] == [0, 10 * SECOND, 20 * SECOND]
    assert [state.done for state in states] == [0, 10 * SECOND, 20 * SECOND]
    assert {state.whole for state in states} == {30 * SECOND}
    assert [_bed(state, "rain").gain_db for state in states] == [0.0, 0.0, 0.0]


def test_scene_that_only_tells_more_is_about_the_one_before(foley):
    states = _states(foley, _plan("a truck with a siren", "and drives away"))

    assert states[1].subjects == ("truck", "siren")
    assert dict(states[1].elapsed) == {"truck": 10 * SECOND, "siren": 10 * SECOND}


def test_sounds_that_were_together_move_together(foley):
    plan = _plan("a truck", "with a siren", "the truck drives away", "knock")

    _, siren, away, knock = _states(foley, plan)

    assert siren.companions == ("truck",)
    assert away.companions == ("siren",)
    assert dict(away.elapsed) == {"truck": 20 * SECOND, "siren": 10 * SECOND}
    assert knock.companions == ()


def test_condition_stays_small(foley):
    events = [
        line_event(f"rain wind hum at the station {number}", f"A very long name, number {number}")
        for number in range(60)
    ]
    plan = _plan(*events)
    condition = None
    for index in range(60):
        condition = condition_of(foley, plan, index, condition)

    assert len(condition.data) < 4096


def test_condition_reads_no_later_scene(foley):
    short, long = _plan("rain", "knock"), _plan("rain", "knock", "siren at the station")

    first = condition_of(foley, short, 0, None)
    assert first == condition_of(foley, long, 0, None)
    assert condition_of(foley, short, 1, first) == condition_of(foley, long, 1, first)


@pytest.mark.parametrize("kind", ["rain", "crowd", "hum"])
def test_bed_entered_anywhere_is_the_same_bed(kind):
    beds = BedRenderer(KINDS)
    start = 19 * SECOND + 321

    whole = beds.render(Bed(kind, 5), 24 * SECOND)
    part = BedRenderer(KINDS).render(Bed(kind, 5, start), 5 * SECOND)

    np.testing.assert_allclose(part[:, : whole.shape[1] - start], whole[:, start:], atol=1e-6)


@pytest.mark.parametrize("kind", ["rain", "hum"])
def test_bed_keeps_its_level_through_its_blocks(kind):
    bed = BedRenderer(KINDS).render(Bed(kind, 5, SECOND), 24 * SECOND)

    levels = [level_db(part) for part in np.split(bed, 60, axis=1)]
    assert max(levels) - min(levels) < 0.5
    assert np.mean(levels) == pytest.approx(KINDS[kind].level_db, abs=0.5)


def test_condition_survives_writing_and_reading(foley):
    state = _states(foley, _plan("distant rain at the station", line_event("Hi.")))[-1]
    again = decode(condition_of(foley, _plan("distant rain at the station"), 0, None).data)

    assert state.beds[0].shape == Shape(distance=0.9)
    assert again.beds[0] == Bed("rain", state.beds[0].seed, shape=Shape(distance=0.9))
