"""Which language a text is in, and what a plan says of one that has no word lists."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief

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
