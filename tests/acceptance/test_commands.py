"""The command line as a newcomer and as a script use it."""

import hashlib
import json
import subprocess
import sys
import unicodedata

import soundfile


def test_plan_is_written_edited_and_accepted(audiostory, tmp_path):
    plan, file = tmp_path / "plan.json", tmp_path / "story.flac"
    planned = audiostory.json("plan", "rain, then three knocks", "-d", 12, "-o", plan)
    assert json.loads(plan.read_text()) == planned
    edited = planned | {
        "duration_s": 9.0,
        "sub_events": [
            event | {"duration_s": 9.0 / len(planned["sub_events"])}
            for event in planned["sub_events"]
        ],
    }
    plan.write_text(json.dumps(edited))

    story = audiostory.json("create", "--plan", plan, "--seed", 3, "-o", file)

    assert soundfile.info(file).frames == 9 * 44_100
    assert soundfile.info(file).subtype == "PCM_24"
    assert story["duration_s"] == 9.0


def test_same_instruction_and_seed_give_the_same_bytes_in_two_data_folders(audiostory, tmp_path):
    digests = set()
    for name in ("one", "two"):
        file = tmp_path / f"{name}.wav"
        other = type(audiostory)(tmp_path / name)
        finished = other("create", "An owl, then heavy rain", "-d", 8, "--seed", 4, "-o", file)
        assert finished.returncode == 0, finished.stderr
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())

    assert len(digests) == 1


def test_list_and_show_tell_scripts_and_people(audiostory, tmp_path):
    file, picture = tmp_path / "story.wav", tmp_path / "story.png"
    made = audiostory.json("create", "rain, then thunder", "-d", 6, "-o", file)

    listed = audiostory.json("list")
    shown = audiostory.json("show", made["id"])
    told = audiostory("show", made["id"], "--plot", picture)
    drawn = audiostory.json("show", made["id"], "--plot", picture)

    assert [(s["id"], s["status"], s["duration_s"]) for s in listed] == [
        (made["id"], "finished", 6.0)
    ]
    assert [scene["caption"] for scene in shown["scenes"]] == [
        scene["caption"] for scene in made["scenes"]
    ]
    assert drawn == shown
    assert "LUFS" in told.stdout
    assert all(len(line) <= 100 for line in told.stdout.splitlines())
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_reviewed_story_waits_for_its_author_twice(audiostory, tmp_path):
    file = tmp_path / "story.wav"
    waiting = audiostory.json("create", "rain", "-d", 4, "--review", "-o", file)
    assert (waiting["status"], waiting["waits_for"]) == ("in review", "plan review")
    assert not file.exists()

    assert audiostory("approve", waiting["id"]).returncode == 0
    waiting = audiostory.json("resume", waiting["id"], "-o", file)
    assert waiting["waits_for"] == "mix review"
    assert audiostory("approve", waiting["id"]).returncode == 0
    finished = audiostory.json("resume", waiting["id"], "-o", file)

    assert finished["status"] == "finished"
    assert soundfile.info(file).frames == 4 * 44_100


def test_unknown_sounds_are_listed_and_the_story_still_made(audiostory, tmp_path):
    file = tmp_path / "story.wav"

    finished = audiostory("create", "A vortigaunt frobnicates", "-d", 5, "-o", file)

    assert finished.returncode == 3
    assert "vortigaunt" in finished.stderr
    assert soundfile.info(file).frames == 5 * 44_100


def test_instruction_is_read_from_standard_input(audiostory, tmp_path):
    file = tmp_path / "story.wav"

    finished = audiostory("create", "-", "-d", 3, "-o", file, input="雨が降る\n")

    assert finished.returncode == 0, finished.stderr
    assert soundfile.info(file).frames == 3 * 44_100


def test_doctor_tells_what_is_usable(audiostory):
    findings = {finding["what"]: finding for finding in audiostory.json("doctor")}

    assert findings["engine foley"]["is_usable"]
    assert findings["planner clauses"]["is_usable"]
    assert findings["data folder"]["is_usable"]


def test_help_teaches_without_loading_anything_heavy(audiostory):
    told = audiostory("--help").stdout
    for words in ("create", "resume", "AUDIOSTORY_HOME", "Exit codes"):
        assert words in told

    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "api", "--help"],
        capture_output=True, text=True, check=True, env=audiostory.environment,
    ).stderr  # fmt: skip
    for heavy in ("numpy", "scipy", "sqlalchemy", "langgraph", "fastapi", "rich.table"):
        assert f" {heavy}\n" not in loaded


def test_migrate_makes_a_data_folder(audiostory):
    told = audiostory("migrate")

    assert told.returncode == 0, told.stderr
    assert (audiostory.home / "studio.db").exists()


def test_manner_and_speaker_that_nobody_knows_are_notes_of_plan_and_edit(audiostory, tmp_path):
    line = {"kind": "speech", "words": "Hello", "speaker": "Ana", "manner": "flabbergasted"}
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "instruction": "Anna says hello",
                "language": "en",
                "duration_s": 3.0,
                "cast": [{"name": "Anna"}],
                "sub_events": [{"caption": "a line", "duration_s": 3.0, "layers": [line]}],
            }
        )
    )
    created = audiostory("create", "--plan", plan, "--seed", 1, "-o", tmp_path / "line.wav")
    printed = " ".join(created.stdout.split())
    assert created.returncode == 0, created.stderr
    assert "Scene 1: the manner “flabbergasted” is not known" in printed
    assert "Scene 1: the speaker “Ana” is not in the cast" in printed

    story = audiostory.json("list")[0]["id"]
    assert len(audiostory.json("show", story)["notes"]) == 2
    edits = tmp_path / "edits.json"
    said = line | {"speaker": "Anna", "manner": "gobsmacked"}
    edits.write_text(json.dumps([{"op": "reword", "sub_event": 1, "layers": [said]}]))
    notes = audiostory.json("edit", story, edits)["notes"]
    assert [note.partition(" is not")[0] for note in notes] == [
        "Scene 1: the manner “flabbergasted”",
        "Scene 1: the speaker “Ana”",
        "Scene 1: the manner “gobsmacked”",
    ]


def test_text_of_a_client_controls_no_terminal(audiostory, tmp_path):
    odd = "rain \x1b]0;owned\x07\x1b[2J \x9b31m \u202egnp.exe\x85 \x7f"
    made = json.loads(audiostory("create", odd, "-d", 3, "-o", tmp_path / "a.wav", "--json").stdout)
    story = made["id"]
    assert made["instruction"] == odd
    bad = "audiostory: scene \x1b[31m"
    shown = [
        audiostory("list"),
        audiostory("show", story),
        audiostory("takes", story, 1),
        audiostory("reject", story, f"shorter {odd}"),
        audiostory("history", story),
        audiostory("diff", story, 1, 2),
        audiostory("resume", story),
        audiostory("name", story, 1, f"a{odd}"),
        audiostory("switch", story, f"none{odd}"),
        audiostory("revise", story, 1, "--change", odd),
        audiostory("show", bad),
        audiostory("create", f"rain{odd}", "--engine", odd),
        audiostory("list", "--json"),
        audiostory("show", story, "--json"),
        audiostory("webhooks", "list"),
        audiostory("keys", "list"),
    ]

    for finished in shown:
        for text in (finished.stdout, finished.stderr):
            controls = {
                character
                for character in text
                if character != "\n" and unicodedata.category(character) in ("Cc", "Cf")
            }
            assert controls == set(), finished.args
    assert "owned" in shown[0].stdout
