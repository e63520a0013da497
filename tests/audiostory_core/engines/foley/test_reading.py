import json
from pathlib import Path

import pytest

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.sound import Shape
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.engines.foley.words.reading import Reading

SOUNDS = {
    "rain": {"en": ["rain"], "es": ["lluvia"], "fr": ["pluie"], "de": ["Regen"], "zh": ["雨声"]},
    "rain_on_tin": {"en": ["rain … roof"]},
    "thunder": {"en": ["thunder"], "es": ["trueno"], "de": ["Donner"]},
    "knock": {"en": ["knock"], "zh": ["敲门"], "ja": ["ノック"]},
    "door_close": {"en": ["door closes"], "es": ["puerta"], "de": ["Tür schlägt"]},
    "door_creak": {"en": ["door creaks"]},
    "dog": {"en": ["dog"], "es": ["perro ladra"], "fr": ["chien aboie"], "de": ["Hund bellt"]},
    "bell": {"en": ["bell"], "fr": ["cloche"], "de": ["Glocke"], "ja": ["鐘"]},
    "fire": {"en": ["fire", "flame", "-fire drill"]},
    "truck": {"en": ["fire truck", "truck"], "es": ["camión"]},
    "siren": {"en": ["siren"], "es": ["sirena"], "zh": ["警笛"]},
    "car": {"en": ["car"], "es": ["coche"]},
    "river": {"en": ["river"]},
    "birds": {"en": ["bird"], "es": ["pájaro"], "fr": ["oiseau"], "de": ["Vogel"]},
    "wolf": {"en": ["wolf"]},
    "train": {"en": ["train"], "ja": ["電車"], "zh": ["列车"]},
    "crowd": {"en": ["crowd"], "ja": ["人混み"]},
    "traffic": {"en": ["traffic"]},
    "talking": {"en": ["=talk"]},
    "silence": {"en": ["silence", "stop to listen"], "zh": ["寂静"]},
    "silent": {"en": ["training"]},
}
PLACES = {
    "city": {"room": "outdoor", "beds": {"traffic": {"distance": 0.5}}, "en": ["city"]},
    "church": {"room": "hall", "beds": {}, "en": ["church"]},
}


@pytest.fixture(scope="module")
def shipped() -> Lexicon:
    return Lexicon.load()


@pytest.fixture(scope="module")
def lexicon(shipped: Lexicon) -> Lexicon:
    """Our own few sounds with the modifiers that foley ships."""
    return Lexicon(
        SOUNDS,
        implied={"car": {"en": ["drives away"]}},
        places=PLACES,
        modifiers=shipped._modifiers,
        irregular=shipped._irregular,
    )


def kinds(reading: Reading) -> list[str]:
    return [mention.kind for mention in reading.mentions]


def shape_of(reading: Reading, kind: str) -> Shape:
    (shape,) = [mention.shape for mention in reading.mentions if mention.kind == kind]
    return shape


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Two dogs", "en", ["dog"]),
        ("The door closed.", "en", ["door_close"]),
        ("doors closing", "en", ["door_close"]),
        ("wolves and birds", "en", ["wolf", "birds"]),
        ("RAIN", "en", ["rain"]),
        ("ｒａｉｎ", "en", ["rain"]),
        ("los perros ladraban", "es", ["dog"]),
        ("dos pajaros", "es", ["birds"]),
        ("les chiens aboient", "fr", ["dog"]),
        ("des oiseaux", "fr", ["birds"]),
        ("die Hunde bellten", "de", ["dog"]),
        ("Vögel", "de", ["birds"]),
        ("Kirchenglocken", "de", ["bell"]),
        ("最后只剩下雨声", "zh", ["rain"]),
        ("ドアをノックする", "ja", ["knock"]),
    ],
)
def test_phrase_matches_in_other_inflections(
    lexicon: Lexicon, text: str, language: str, expected: list[str]
) -> None:
    assert kinds(lexicon.read(text, language)) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("She does not care", "en"),
        ("brainy", "en"),
        ("in training", "en"),
        ("a fire drill", "en"),
        ("they talked", "en"),
        ("el puerto", "es"),
        ("etwas regt sich", "de"),
    ],
)
def test_phrase_does_not_match_a_different_word(lexicon: Lexicon, text: str, language: str) -> None:
    assert kinds(lexicon.read(text, language)) == []


