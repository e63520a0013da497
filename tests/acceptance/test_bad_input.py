"""Bad input: one clear line with the remedy, exit code 2, and nothing half-written."""

import json
import os
import resource
import sqlite3

import pytest

from tests.support.permissions import respect_permissions


def _assert_refused(finished, *said: str, exit_code: int = 2) -> None:
    lines = finished.stderr.strip().splitlines()
    assert finished.returncode == exit_code, finished.stderr
    assert "Traceback" not in finished.stderr
    assert lines[-1].startswith("audiostory: ")
    for words in said:
        assert words.lower() in lines[-1].lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], ["instruction", "empty"]),
        (["  \n\t "], ["instruction", "empty"]),
        (["rain", "--duration", "0"], ["duration", "0", "1 second", "24 hours"]),
        (["rain", "--duration", "-5"], ["duration", "-5"]),
        (["rain", "--duration", "nan"], ["duration", "nan"]),
        (["rain", "--duration", "inf"], ["duration", "inf"]),
        (["rain", "--duration", "1e9"], ["duration", "1000000000"]),
        (["rain", "--duration", "0.5"], ["duration", "0.5"]),
        (["rain", "--duration", "soon"], ["duration", "soon"]),
        (["rain", "--engine", "kazoo"], ["engine", "kazoo", "foley"]),
        (["rain", "--planner", "crystal-ball"], ["planner", "crystal-ball", "clauses"]),
        (["rain", "--seed", "-1"], ["seed"]),
        (["rain", "--seed", str(2**63)], ["seed"]),
        (["rain", "--frobnicate"], ["--frobnicate"]),
        (["rain. The total duration is 40 hours."], ["duration"]),
    ],
)
def test_create_refuses_what_it_cannot_use(audiostory_here, tmp_path, arguments, said):
    file = tmp_path / "story.wav"

    _assert_refused(audiostory_here("create", *arguments, "--output", file), *said)
    assert list(tmp_path.glob("*.wav")) == []


def test_plot_is_refused_before_the_story_is_shown(audiostory_here, tmp_path):
    _assert_refused(audiostory_here("show", "nope", "--plot", tmp_path / "a.pdf"), "plot", ".png")


def test_instruction_that_is_too_long_is_refused(audiostory_here):
    _assert_refused(audiostory_here("create", "-", input="rain" * 60_000), "instruction", "200,000")


def test_instruction_that_is_not_text_is_refused(audiostory):
    finished = audiostory("create", "-", input=b"\xff\xfe rain", text=False)

    assert finished.returncode == 2
    assert b"UTF-8" in finished.stderr


def _plan(**changes: object) -> dict[str, object]:
    return {
        "instruction": "rain, then birds",
        "language": "en",
        "duration_s": 10.0,
        "sub_events": [
            {"caption": "rain", "duration_s": 6.0},
            {"caption": "birds", "duration_s": 4.0},
        ],
    } | changes


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["create", "--plan"], "plan"),
        (["create", "--script"], "script"),
        (["plan", "--script"], "script"),
        (["read"], "script"),
        (["edit", "m9kgn8nfwt"], "edits"),
    ],
)
def test_pipe_that_nobody_writes_to_is_refused_at_once(audiostory_here, tmp_path, arguments, field):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    finished = audiostory_here(*arguments, pipe)

    _assert_refused(finished, field, str(pipe), "not a regular file")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json at all", ["plan", "not JSON", "line 1"]),
        (b"\xff\xfe\x00", ["plan", "UTF-8"]),
        ("[]", ["plan"]),
        (f'{{"seed": {"9" * 5_000}}}', ["plan", "too many digits"]),
        ("[" * 100_000 + "]" * 100_000, ["plan", "nested too deep"]),
        (_plan(tempo=120), ["plan", "tempo"]),
        (_plan(duration_s=12.0), ["plan", "add up to 10 s", "12 s"]),
        (_plan(duration_s=-1), ["plan", "duration_s"]),
        (_plan(sub_events=[]), ["plan", "sub_events"]),
        (_plan(sub_events=[{"caption": "rain", "duration_s": "NaN"}]), ["plan", "duration_s"]),
        (_plan(instruction=""), ["plan", "instruction"]),
        (
            _plan(duration_s=90.0, sub_events=[{"caption": "rain", "duration_s": 90.0}]),
            ["sub_events.1.duration_s", "30 s", "Split"],
        ),
    ],
)
def test_plan_file_that_cannot_be_used_is_refused(audiostory_here, tmp_path, content, said):
    plan = tmp_path / "plan.json"
    if isinstance(content, dict):
        plan.write_text(json.dumps(content))
    elif isinstance(content, bytes):
        plan.write_bytes(content)
    else:
        plan.write_text(content)

    finished = audiostory_here("create", "--plan", plan, "--output", tmp_path / "story.wav")

    _assert_refused(finished, *said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"[{'9' * 5_000}]", ["edits", "too many digits"]),
        ("[" * 100_000 + "]" * 100_000, ["edits", "nested too deep"]),
        ("[1]", ["edits.1"]),
    ],
)
def test_edit_file_that_cannot_be_used_is_refused(audiostory_here, tmp_path, content, said):
    edits = tmp_path / "edits.json"
    edits.write_text(content)

    _assert_refused(audiostory_here("edit", "nosuchid", edits), *said)


