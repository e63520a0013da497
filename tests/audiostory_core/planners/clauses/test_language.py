"""Which language a text is in, and what a plan says of one that has no word lists."""

import errno
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from py3langid.langid import LanguageIdentifier

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses import language
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.text import detection

CASES: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[3] / "data" / "languages.toml").read_text("utf-8")
)


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages.load()


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in CASES.items() for text in texts]
)
def test_language_of_a_short_text_is_told(code, text, languages):
    assert languages.detect(text) == code


def test_lines_in_a_language_without_words_are_spoken_in_it_and_the_plan_says_so():
    plan = Clauses().plan(Brief("– Kto tam? – zapytała Anna.\nPada deszcz."))

    assert plan.language == "pl"
    assert any("'pl'" in note and "spoken in it" in note for note in plan.notes)


def test_language_that_was_named_is_kept():
    assert Clauses().plan(Brief("Pada deszcz.", language="cs")).language == "cs"


def test_model_of_letters_is_not_loaded_for_words_that_are_known():
    code = (
        "import sys; from audiostory_core.planners.clauses.planner import Clauses; "
        "from audiostory_core.planners.protocol import Brief; "
        "Clauses().plan(Brief('Rain', 5.0)); assert 'numpy' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "text", ["a single piano note", "a lone piano melody", "solo cello", "a violin solo"]
)
def test_few_words_that_are_known_need_no_letters(text, monkeypatch):
    monkeypatch.setattr(language, "by_letters", lambda *_: pytest.fail("were asked"))

    assert Languages.load().detect(text) == "en"


def test_model_of_languages_that_finds_no_room_is_explained(monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    detection._model.cache_clear()
    monkeypatch.setattr(LanguageIdentifier, "from_model_file", fail)

    with pytest.raises(BadInput, match=r"No space left on device.*Say which it is"):
        Languages.load().detect("Pada deszcz, a za oknem wieje wiatr i biegnie pies.")