def test_longest_phrase_wins(lexicon: Lexicon) -> None:
    assert kinds(lexicon.read("A fire truck passes", "en")) == ["truck"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rain on the tin roofs", "rain_on_tin"),
        ("rain on the old tin roofs", "rain"),
        ("rain, then a roof", "rain"),
    ],
)
def test_gap_spans_at_most_two_words_of_one_clause(
    lexicon: Lexicon, text: str, expected: str
) -> None:
    assert kinds(lexicon.read(text, "en")) == [expected]


def test_two_words_for_one_sound_are_one_mention(lexicon: Lexicon) -> None:
    own = Lexicon({"dog": {"en": ["dog", "barking"]}}, modifiers=lexicon._modifiers)

    assert [m.text for m in own.read("A dog starts barking.", "en").mentions] == [
        "dog starts barking"
    ]
    assert len(own.read("A dog and another dog.", "en").mentions) == 2
    assert len(own.read("A dog, then barking.", "en").mentions) == 2


def test_repeated_word_counts(lexicon: Lexicon) -> None:
    (mention,) = lexicon.read("Knock knock knock!", "en").mentions

    assert mention.shape.count == 3


def test_mention_quotes_the_text_verbatim(lexicon: Lexicon) -> None:
    text = "“É tarde” — ＲＡＩＮ falls; THREE loud Knocks."

    reading = lexicon.read(text, "en")

    assert [m.text for m in reading.mentions] == ["ＲＡＩＮ", "Knocks"]
    assert all(text[m.start : m.end] == m.text for m in reading.mentions)


def test_false_friend_of_english_is_not_read_in_another_language(lexicon: Lexicon) -> None:
    assert kinds(lexicon.read("un perro ladra en el car", "es")) == ["dog"]


def test_english_is_read_where_the_own_language_finds_nothing(lexicon: Lexicon) -> None:
    assert kinds(lexicon.read("Ein wolf", "de")) == ["wolf"]
    assert kinds(lexicon.read("雨声 and a wolf", "zh")) == ["rain", "wolf"]


@pytest.mark.parametrize(
    ("text", "expected"), [("lluvia y perros ladrando", ["rain", "dog"]), ("rain", ["rain"])]
)
def test_unknown_language_is_read_as_the_best_fitting_one(
    lexicon: Lexicon, text: str, expected: list[str]
) -> None:
    assert kinds(lexicon.read(text, "und")) == expected
    assert kinds(lexicon.read(text, "pt-BR")) == expected


@pytest.mark.parametrize(
    ("text", "language", "kind", "count"),
    [
        ("three knocks", "en", "knock", 3),
        ("3 loud slow knocks", "en", "knock", 3),
        ("a bell rings twice", "en", "bell", 2),
        ("the dog barks once", "en", "dog", 1),
        ("a knock, repeated five times", "en", "knock", 5),
        ("several knocks", "en", "knock", 4),
        ("a thousand and 9000 knocks", "en", "knock", 24),
        ("un perro ladra dos veces", "es", "dog", 2),
        ("la cloche sonne trois fois", "fr", "bell", 3),
        ("eine Glocke läutet dreimal", "de", "bell", 3),
        ("敲门三下", "zh", "knock", 3),
        ("三声敲门", "zh", "knock", 3),
        ("ノックが三回", "ja", "knock", 3),
        ("鐘が2回鳴る", "ja", "bell", 2),
        ("敲门十二下", "zh", "knock", 12),
    ],
)
def test_count_belongs_to_the_nearest_sound(
    lexicon: Lexicon, text: str, language: str, kind: str, count: int
) -> None:
    assert shape_of(lexicon.read(text, language), kind).count == count


@pytest.mark.parametrize("text", ["rain for ten minutes", "12 s knocks", "one day of rain", "rain"])
def test_measure_is_no_count(lexicon: Lexicon, text: str) -> None:
    (mention,) = lexicon.read(text, "en").mentions

    assert mention.shape.count is None


