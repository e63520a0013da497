import pytest

from audiostory_core.text.spoken.lexicon import check_readings, heard_in


@pytest.mark.parametrize(
    ("name", "reading", "problem"),
    [
        ("Siobhan", "/ʃʘ/", "“ʘ”"),
        ("Siobhan", "a[b", r"“\[”"),
        ("Siobhan", " ", "0|1 characters"),
        ("Siobhan", "x" * 201, "201 characters"),
        ("Siobhan", "//", "“/”"),
        ("Siobhan", "/ˈ/", "no symbol"),
        ("!", "bang", "is no word"),
        (" Bo", "boh", "is no word"),
    ],
)
def test_reading_that_no_voice_can_speak_is_refused(name, reading, problem):
    with pytest.raises(ValueError, match=problem):
        check_readings({name: reading})


def test_readings_are_those_of_words_in_the_lines():
    say = {"Siobhan": "shi-VAWN", "Bo": "boh", "二郎": "ジロウ"}

    assert heard_in(say, "SIOBHAN and Bob") == {"Siobhan": "shi-VAWN"}
    assert heard_in(say, "次は二郎だ") == {"二郎": "ジロウ"}
    assert heard_in({}, "Siobhan") == {}
