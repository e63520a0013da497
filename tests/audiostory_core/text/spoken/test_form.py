import random
import time
import tomllib
from pathlib import Path

import pytest

from audiostory_core.text.spoken.form import read_aloud, spoken_form

TABLE = tomllib.loads((Path(__file__).parents[3] / "data/readings.toml").read_text("utf-8"))
CASES = [
    pytest.param(*case, id=f"{kind}-{case[0]}-{case[1]}")
    for kind, groups in TABLE.items()
    for group in groups
    for case in group["cases"]
]
UNITS = (
    *("1", "1,", "1/", "1-", "1.", "1 ", "10:", "I ", "Henry ", "Mr. ", "&", "<", "$", "1+", "-"),
    *(
        "1'",
        "X",
        "Ann St. ",
        "[1]",
        "a@",
        "a.",
        "Chapter I, ",
        "#1",
        "a²",
        "<b ",
        "5% ",
        "1x",
        "a^1",
    ),
)


@pytest.mark.parametrize(("language", "written", "spoken"), CASES)
def test_words_are_spoken_as_the_table_says(language, written, spoken):
    assert spoken_form(written, language) == spoken


def test_footnote_marks_are_told():
    assert read_aloud("It rose.[1] Nobody slept.²", "en").unspoken == ("[1]", "²")
    assert read_aloud("5 m² of it", "en").unspoken == ()


def test_line_of_another_script_is_read_in_its_own_language():
    assert spoken_form("I have 3 cats", "ja") == "I have three cats"
    assert spoken_form("у меня 3 кота", "en") == "у меня три кота"


def test_readings_hold_for_whole_words():
    say = {"Siobhan": "shi-VAWN", "bo": "/boʊ/"}

    assert spoken_form("Dr. Siobhan met SIOBHAN, 2 Bo and a bob.", "en", say) == (
        "Doctor shi-VAWN met shi-VAWN, two /boʊ/ and a bob."
    )
    assert spoken_form("siobhan", "en", say) == "siobhan"


@pytest.mark.parametrize("language", ["en", "fr", "ru", "ja", "zh", "ko"])
@pytest.mark.parametrize("unit", UNITS)
def test_long_texts_take_time_in_proportion(language, unit):
    def taken(size):
        text = (unit * size)[:size]
        started = time.process_time()
        spoken_form(text, language)
        return time.process_time() - started

    spoken_form("1", language)
    assert taken(16_000) < 16 * taken(4_000) + 0.1


@pytest.mark.parametrize(
    "language", ["en", "de", "fr", "es", "pl", "ja", "zh", "ko", "ar", "und", "xx"]
)
def test_any_text_can_be_read(language):
    signs = "1920,./:-+=^%$€°'’#@&<>[]()²³ ½IVXh第年月日時分本円\u00a0\u00adaAé\n\ue000"
    dice = random.Random(language)
    for _ in range(300):
        spoken_form("".join(dice.choices(signs, k=dice.randint(1, 30))), language)