def test_each_sound_has_the_shape_of_its_own_words(lexicon: Lexicon) -> None:
    reading = lexicon.read(
        "Distant thunder and a nearby river, heavy rain, a dog barks softly on the left.", "en"
    )

    assert shape_of(reading, "thunder").distance >= 0.7
    assert shape_of(reading, "river").distance < 0.2
    assert shape_of(reading, "rain").intensity > 0.4
    assert shape_of(reading, "dog").intensity < -0.4
    assert shape_of(reading, "dog").position == -0.8
    assert shape_of(reading, "rain").position is None


@pytest.mark.parametrize(
    ("text", "language", "motion"),
    [
        ("A car approaches", "en", "approaching"),
        ("the car drives away", "en", "receding"),
        ("a car passes by", "en", "passing"),
        ("the car fades out", "en", "fading_out"),
        ("un coche que se acerca", "es", "approaching"),
        ("el coche se aleja", "es", "receding"),
    ],
)
def test_verb_moves_its_sound(lexicon: Lexicon, text: str, language: str, motion: str) -> None:
    assert shape_of(lexicon.read(text, language), "car").motion == motion


def test_clause_without_a_sound_moves_what_moved_before(lexicon: Lexicon) -> None:
    reading = lexicon.read(
        "A train waits among a crowd, a bell rings, it pulls out slowly and fades into the distance.",
        "en",
    )

    assert shape_of(reading, "train").motion == "receding"
    assert shape_of(reading, "train").pace < 1
    assert shape_of(reading, "bell").motion is None


def test_text_that_goes_on_with_the_last_sound_carries_its_motion(lexicon: Lexicon) -> None:
    reading = lexicon.read("and drives away", "en")

    assert kinds(reading) == []
    assert reading.carried.motion == "receding"
    assert reading.unmatched == ()


def test_verb_implies_a_sound_only_where_none_is_named(lexicon: Lexicon) -> None:
    alone = lexicon.read("The widow drives away", "en")

    assert kinds(alone) == ["car"]
    assert alone.mentions[0].shape.motion == "receding"
    assert kinds(lexicon.read("The truck drives away", "en")) == ["truck"]


def test_absent_sound_is_not_heard(lexicon: Lexicon) -> None:
    assert kinds(lexicon.read("Rain arrives without thunder", "en")) == ["rain"]
    assert kinds(lexicon.read("lluvia sin truenos", "es")) == ["rain"]


def test_landmark_puts_a_sound_far_away_and_is_not_heard(lexicon: Lexicon) -> None:
    reading = lexicon.read("A dog barks beyond the river", "en")

    assert kinds(reading) == ["dog"]
    assert reading.mentions[0].shape.distance > 0.5


def test_place_gives_its_bed_and_room(lexicon: Lexicon) -> None:
    reading = lexicon.read("A city", "en")

    assert kinds(reading) == []
    assert [(m.kind, m.text, m.shape.distance) for m in reading.ambience] == [
        ("traffic", "city", 0.5)
    ]
    assert reading.room == "outdoor"
    assert reading.unmatched == ()


def test_bed_of_a_place_yields_to_the_same_sound_named(lexicon: Lexicon) -> None:
    reading = lexicon.read("City traffic", "en")

    assert (kinds(reading), reading.ambience) == (["traffic"], ())


@pytest.mark.parametrize(
    ("heading", "room"), [("INT. CITY - NIGHT", "room"), ("EXT. CHURCH", "outdoor")]
)
def test_screenplay_heading_decides_the_room(lexicon: Lexicon, heading: str, room: str) -> None:
    assert lexicon.read(f"{heading}\nA bell.", "en").room == room


def test_silence_is_read_with_and_without_sounds(lexicon: Lexicon) -> None:
    alone = lexicon.read("and both stop to listen", "en")
    before = lexicon.read("Silence, then a bell", "en")

    assert alone.is_silence
    assert alone.unmatched == ()
    assert [pause.text for pause in before.silences] == ["Silence"]
    assert not before.is_silence
    assert kinds(before) == ["bell"]


def test_text_without_anything_to_hear_is_unmatched_whole(lexicon: Lexicon) -> None:
    assert lexicon.read(" The quasar hums. ", "en").unmatched == ("The quasar hums.",)
    assert lexicon.read("", "en") == Reading()


