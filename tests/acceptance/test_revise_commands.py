"""Revising a story from the command line, with real sound."""

import json

import jsonschema_rs
import pytest
import soundfile

RATE = 44_100
STORY = "1. A bell rings (3 s)\n2. A dog barks (3 s)\n3. An owl hoots (3 s)"


@pytest.fixture
def story(audiostory):
    """A finished story of three scenes."""
    told = audiostory.json("create", STORY, "--seed", 5)
    assert told["status"] == "finished"
    assert told["sub_events"] == 3
    return told["id"]


def _captions(audiostory, story_id) -> list[str]:
    return [scene["caption"] for scene in audiostory.json("show", story_id)["scenes"]]


def test_story_is_reviewed_edited_rejected_and_approved(audiostory, tmp_path):
    made = audiostory.json("create", STORY, "--seed", 5, "--review")
    assert (made["status"], made["waits_for"]) == ("in review", "plan review")
    story_id = made["id"]
    edits = tmp_path / "edits.json"
    edits.write_text(json.dumps([{"op": "reword", "sub_event": 2, "caption": "A door creaks"}]))

    edited = audiostory.json("edit", story_id, edits)
    assert (edited["revision"], edited["waits_for"]) == (2, "plan review")
    assert "A door creaks" in _captions(audiostory, story_id)[1]
    rejected = audiostory.json("reject", story_id, "shorter")
    assert (rejected["revision"], rejected["waits_for"]) == (3, "plan review")
    assert "A door creaks" in _captions(audiostory, story_id)[1]  # what the author edited stays
    assert audiostory("approve", story_id).returncode == 0
    assert audiostory.json("resume", story_id)["waits_for"] == "mix review"
    assert audiostory("approve", story_id).returncode == 0
    assert audiostory.json("resume", story_id)["status"] == "finished"


@pytest.mark.parametrize(
    "command",
    [
        ("revise", "2", "--change", "scarier"),
        ("revise", "2", "--change", "don't make it louder", "--preview"),
        ("revise", "2", "--change", "louder, in scene 3", "-o", "refused.wav"),
        ("reject", "make it nicer", "-o", "refused.wav"),
        ("reject", "swap scenes 1 and 9"),
    ],
)
def test_words_that_are_not_read_to_the_last_are_refused_and_nothing_is_printed_or_written(
    audiostory, story, tmp_path, command
):
    name, *rest = (tmp_path / word if word == "refused.wav" else word for word in command)
    before = audiostory.json("show", story)

    refused = audiostory(name, story, *rest)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "refused.wav").exists()
    assert audiostory.json("show", story) == before


def test_layers_and_order_are_changed_exactly(audiostory, story):
    for command in (
        ("scene", "add-layer", story, 1, "--text", "an owl", "--at", 1),
        ("scene", "layer", story, 1, 1, "--text", "a dog barks"),
        ("scene", "swap", story, 1, 3),
        ("shape", story, "--gain", -3),
    ):
        preview = audiostory(*command, "--preview")
        assert preview.returncode == 0, preview.stderr
    assert audiostory("scene", "remove-layer", story, 1, 9).returncode == 2
    assert audiostory("voice", story, "Nobody", "a woman").returncode == 2
    assert audiostory("language", story, "not a code").returncode == 2


def test_scene_is_revised_in_plain_words_undone_and_redone(audiostory, story, tmp_path):
    heard = tmp_path / "owl.wav"
    clips = [scene["clip"] for scene in audiostory.json("show", story)["scenes"]]
    lines = audiostory.json("revise", story, 2, "--change", "more distant", "--preview")
    assert [line["is_made_again"] for line in lines] == [False, True, False]
    assert audiostory.json("show", story)["revision"] == 1

    revised = audiostory.json("revise", story, 2, "--change", "more distant", "-o", heard)

    assert (revised["status"], revised["waits_for"]) == ("in review", "mix review")
    now = [scene["clip"] for scene in audiostory.json("show", story)["scenes"]]
    assert [one == other for one, other in zip(clips, now, strict=True)] == [True, False, True]
    assert soundfile.info(heard).frames == 9 * RATE
    assert audiostory.json("undo", story)["revision"] == 1
    assert audiostory.json("redo", story)["revision"] == 2
    assert audiostory("undo", story).returncode == 0
    assert audiostory("resume", story).returncode == 0
    assert audiostory.json("show", story)["status"] == "finished"


def test_takes_are_made_listed_and_chosen(audiostory, story):
    takes = audiostory.json("takes", story, 2, "--more", 2)
    assert [take["status"] for take in takes] == ["finished"] * 3
    assert len({take["recipe"]["seed"] for take in takes}) == 3

    chosen = audiostory.json("choose", story, 2, 3, "--accept")

    assert chosen["status"] == "finished"
    takes = audiostory.json("takes", story, 2)
    assert [take["is_heard"] for take in takes] == [False, False, True]
    table = audiostory("takes", story, 2)
    assert table.returncode == 0
    assert "asked for" in table.stdout


