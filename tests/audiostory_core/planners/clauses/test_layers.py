"""Layers, speech, settings and framing, read from single instructions."""

import pytest

from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SpeechLayer, StoryPlan


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


def _sounds(plan: StoryPlan) -> list[tuple[str, str]]:
    return [
        (str(layer.kind), layer.text)
        for event in plan.sub_events
        for layer in event.layers
        if not isinstance(layer, SpeechLayer)
    ]


def _lines(plan: StoryPlan) -> list[tuple[str | None, str | None, str]]:
    return [
        (layer.speaker, layer.manner, layer.words)
        for event in plan.sub_events
        for layer in event.layers
        if isinstance(layer, SpeechLayer)
    ]


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("rain", [("ambience", "rain")]),
        ("three knocks", [("sfx", "three knocks")]),
        ("wind and distant thunder", [("ambience", "wind"), ("sfx", "distant thunder")]),
        ("heavy rain on tin roofs", [("ambience", "heavy rain on tin roofs")]),
        ("a phone rings in the rain", [("sfx", "a phone rings in the rain")]),
        ("a single piano note", [("music", "a single piano note")]),
        ("A big, red truck passes", [("sfx", "A big, red truck passes")]),
        ("a pause", [("ambience", "a pause")]),
        ("人群嘈杂", [("ambience", "人群嘈杂")]),
        ("SFX: rain on glass", [("sfx", "rain on glass")]),
        ("MUSIC: tense strings", [("music", "tense strings")]),
        ("un accordéon", [("music", "un accordéon")]),
    ],
)
def test_layers_are_short_phrases_of_their_kind(planner, text, layers):
    assert _sounds(planner.plan(Brief(text, 8.0, language=None))) == layers


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("a fire truck leaves the station, and drives away", "a fire truck drives away"),
        ("A train waits, the whistle blows, it pulls out", "A train pulls out"),
        ("un camión sale de la estación y se aleja", "un camión se aleja"),
    ],
)
def test_layers_carry_the_subject_along(planner, text, last):
    assert _sounds(planner.plan(Brief(text, 30.0)))[-1][1] == last


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'a tired woman answers: "Yes, I\'m awake."',
            ("woman", "tired", "Yes, I'm awake."),
        ),
        ("KEEPER (whispering): Something is out there.", ("KEEPER", "whispering", None)),
        ("守夜人（低声）：外面有东西。", ("守夜人", "低声", "外面有东西。")),
        ("Una mujer cansada responde: «Sí, voy.»", ("mujer", "cansada", "Sí, voy.")),
        ("Un vieil homme chuchote : « Viens. »", ("homme", "chuchotant", "Viens.")),
        ("Ein alter Mann flüstert: „Da ist jemand.“", ("Mann", "flüsternd", "Da ist jemand.")),
        ("一个疲惫的女人回答：“是的，我醒了。”", ("女人", "疲惫", "是的，我醒了。")),
        (
            "疲れた女性が答える：「はい、起きています。」",
            ("女性", "疲れた", "はい、起きています。"),
        ),
        ("“Stop!” shouts the old captain.", ("captain", "shouting", "Stop!")),
        ("John says 'They're here!'", ("John", None, "They're here!")),
        ('"Hello."', (None, None, "Hello.")),
    ],
)
def test_speech_has_words_speaker_and_manner(planner, text, line):
    speaker, manner, words = line

    ((said_by, how, said),) = _lines(planner.plan(Brief(text, 10.0)))

    assert (said_by, how) == (speaker, manner)
    assert said == (words or "Something is out there.")


def test_speech_names_the_cast_with_its_description(planner):
    plan = planner.plan(Brief('a tired woman answers: "Yes." The woman adds: "No."', 20.0))

    assert [(m.name, m.description) for m in plan.cast] == [("woman", "a tired woman")]


@pytest.mark.parametrize("text", ['The sign reads "EXIT" in red', 'The song "Yesterday" plays'])
def test_speech_is_not_every_quote(planner, text):
    assert _lines(planner.plan(Brief(text, 10.0))) == []


def test_dialogue_of_names_in_lines_is_spoken(planner):
    plan = planner.plan(Brief("Anna: Hello there.\nBen: Hi!\nAnna: Listen.", 20.0))

    assert [line[0] for line in _lines(plan)] == ["Anna", "Ben", "Anna"]


def test_a_heading_sets_the_scene_until_the_next(planner):
    plan = planner.plan(
        Brief(
            "INT. HALL - DAY\nA clock ticks. A door slams.\nEXT. YARD - NIGHT\nA dog barks.", 40.0
        )
    )

    first = [event.layers[0].text for event in plan.sub_events]
    assert first == ["INT. HALL - DAY", "INT. HALL - DAY", "EXT. YARD - NIGHT"]


def test_a_place_before_a_colon_stays(planner):
    plan = planner.plan(Brief("清晨的火车站：人群嘈杂，广播响起，车门打开。", 30.0))

    assert [event.layers[0].text for event in plan.sub_events] == ["清晨的火车站"] * 3


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        (
            "Develop a comprehensive audio that fully represents a dog barks.",
            "Develop a comprehensive audio that fully represents",
        ),
        (
            "Understand the input audio, infer the subsequent events, and generate the continued "
            "audio of a dog barking.",
            "Understand the input audio, infer the subsequent events, and generate the continued "
            "audio of",
        ),
        ("制作一个完整的音频，充分表现狗叫。", "制作一个完整的音频，充分表现"),
        (
            "Desarrollar un audio completo que represente totalmente un perro que ladra.",
            "Desarrollar un audio completo que represente totalmente",
        ),
    ],
)
def test_framing_is_kept_as_a_direction(planner, text, direction):
    plan = planner.plan(Brief(text, 10.0))

    assert plan.directions == (direction,)
    assert direction not in plan.sub_events[0].caption


def test_a_text_of_directions_only_is_still_told(planner):
    plan = planner.plan(Brief("The total duration is 35.1 seconds."))

    assert plan.sub_events[0].caption == "The total duration is 35.1 seconds"
    assert plan.directions == ()


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("a lullaby in the quiet night", "calm"),
        ("sirens and an explosion", "urgent"),
        ("a", "neutral"),
    ],
)
def test_tone_is_read_from_words(planner, text, tone):
    assert planner.plan(Brief(text, 5.0)).sub_events[0].tone == tone


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The dog barks in the yard", "en"),
        ("El perro ladra en la calle", "es"),
        ("Le chien aboie dans la rue", "fr"),
        ("Der Hund bellt auf der Straße", "de"),
        ("狗在街上叫", "zh"),
        ("犬が通りで吠える", "ja"),
        ("Собака лает", "und"),
        ("개가 짖는다", "ko"),
        ("12345", "und"),
    ],
)
def test_language_is_read_from_script_and_small_words(planner, text, code):
    assert planner.plan(Brief(text, 5.0)).language == code


def test_language_given_wins(planner):
    assert planner.plan(Brief("rain", 5.0, language="pt")).language == "pt"
