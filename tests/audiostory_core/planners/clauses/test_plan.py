"""Whole plans of the real instructions, and rules that hold for any text."""

import json
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SAMPLE_RATE, SHORTEST_SUB_EVENT_S, SpeechLayer, StoryPlan

_LINES = Path(__file__).parents[3] / "data" / "instructions.jsonl"
_LONGEST_S = 30.0


@cache
def _instructions() -> dict[str, dict]:
    lines = _LINES.read_text(encoding="utf-8").splitlines()
    return {line["id"]: line for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


def _plan(planner: Clauses, name: str) -> StoryPlan:
    line = _instructions()[name]
    return planner.plan(Brief(line["instruction"], line.get("duration_s")))


def _told(text: str) -> str:
    return "".join(letter for letter in text if unicodedata.category(letter)[0] in "LN")


def _is_woven(text: str, captions: str, directions: str) -> bool:
    """Say whether a text is the letters of both, each in its order."""
    reached = {0}  # how many letters of the captions may have been used up
    for at, letter in enumerate(text):
        following = set()
        for used in reached:
            if captions[used : used + 1] == letter:
                following.add(used + 1)
            if directions[at - used : at - used + 1] == letter:
                following.add(used)
        reached = following
    return len(captions) in reached and len(text) == len(captions) + len(directions)


_SILENCES = {language.silence_word for language in Languages.load().known.values()} | {"silence"}


def _assert_is_whole(plan: StoryPlan, longest_s: float) -> None:
    assert sum(event.samples for event in plan.sub_events) == plan.samples
    for event in plan.sub_events:
        assert SHORTEST_SUB_EVENT_S <= event.duration_s <= longest_s
        assert abs(event.duration_s * SAMPLE_RATE - event.samples) < 1e-6
    captions = [event.caption for event in plan.sub_events if not event.continues]
    if any(note.startswith("Nothing is told before") for note in plan.notes):
        captions = captions[captions[0] in _SILENCES :]
    text, told = _told(plan.instruction), _told("".join(captions))
    assert _is_woven(text, told, _told("".join(plan.directions)))


@pytest.mark.parametrize("name", sorted(_instructions()))
def test_clauses_tells_real_instructions_whole(planner, name):
    plan = _plan(planner, name)

    asked = _instructions()[name].get("duration_s")
    assert asked is None or plan.duration_s == pytest.approx(asked, abs=1 / SAMPLE_RATE)
    assert plan.language == _instructions()[name]["language"]
    _assert_is_whole(plan, _LONGEST_S)


_WORDS = st.sampled_from(
    [
        *("rain", "wind.", "thunder,", "then", "and", "with", "while", "signaling", "the", "dog"),
        *(
            '"Yes!"',
            "'no'",
            "“hm”",
            "「はい」",
            "« oui »",
            "„ja“",
            "'",
            '"',
            "“",
            "«",
            "barks",
            "a",
        ),
        *("(12 s)", "for 5 seconds", "at 0:10", "At 3 s", "total 10 minutes", "lasting 4 s", "9 h"),
        *("1.", "2.", "①", "②", "-", "#", "ANNA:", "KEEPER (low):", "INT.", "SFX:", "Scene 1:"),
        *("—", ";", ":", "...", "\n", "\n\n", "\r\n", "(", ")", "[", "]", "**", ".", "?!", "、"),
        *("然后", "雨声，", "最后。", "总时长", "45 segundos", "10秒", "そして", "说：“好。”"),
    ]
)
_TEXTS = st.one_of(
    st.text(min_size=1, max_size=80),
    st.lists(_WORDS, min_size=1, max_size=40).map(" ".join),
    st.sampled_from(sorted(_instructions())).flatmap(
        lambda name: st.permutations(_instructions()[name]["instruction"].split()).map(" ".join)
    ),
).filter(lambda text: text.strip())


@settings(max_examples=300)
@given(
    text=_TEXTS,
    duration_s=st.floats(1.0, 600.0),
    longest_s=st.sampled_from([1.0, 3.3, 10.0, 30.0, 600.0]),
)
def test_clauses_drops_nothing_of_any_text(planner, text, duration_s, longest_s):
    plan = planner.plan(Brief(text, duration_s, longest_clip_s=longest_s))

    assert plan.samples == round(duration_s * SAMPLE_RATE)
    _assert_is_whole(plan, longest_s)


@settings(max_examples=150)
@given(text=_TEXTS)
def test_clauses_finds_a_total_for_any_text_or_says_why_not(planner, text):
    try:
        plan = planner.plan(Brief(text))
    except BadInput as problem:
        field = problem.field
    else:
        field = "duration"
        _assert_is_whole(plan, _LONGEST_S)

    assert field == "duration"


def test_clauses_plans_twice_the_same(planner):
    line = _instructions()["long"]
    brief = Brief(line["instruction"], line["duration_s"])

    assert planner.plan(brief) == Clauses().plan(brief)


@pytest.mark.parametrize(
    ("name", "captions"),
    [
        (
            "burglar",
            [
                "Footsteps approach a wooden door",
                "three knocks",
                "a pause",
                "then the door creaks open",
                "and someone runs away down the stairs while an alarm starts",
            ],
        ),
        (
            "fire-truck",
            [
                "a fire truck leaves the station with sirens blaring, signaling an emergency response",
                "and drives away",
            ],
        ),
        (
            "train",
            [
                "A steam train waits at the platform among a murmuring crowd",
                "the whistle blows",
                "it pulls out slowly",
                "gathers speed across a bridge",
                "and fades into the distance",
                "crickets",
            ],
        ),
        (
            "kitchen",
            [
                "Morning kitchen. Kettle boils",
                "toast pops",
                "a phone rings",
                "and a tired woman answers: \"Yes, I'm awake. I'll be there in ten minutes.\"",
            ],
        ),
        (
            "bosque",
            [
                "Un paseo por el bosque: pasos sobre hojas secas",
                "pájaros",
                "un arroyo cercano",
                "y al final una tormenta que se acerca",
            ],
        ),
        (
            "station-zh",
            ["清晨的火车站：人群嘈杂", "广播响起", "列车进站刹车", "车门打开", "最后只剩下雨声"],
        ),
        (
            "marche-fr",
            [
                "Un marché un dimanche matin : des voix",
                "une cloche d'église",
                "un accordéon",
                "puis l'averse qui fait fuir tout le monde",
            ],
        ),
        (
            "screenplay",
            [
                "INT. LIGHTHOUSE - NIGHT — Waves crash outside",
                "The lamp mechanism ticks",
                "KEEPER (whispering): Something is out there",
                "A foghorn answers",
                "Glass shatters",
                "EXT. ROCKS - LATER — Only the sea",
            ],
        ),
        ("one-word", ["rain"]),
        ("unknown", ["The quasar hums beside a vortigaunt parade"]),
    ],
)
def test_clauses_reads_as_a_storyboard(planner, name, captions):
    plan = _plan(planner, name)

    assert [event.caption for event in plan.sub_events] == captions


def test_clauses_keeps_the_times_of_a_numbered_list(planner):
    plan = _plan(planner, "numbered")

    assert [event.duration_s for event in plan.sub_events] == [12.0, 10.0, 8.0, 20.0]
    assert plan.notes == ()


def test_clauses_splits_a_long_story_by_its_clauses(planner):
    plan = _plan(planner, "long")

    assert 15 <= sum(not event.continues for event in plan.sub_events) <= 30
    assert all(
        event.layers[0].text == "Ten minutes across a city in one day" for event in plan.sub_events
    )


def test_clauses_continues_one_word_for_a_day(planner):
    plan = planner.plan(Brief("rain", 86_400.0))

    assert len(plan.sub_events) == 2_880
    assert {event.caption for event in plan.sub_events} == {"rain"}
    assert [event.continues for event in plan.sub_events] == [False] + [True] * 2_879


def test_clauses_merges_what_does_not_fit(planner):
    plan = planner.plan(Brief("dog barks; cat meows; " * 25, 1.0))

    assert len(plan.sub_events) <= 2
    assert sum(layer.text == "cat meows" for e in plan.sub_events for layer in e.layers) == 25
    assert "50 events are too many for 1 s" in plan.notes[0]


def test_clauses_merges_neighbors_not_strangers(planner):
    text = "Rain falls. A dog barks, a cat meows. Thunder rolls over the hills for a long while."

    plan = planner.plan(Brief(text, 9.0))

    assert [e.caption for e in plan.sub_events][-1].startswith("Thunder rolls")


def test_clauses_speaks_once_in_a_split_sub_event(planner):
    plan = planner.plan(Brief('A man says: "Hello."', 60.0))

    spoken = [
        [layer.words for layer in event.layers if isinstance(layer, SpeechLayer)]
        for event in plan.sub_events
    ]
    assert spoken == [["Hello."], []]


def test_clauses_gives_a_line_its_spoken_length(planner):
    words = "I have been waiting here for you since the early morning and nobody came by, nobody."

    plan = planner.plan(Brief(f'A cat. A woman says: "{words}" A dog.', 12.0))

    (line,) = [e for e in plan.sub_events if any(isinstance(x, SpeechLayer) for x in e.layers)]
    assert line.duration_s >= len(words) / 14


def test_clauses_parts_a_speech_longer_than_a_clip(planner):
    words = "This is a sentence that is said aloud. " * 60

    plan = planner.plan(Brief(f'A man says: "{words}"'))

    spoken = [x for e in plan.sub_events for x in e.layers if isinstance(x, SpeechLayer)]
    assert len(spoken) > 5
    assert {line.speaker for line in spoken} == {"man"}
    assert " ".join(line.words for line in spoken) == words.strip()


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "x" * 200_001])
def test_clauses_refuses_an_empty_or_too_long_instruction(planner, text):
    with pytest.raises(BadInput, match="instruction"):
        planner.plan(Brief(text, 10.0))


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 0.99, 1e9, float("nan"), float("inf")])
def test_clauses_refuses_an_impossible_duration(planner, duration_s):
    with pytest.raises(BadInput) as problem:
        planner.plan(Brief("rain", duration_s))

    assert problem.value.field == "duration"


def test_clauses_refuses_an_engine_limit_that_cannot_be_kept(planner):
    with pytest.raises(ValueError, match="longest_clip_s"):
        planner.plan(Brief("rain", 1.4, longest_clip_s=0.9))


@pytest.mark.parametrize(
    "text", ["...", "🌧️⚡", "\u0301\u0302", "\x01\x02", "مطر غزير ثم رعد.", "a" * 5_000, "1. "]
)
def test_clauses_plans_texts_without_words(planner, text):
    plan = planner.plan(Brief(text, 5.0))

    assert plan.duration_s == 5.0
    assert plan.sub_events[0].caption


@pytest.mark.parametrize(
    "unit",
    [
        " \n",
        '"',
        "“",
        "'a ",
        "(",
        "a,",
        ".",
        "and ",
        "1 s ",
        "0:10 ",
        "A (b): c\n",
        "1. a 2. b ",
        "1",
    ],
)
def test_clauses_reads_long_runs_of_marks(planner, unit):
    text = "a" + unit * (20_000 // len(unit)) + "b"

    plan = planner.plan(Brief(text, 60.0))

    assert sum(event.samples for event in plan.sub_events) == plan.samples