def test_table_of_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="'rain' has no language xx"):
        Lexicon({"rain": {"xx": ["rain"]}})


def test_phrase_of_articles_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no words"):
        Lexicon({"rain": {"en": ["the"]}}).read("rain", "en")


DATA = Path(__file__).parents[3] / "data"
INSTRUCTIONS = {
    story["id"]: story
    for story in map(json.loads, (DATA / "instructions.jsonl").read_text("utf-8").splitlines())
}
NAMED = json.loads((DATA / "named_sounds.json").read_text("utf-8"))
PARAPHRASES = json.loads((DATA / "paraphrases.json").read_text("utf-8"))


def _missed(shipped: Lexicon, story_id: str) -> list[str]:
    """The named sounds of which no acceptable kind was read where they are named."""
    story = INSTRUCTIONS[story_id]
    text = story["instruction"]
    reading = shipped.read(text, story["language"])
    found = [*reading.mentions, *reading.ambience, *reading.silences]
    missed = []
    for sound in NAMED[story_id]:
        start = text.index(sound["words"])
        end = start + len(sound["words"])
        if not any(m.kind in sound["kinds"] and m.start < end and m.end > start for m in found):
            missed.append(f"{story_id}: {sound['words']}")
    return missed


def test_every_instruction_has_its_named_sounds_listed() -> None:
    assert NAMED.keys() == INSTRUCTIONS.keys()


def test_named_sounds_of_the_instructions_are_read(shipped: Lexicon) -> None:
    missed = [words for story_id in INSTRUCTIONS for words in _missed(shipped, story_id)]

    assert len(missed) <= 0.05 * sum(map(len, NAMED.values())), missed


@pytest.mark.parametrize("story_id", INSTRUCTIONS)
def test_only_the_unknown_instruction_is_unmatched(shipped: Lexicon, story_id: str) -> None:
    story = INSTRUCTIONS[story_id]

    reading = shipped.read(story["instruction"], story["language"])

    assert bool(reading.unmatched) == (story_id == "unknown")


@pytest.mark.parametrize("language", PARAPHRASES)
def test_paraphrases_are_read(shipped: Lexicon, language: str) -> None:
    wrong = {
        text: kinds(shipped.read(text, language))
        for text, expected in PARAPHRASES[language]
        if not set(expected) <= set(kinds(shipped.read(text, language)))
    }

    assert not wrong


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("She does not care about her training.", "en"),
        ("A fan of the team runs a company; the light was soft and the ring was gold.", "en"),
        ("I have no idea what this is about.", "en"),
        ("Once veces al año van a comprar pan.", "es"),
        ("Un texto entre dos ideas", "es"),
        ("Il ne parle pas.", "fr"),
        ("Elle a faim et du pain.", "fr"),
        ("Man weiß es nicht genau.", "de"),
        ("他觉得这个想法很好。", "zh"),
        ("それは素晴らしい考えだ。", "ja"),
    ],
)
def test_words_that_sound_like_nothing_are_not_heard(
    shipped: Lexicon, text: str, language: str
) -> None:
    assert kinds(shipped.read(text, language)) == []


@pytest.mark.parametrize(
    ("text", "language", "motion"),
    [
        ("Der Zug fährt langsam davon", "de", "receding"),
        ("Le train s'éloigne", "fr", "receding"),
        ("El tren se acerca", "es", "approaching"),
        ("火车渐渐远去", "zh", "receding"),
        ("電車がゆっくり近づいてくる", "ja", "approaching"),
    ],
)
def test_motion_is_read_in_every_language(
    shipped: Lexicon, text: str, language: str, motion: str
) -> None:
    (mention,) = shipped.read(text, language).mentions

    assert (mention.kind, mention.shape.motion) == ("train", motion)


def test_lexicon_names_only_kinds_that_foley_makes(shipped: Lexicon) -> None:
    assert shipped.kinds <= load_kinds().keys()
    assert load_kinds().keys() <= shipped.kinds


def test_movers_are_kinds(shipped: Lexicon) -> None:
    assert set(shipped._modifiers["movers"]) <= load_kinds().keys()
