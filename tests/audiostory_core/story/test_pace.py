"""How long lines are expected to take, against what foley's voices really take."""

import statistics
import tomllib
from pathlib import Path

import pytest

from audiostory_core.engines.foley.speech.rates import rate_wpm
from audiostory_core.engines.foley.speech.speech import Speech
from audiostory_core.story.pace import RATE_WPM, seconds_to_say
from audiostory_core.story.plan import SAMPLE_RATE

LINES: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[2] / "data" / "paces.toml").read_text("utf-8")
)
SPEAKERS = [  # name, description, place in the cast, manner
    (None, "", 0, None),
    ("Anna", "", 1, None),
    ("Ben", "an old man", 2, None),
    ("Tom", "a boy", 3, "whispering"),
    ("MARA", "a woman", 4, "tired"),
    ("Otto", "", 5, "shouting"),
    ("HAL", "a robot", 6, None),
]


@pytest.fixture(scope="module")
def speech():
    with_helper = Speech()
    yield with_helper
    with_helper.close()


def test_lines_take_as_long_as_expected_in_every_voice(speech):
    errors = []
    for language, lines in LINES.items():
        for at, words in enumerate(lines):
            speaker, description, index, manner = SPEAKERS[at % len(SPEAKERS)]
            voice = speech.voice_for(speaker, description, index)
            utterance = speech.speak(words, language, voice, manner, None)
            taken_s = utterance.waveform.size / SAMPLE_RATE
            rate = rate_wpm(speaker, description, index, manner) / RATE_WPM
            errors.append(abs(seconds_to_say(words, language, rate) / taken_s - 1))

    assert statistics.median(errors) <= 0.05
    assert statistics.quantiles(errors, n=20)[-1] <= 0.15


def test_voice_and_manner_change_the_length():
    plain, old, fast = (
        rate_wpm("Ben", "", 1, None),
        rate_wpm("Ben", "old", 1, None),
        rate_wpm("Ben", "", 1, "fast"),
    )

    assert old < plain < fast
    assert seconds_to_say("Who is there?", "en", 0.5) > 1.8 * seconds_to_say("Who is there?", "en")


@pytest.mark.parametrize(
    ("figures", "language"),
    [
        ("2,147,483,647 reasons!", "en"),
        ("Dial 555-0198-2231.", "en"),
        ("Son 1250 casas.", "es"),
        ("Es kostet 1250 Euro.", "de"),
        ("Il y a 1250 maisons.", "fr"),
    ],
)
def test_figures_take_time(figures, language, speech):
    voice = speech.voice_for(None, "", 0)
    utterance = speech.speak(figures, language, voice, None, None)

    expected_s = seconds_to_say(figures, language)

    assert expected_s >= 0.75 * utterance.waveform.size / SAMPLE_RATE


@pytest.mark.parametrize(
    "words", ["你听到街上的声音了吗？", "誰ですか。", "누구세요?", "Кто там?", "Chi è?"]
)
def test_script_tells_the_pace_where_the_language_is_unknown(words):
    assert 0.4 <= seconds_to_say(words) <= 4.0
