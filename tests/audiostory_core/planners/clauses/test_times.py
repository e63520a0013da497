"""Totals, lengths and start times told in the words of six languages."""

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("A storm. The total duration is 35.1 seconds.", 35.1),
        ("A dog barks, lasting 2 minutes.", 120.0),
        ("45 segundos. Llueve.", 45.0),
        ("Llueve en la ciudad. 45 segundos", 45.0),
        ("La duración total es de 35,1 segundos. Llueve.", 35.1),
        ("清晨。总时长为35.1秒", 35.1),
        ("总时长为３５．１秒。下雨", 35.1),
        ("雨声，全长40秒", 40.0),
        ("下雨。总时长一分三十秒。", 90.0),
        ("雨が降る。合計40秒", 40.0),
        ("雨が降る。全体の長さは４０秒です。", 40.0),
        ("30秒の音声：雨が降る。", 30.0),
        ("Un marché, durée totale 38 secondes", 38.0),
        ("Une averse. La durée totale est de 38 secondes.", 38.0),
        ("Regen. Gesamtdauer 40 Sekunden.", 40.0),
        ("Dauer: 1,5 Minuten. Regen fällt.", 90.0),
        ("Ein 40 Sekunden langes Hörspiel über Regen", 40.0),
        ("Rain, total 1 min 30 s", 90.0),
        ("Rain. Duration: 00:45", 45.0),
        ("Rain falls. Total length: an hour.", 3600.0),
        ("Rain falls. Total duration: half an hour.", 1800.0),
        ("A 45-second story about a dog who barks", 45.0),
        ("Create a 2 minute soundscape of a forest at dawn.", 120.0),
        ("Make it 30 seconds: a dog barks.", 30.0),
        ("Ten minutes across a city in one day. A bus stops.", 600.0),
        ("The story lasts two and a half minutes. Rain.", 150.0),
    ],
)
def test_times_reads_the_total(planner, text, seconds):
    assert planner.plan(Brief(text)).duration_s == pytest.approx(seconds, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        'A woman says: "The total duration is 90 seconds."',
        "At 7:30 in the morning a bell rings.",
        "Five minutes later, a dog barks.",
        "A road 400 m long and 3 metres wide.",
    ],
)
def test_times_takes_no_total_from_the_story_itself(planner, text):
    plan = planner.plan(Brief(text))

    assert plan.duration_s < 20
    assert plan.directions == ()


@pytest.mark.parametrize("told", ["0 seconds", "-5 seconds", "0.2 s", "25 hours", "9999999999 s"])
def test_times_refuses_an_impossible_total(planner, told):
    with pytest.raises(BadInput) as problem:
        planner.plan(Brief(f"Rain. The total duration is {told}."))

    assert problem.value.field == "duration"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Rain for 5 seconds, then thunder for 3 seconds.", [5, 3]),
        ("Rain (5s), thunder (3s), birds (4 s)", [5, 3, 4]),
        ("- Rain (5s)\n- thunder (3s)", [5, 3]),
        ("1) 雨声（5秒）\n2) 雷声（3秒）", [5, 3]),
        ("Rain — 5 s\nThunder — 3 s", [5, 3]),
        ("Ten seconds of rain, then 4 seconds of silence.", [10, 4]),
        ("0:00 rain\n0:10 thunder\n0:25-0:40 birds", [10, 15, 15]),
    ],
)
def test_times_reads_the_length_of_events(planner, text, told):
    plan = planner.plan(Brief(text))

    assert [event.duration_s for event in plan.sub_events] == pytest.approx(told, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "At 10 s a door slams. At 20 seconds, a dog barks.",
        "A los 10 segundos, suena un timbre. A los 20 segundos ladra un perro.",
        "À 10 s, une cloche sonne. À 20 s, un chien aboie.",
        "Bei 10 Sekunden knarrt die Tür. Bei 20 Sekunden bellt ein Hund.",
        "第10秒，门打开。第20秒，狗叫。",
        "[0:10] knock [0:20] bell",
    ],
)
def test_times_starts_events_when_told(planner, text):
    plan = planner.plan(Brief(text, 30.0))

    assert plan.starts_s == pytest.approx([0, 10, 20], abs=1e-4)
    assert len(plan.sub_events[0].layers) == 1
    assert plan.sub_events[0].layers[0].text in {"silence", "silencio", "stille", "寂静"}
    assert "silent" in plan.notes[0]


def test_times_gives_what_stands_before_the_first_start_the_time_until_then(planner):
    plan = planner.plan(Brief("Wind blows. At 12 s a door slams.", 20.0))

    assert [event.duration_s for event in plan.sub_events] == pytest.approx([12, 8], abs=1e-4)


def test_times_scales_lengths_that_disagree_with_the_argument(planner):
    plan = planner.plan(Brief("1. rain (12 s)\n2. wind (8 s)", 10.0))

    assert [event.duration_s for event in plan.sub_events] == pytest.approx([6, 4], abs=1e-4)
    assert "scaled by 0.5" in plan.notes[0]


def test_times_prefers_the_argument_to_the_text(planner):
    plan = planner.plan(Brief("Rain. The total duration is 20 seconds.", 12.0))

    assert plan.duration_s == 12.0
    assert "20 s" in plan.notes[0]


def test_times_shares_what_is_left_among_events_without_a_time(planner):
    plan = planner.plan(Brief("1. rain (12 s)\n2. wind\n3. thunder", 30.0))

    assert plan.sub_events[0].duration_s == pytest.approx(12, abs=1e-4)
    assert plan.sub_events[1].duration_s > 5
    assert plan.notes == ()


def test_times_ignores_starts_that_do_not_rise(planner):
    plan = planner.plan(Brief("At 20 s rain falls. At 10 s wind blows.", 30.0))

    assert any("do not rise" in note for note in plan.notes)