def test_missing_plan_file_is_refused(audiostory_here, tmp_path):
    finished = audiostory_here("create", "--plan", tmp_path / "none.json")

    _assert_refused(finished, "plan", "none.json", "audiostory plan")


@pytest.mark.parametrize("command", ["show", "resume", "approve"])
def test_story_that_does_not_exist_is_named(audiostory_here, command):
    _assert_refused(audiostory_here(command, "nosuchid"), "nosuchid", "does not exist")


def test_output_in_a_missing_folder_is_refused_before_any_work(audiostory_here, tmp_path):
    finished = audiostory_here("create", "rain", "--output", tmp_path / "missing" / "story.wav")

    _assert_refused(finished, "output", "missing")
    assert not audiostory_here.home.exists()


def test_output_of_an_unknown_format_is_refused(audiostory_here, tmp_path):
    finished = audiostory_here("create", "rain", "--output", tmp_path / "story.mp3")

    _assert_refused(finished, "output", ".mp3", ".flac")


def test_output_without_permission_is_refused(audiostory, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)

    finished = audiostory(
        "create", "rain", "--output", folder / "story.wav", preexec_fn=respect_permissions
    )

    _assert_refused(finished, "output", "permission denied")


@pytest.mark.parametrize("command", [["list"], ["create", "rain", "-d", "2"]])
def test_data_folder_without_permission_is_refused(audiostory, tmp_path, command):
    audiostory.home.mkdir(mode=0o555)

    finished = audiostory(*command, preexec_fn=respect_permissions, cwd=tmp_path)

    _assert_refused(finished, "AUDIOSTORY_HOME")


def _files_of_at_most(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_full_disk_while_writing_the_output_leaves_nothing(audiostory, tmp_path):
    file = tmp_path / "out" / "story.wav"
    file.parent.mkdir()
    made = audiostory("create", "rain", "--duration", 20, "--output", tmp_path / "whole.wav")
    assert made.returncode == 0, made.stderr
    (story,) = audiostory.json("list")

    finished = audiostory(
        "resume", story["id"], "--output", file, preexec_fn=lambda: _files_of_at_most(2_000_000)
    )

    _assert_refused(finished, "output")
    assert list(file.parent.iterdir()) == []
    assert audiostory("resume", story["id"], "--output", file).returncode == 0


def test_full_disk_while_making_clips_loses_nothing(audiostory, tmp_path):
    file = tmp_path / "story.wav"

    finished = audiostory(
        "create", "rain", "--duration", 20, "--seed", 1, "--output", file,
        preexec_fn=lambda: _files_of_at_most(600_000),
    )  # fmt: skip

    _assert_refused(finished, "resume")
    assert not file.exists()
    assert list((audiostory.home / "audio").rglob("*.tmp*")) == []
    (story,) = audiostory.json("list")
    assert audiostory("resume", story["id"], "--output", file).returncode == 0
    assert file.exists()


def test_data_folder_of_a_newer_version_is_refused(audiostory):
    assert audiostory("list").returncode == 0
    with sqlite3.connect(audiostory.home / "studio.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    _assert_refused(audiostory("list"), "newer version", "Upgrade")


def test_setting_that_cannot_be_used_is_named(audiostory):
    finished = audiostory("list", env=audiostory.environment | {"AUDIOSTORY_TAIL_S": "long"})

    _assert_refused(finished, "AUDIOSTORY_TAIL_S", "long")
