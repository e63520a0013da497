"""Cards: what they say, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audiostory_core.engines.card import check_language, read_card
from audiostory_core.engines.discovery import find_cards
from audiostory_core.errors import BadInput
from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.sampling import GUIDANCE, STEPS
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SoundLayer, SpeechLayer
from audiostory_core.story.shape import SHAPES
from tests.support.cards import TOY, write_card

PARAMETER = """
[parameters.pace]
type = "{type}"
default = {default}
help = "How fast"
{more}
"""


def parameter(tmp_path, type="integer", default="3", more=""):
    text = PARAMETER.format(type=type, default=default, more=more)
    return read_card(write_card(tmp_path / "brief", text), "a test").parameters["pace"]


def test_card_says_what_is_known_of_an_engine():
    card = read_card(TOY, "a test")

    assert (card.name, card.title, card.stems) == ("toy", "Toy", (Stem.EFFECTS,))
    assert card.limits.longest_clip_s == 20.0
    assert card.defaults == {"pitch_hz": 220.0, "shape": "sine"}
    assert card.environment.requirements == ()
    assert card.where == f"{TOY / 'card.toml'} (a test)"


@pytest.mark.parametrize(
    ("fields", "more", "where", "problem"),
    [
        ({"stem": "music"}, "", "stem", "is no field of a card"),
        ({"entry": None}, "", "entry", "is missing"),
        ({"stems": []}, "", "stems", "at least 1 item"),
        ({"stems": ["noise"]}, "", "stems.0", "'dialogue', 'music' or 'effects'"),
        ({"stems": ["composite"]}, "", "stems.0", "'dialogue', 'music' or 'effects'"),
        ({"continuous": ["music"]}, "", "continuous", "'music' is not among the stems"),
        ({"shapes": ["gain_db", "wetness"]}, "", "shapes.1", "should be 'gain_db', 'pan'"),
        ({"shapes": ["scenes"]}, "", "shapes.0", "should be 'gain_db', 'pan'"),
        ({"shapes": "gain_db"}, "", "shapes", "valid array"),
        (
            {"shapes": ["pan", "count"], "shapes_in_words": ["pace", "count"]},
            "",
            "shapes_in_words",
            "'count' is among the shapes, too",
        ),
        ({"name": "../etc"}, "", "name", "match pattern"),
        ({"one_core": "yes"}, "", "one_core", "valid boolean"),
        ({"entry": "engine"}, "", "entry", "match pattern"),
        ({}, "[limits]\nlongest_clip_s = 0", "limits.longest_clip_s", "greater than 0"),
        ({}, "[limits]\nlongest_clip_s = nan", "limits.longest_clip_s", "finite number"),
        ({}, "[limits]\nlongest_clip_s = '20'", "limits.longest_clip_s", "valid number"),
        ({}, "[limits]\nlongest = 3\nlongest_clip_s = 3", "limits.longest", "is no field"),
        ({}, "[environment]", "the card", "needs a revision"),
        (
            {"revision": "1"},
            "[environment]\nrequirements = ['torch>=2']",
            "environment",
            "'torch>=2' is not pinned",
        ),
        ({}, PARAMETER.format(type="integer", default="3.5", more=""), "pace", "valid integer"),
        (
            {},
            PARAMETER.format(type="number", default="3", more="maximum = 2"),
            "pace",
            "less than or equal to 2",
        ),
        (
            {},
            PARAMETER.format(type="text", default="'slow'", more="choices = ['fast']"),
            "pace",
            "none of the choices",
        ),
        ({}, PARAMETER.format(type="choice", default="3", more=""), "pace.type", "'integer'"),
    ],
)
def test_what_a_card_cannot_say_is_refused_by_field(tmp_path, fields, more, where, problem):
    folder = write_card(tmp_path / "brief", more, **fields)

    with pytest.raises(BadInput) as refused:
        read_card(folder, "a test")

    assert refused.value.field.startswith(f"{folder / 'card.toml'}: ")
    assert refused.value.field.endswith(where)
    assert problem in refused.value.problem
    assert refused.value.remedy


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", None])
def test_file_that_is_no_card_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "card.toml").write_bytes(content)

    with pytest.raises(BadInput, match=r"card\.toml"):
        read_card(tmp_path, "a test")


@pytest.mark.parametrize(
    ("made", "value", "checked"),
    [
        ({"more": "minimum = 1\nmaximum = 9"}, "7", 7),
        ({"more": "minimum = 1\nmaximum = 9"}, 7.0, 7),
        ({"type": "number", "default": "2.5"}, "4", 4.0),
        ({"type": "text", "default": "'a'", "more": "choices = ['a', 'b']"}, "b", "b"),
        ({"type": "boolean", "default": "false"}, "true", True),
    ],
)
def test_value_of_a_parameter_is_read_as_its_type(tmp_path, made, value, checked):
    result = parameter(tmp_path, **made).check("pace", value)

    assert result == checked
    assert type(result) is type(checked)


def test_default_is_of_the_type_that_a_value_is_read_as(tmp_path):
    folder = write_card(tmp_path / "brief", PARAMETER.format(type="number", default="3", more=""))

    default = read_card(folder, "a test").defaults["pace"]

    assert type(default) is float


@pytest.mark.parametrize(
    ("made", "value", "remedy"),
    [
        ({"more": "minimum = 1\nmaximum = 9"}, 10, "Give an integer from 1 to 9."),
        ({"more": "minimum = 1"}, "fast", "Give an integer from 1."),
        ({"type": "number", "default": "2.5"}, "nan", "Give a number."),
        ({"type": "text", "default": "'a'", "more": "choices = ['a', 'b']"}, "c", "one of a, b."),
        ({"type": "boolean", "default": "false"}, "perhaps", "Give true or false."),
        ({"type": "text", "default": "'a'"}, "x" * 1001, "Give text."),
    ],
)
def test_value_out_of_range_is_refused_with_what_it_should_be(tmp_path, made, value, remedy):
    with pytest.raises(BadInput) as refused:
        parameter(tmp_path, **made).check("pace", value)

    assert refused.value.field == "pace"
    assert refused.value.remedy.endswith(remedy)


def test_parameter_of_another_engine_is_refused():
    with pytest.raises(BadInput, match="means nothing to the engine toy"):
        read_card(TOY, "a test").check_parameters({"steps": 20})


@pytest.mark.parametrize(
    ("language", "is_known"),
    [("en", True), ("en-GB", True), (None, True), ("und", True), ("de", False), ("e", False)],
)
def test_language_is_one_of_the_engines(language, is_known):
    if is_known:
        check_language(language, "toy", ("en", "fr"))
        return

    with pytest.raises(BadInput, match="en, fr"):
        check_language(language, "toy", ("en", "fr"))


def test_any_language_is_fine_where_a_card_names_none():
    check_language("tlh", "toy", ())


def test_card_of_the_network_says_what_was_published():
    card = find_cards().get("audiostory")

    assert card.limits.longest_clip_s == NetworkConfig().longest_s
    assert card.defaults == {"steps": STEPS, "guidance": GUIDANCE}
    # As they have been in the requests of clips, whose hashes are the clips' keys.
    assert json.dumps(card.defaults) == '{"steps": 50, "guidance": 4.0}'


def test_reading_cards_loads_nothing_that_makes_sound():
    code = (
        "import sys; from audiostory_core.engines.discovery import find_cards;"
        "assert len(find_cards().names) > 1; print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert {"numpy", "scipy", "torch", "soundfile"} & set(loaded) == set()
    assert [name for name in loaded if name.startswith("audiostory_core.engines.foley")] == []


def test_shipped_cards_say_which_shapes_they_honor(tmp_path):
    by_name = find_cards().by_name

    assert set(by_name["foley"].shapes) == set(SHAPES)
    assert set(by_name["audiostory"].shapes_in_words) == set(SHAPES)
    assert read_card(write_card(tmp_path / "bell"), "a test").shapes == ()


def test_every_field_of_a_layers_shape_may_be_in_a_card():
    fields = {*SoundLayer.model_fields, *SpeechLayer.model_fields}
    content = {"kind", "text", "words", "speaker", "manner"}

    assert fields - content - {"scenes"} == set(SHAPES)  # spans are resolved before
