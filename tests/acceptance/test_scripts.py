"""Scripts on the command line: shown, planned, narrated, or refused in one line."""

import json

import pytest

SCREENPLAY = """Title: Low Water
Author: M. Quint

INT. LIGHTHOUSE - NIGHT

Waves crash outside.

KEEPER (V.O.)
(whispering)
Something is out there. (beat) Listen.

MARA
[[louder]] What?
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "low_water.fountain"
    path.write_text(SCREENPLAY, encoding="utf-8")
    return path


def test_read_shows_the_elements_of_a_script_and_counts_them(audiostory_here, script):
    finished = audiostory_here("read", script)

    assert finished.returncode == 0
    assert "read as fountain: has headings such as INT. and EXT." in finished.stdout
    assert "note 3, heading 1, action 1, line 3, pause 1" in finished.stdout
    assert "3 lines are spoken: KEEPER 2, MARA 1" in finished.stdout


def test_read_prints_json_for_scripts(audiostory_here, script):
    document = json.loads(audiostory_here("read", script, "--json").stdout)

    assert document["format"] == "fountain"
    assert document["speakers"] == {"KEEPER": 2, "MARA": 1}
    assert document["counts"]["line"] == 3
    lines = [element for element in document["elements"] if element["kind"] == "line"]
    assert [(line["line"], line["words"], line["manner"]) for line in lines] == [
        (8, "Something is out there.", "whispering"),
        (10, "Listen.", "whispering"),
        (12, "What?", None),
    ]


def test_plan_of_a_script_tells_its_format_and_who_speaks(audiostory_here, script, tmp_path):
    plan = tmp_path / "plan.json"

    assert audiostory_here("plan", "--script", script, "-o", plan).returncode == 0

    document = json.loads(plan.read_text(encoding="utf-8"))
    assert document["notes"][:2] == [
        "Read as a screenplay (fountain): it has headings such as INT. and EXT.",
        "3 lines are spoken: KEEPER 2, MARA 1.",
    ]
    assert "[[louder]]" in document["directions"]
    speech = [
        layer
        for event in document["sub_events"]
        for layer in event["layers"]
        if layer["kind"] == "speech"
    ]
    assert [(line["speaker"], line.get("pause_before_s")) for line in speech] == [
        ("KEEPER", None), ("KEEPER", 1.0), ("MARA", None)
    ]  # fmt: skip


def test_prose_is_narrated_only_when_it_is_asked_for(audiostory_here, tmp_path):
    chapter = tmp_path / "chapter.txt"
    chapter.write_text("It was late. “Who is there?” asked Nell.", encoding="utf-8")

    def words(*arguments):
        planned = json.loads(
            audiostory_here("plan", "--script", chapter, *arguments, "--json").stdout
        )
        layers = [layer for event in planned["sub_events"] for layer in event["layers"]]
        return [layer["words"] for layer in layers if layer["kind"] == "speech"]

    assert words() == ["Who is there?"]
    assert words("--narrate") == ["It was late.", "Who is there?", "asked Nell."]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--script", "missing.fountain"], "no such file"),
        (["plan", "Rain", "--script", "SCRIPT"], "brings its own text"),
        (["plan", "--script", "SCRIPT", "--format", "opera"], "Name one of: fountain"),
        (["plan", "--script", "SCRIPT", "--format", "srt"], "has no times"),
        (["plan", "--script", "SCRIPT", "--format", "fountain", "--narrate"], "is for prose"),
        (["read", "SCRIPT", "--format", "epub"], "it is not a zip"),
        (["read", "SCRIPT", "--format", "final_draft"], "is damaged XML"),
        (["create", "--script", "missing.srt"], "no such file"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(audiostory_here, script, arguments, said):
    named = [str(script) if argument == "SCRIPT" else argument for argument in arguments]

    finished = audiostory_here(*named)

    assert finished.returncode == 2
    (line,) = finished.stderr.strip().splitlines()
    assert line.startswith("audiostory: ")
    assert said in line