def test_history_names_diff_and_branch(audiostory, story):
    deleted = audiostory.json("scene", "delete", story, 2, "--accept")
    assert deleted["duration_s"] == 6.0
    assert audiostory("name", story, 1, "all three").returncode == 0

    listed = audiostory.json("history", story)
    assert [(one["revision"], one["name"], one["is_current"]) for one in listed] == [
        (2, None, True),
        (1, "all three", False),
    ]
    assert "scene 2 deleted" in audiostory("history", story).stdout
    text = audiostory("diff", story, "all three", 2)
    assert text.returncode == 0
    assert "dog" in text.stdout
    branched = audiostory.json("branch", story, "all three")
    assert branched["id"] != story
    resumed = audiostory.json("resume", branched["id"])
    assert (resumed["status"], resumed["duration_s"]) == ("finished", 9.0)
    assert audiostory.json("switch", story, "all three")["revision"] == 1


@pytest.mark.parametrize(
    ("operation", "made_again", "duration_s"),
    [
        (("insert", 2, "A phone rings", "--duration", 2), 1, 11.0),
        (("insert", 2, "A phone rings", "--duration", 2, "--keep-total"), 4, 9.0),
        (("move", 3, 1), 2, 9.0),
        (("split", 2, 1.5), 2, 9.0),
        (("merge", 1), 1, 9.0),
    ],
)
def test_scenes_are_edited(audiostory, story, operation, made_again, duration_s):
    command, *told = operation
    lines = audiostory.json("scene", command, story, *told, "--preview")
    assert sum(line["is_made_again"] for line in lines) == made_again

    edited = audiostory.json("scene", command, story, *told, "--accept")

    assert (edited["status"], edited["duration_s"]) == ("finished", duration_s)


def test_what_cannot_be_done_ends_with_2_and_one_line(audiostory, story, tmp_path):
    file = tmp_path / "edits.json"
    file.write_text("[{]")
    refused = [
        ("revise", story, 2),
        ("revise", story, 9, "--caption", "An owl"),
        ("revise", story, 2, "--duration", 100),
        ("revise", story, 2, "--engine", "organ", "--preview"),
        ("revise", "nowhere", 2, "--caption", "An owl"),
        ("revise", story, 2, "--caption", "An owl", "-o", tmp_path / "no" / "where.wav"),
        ("scene", "merge", story, 3),
        ("scene", "split", story, 2, 2.9),
        ("scene", "move", story, 1, 9),
        ("edit", story, file),
        ("edit", story, tmp_path / "missing.json"),
        ("takes", story, 9),
        ("choose", story, 2, 9),
        ("choose", story, 2, 2**70),
        ("reject", story, " "),
        ("undo", story),
        ("redo", story),
        ("switch", story, "nowhere"),
        ("name", story, 1, "12"),
        ("diff", story, 1, 9),
        ("branch", story, 9),
        ("cancel", story),
    ]

    for command in refused:
        finished = audiostory(*command)
        assert finished.returncode == 2, (command, finished.stdout, finished.stderr)
        assert finished.stdout == "", command
        assert finished.stderr.count("\n") == 1, (command, finished.stderr)
    assert audiostory.json("show", story)["status"] == "finished"


@pytest.mark.parametrize("more", [(), ("--preview",), ("--json",)])
def test_change_that_the_planner_does_not_understand_is_refused_first(
    audiostory, story, tmp_path, more
):
    heard = tmp_path / "heard.wav"
    before = audiostory.json("show", story)

    refused = audiostory("revise", story, 2, "--change", "qwrtz pfffx", "-o", heard, *more)

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("audiostory: change 'qwrtz pfffx'")
    assert refused.stderr.count("\n") == 1
    assert not heard.exists()
    assert audiostory.json("show", story) == before


def test_layer_is_shaped_and_what_it_was_is_told(audiostory, story):
    lines = audiostory.json("scene", "shape", story, 2, 1, "--gain", -6, "--scenes", 2, "--preview")
    assert [line["is_made_again"] for line in lines] == [False, True, True]

    shaped = audiostory.json("scene", "shape", story, 2, 1, "--gain", -6, "--accept")

    (layer,) = shaped["scenes"][1]["layers"]
    assert layer["gain_db"] == -6
    assert "sfx: A dog barks: -6 dB" in audiostory("diff", story, 1, 2).stdout
    refused = audiostory("scene", "shape", story, 2, 1, "--gain", 40)
    assert refused.returncode == 2
    assert "edits.1.gain_db 40.0: cannot be used" in refused.stderr


def test_schema_is_written_beside_a_plan_that_names_it(audiostory, tmp_path):
    schema, plan = tmp_path / "plan.schema.json", tmp_path / "plan.json"

    for arguments, file in ((["--schema"], schema), ([STORY], plan)):
        planned = audiostory("plan", *arguments, "-o", file)
        assert planned.returncode == 0
        assert planned.stdout.splitlines()[-1] == f"written to {file}"

    written = json.loads(plan.read_text("utf-8"))
    assert (tmp_path / written["$schema"]) == schema
    jsonschema_rs.validate(json.loads(schema.read_text("utf-8")), written)
    assert audiostory("plan", STORY, "--schema").returncode == 2


def test_plan_of_another_version_is_one_line_and_no_story(audiostory, tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 3, "instruction": "a", "language": "en"}), "utf-8")

    refused = audiostory("create", "--plan", plan)

    assert refused.returncode == 2
    assert "version 3: this build reads plans of the versions 1 and 2" in refused.stderr
    assert audiostory.json("list") == []
