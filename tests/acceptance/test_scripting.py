"""What scripts rely on: names, ids and exit codes."""

import json
import os
import subprocess

import pytest


def test_version_is_printed(audiostory):
    finished = audiostory("--version")

    assert finished.returncode == 0
    assert finished.stdout == "audiostory 0.1.0\n"


def test_stories_without_a_file_name_have_files_of_their_own(audiostory, tmp_path):
    ids = [
        audiostory("create", "Rain", "-d", 1, "--print-id", cwd=tmp_path).stdout for _ in range(2)
    ]

    listed = {story["id"] for story in audiostory.json("list")}
    assert {line.strip() for line in ids} == listed
    assert len(listed) == 2
    assert {path.name for path in tmp_path.glob("*.wav")} == {f"{name}.wav" for name in listed}


@pytest.mark.parametrize(
    "command", [["list"], ["show", "ID"], ["show", "ID", "--json"], ["--help"], ["plan", "Rain"]]
)
def test_pipe_that_is_closed_early_is_no_failure(audiostory, tmp_path, command):
    file = tmp_path / "story.wav"
    story_id = audiostory("create", "Rain", "-d", 1, "--print-id", "-o", file).stdout.strip()
    reading, writing = os.pipe()
    os.close(reading)

    finished = subprocess.run(
        audiostory.command(*[story_id if word == "ID" else word for word in command]),
        env=audiostory.environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (finished.returncode, finished.stderr) == (0, "")


def test_plan_file_is_written_for_a_person(audiostory, tmp_path):
    file = tmp_path / "plan.json"
    planned = audiostory("plan", "Rain; three knocks; a door creaks", "-d", 20, "-o", file)
    assert planned.returncode == 0, planned.stderr
    document = json.loads(file.read_text("utf-8"))
    written = [event["duration_s"] for event in document["sub_events"]]
    assert document["duration_s"] == 20.0
    assert [round(duration_s, 5) for duration_s in written] == written

    document["sub_events"][0]["duration_s"] = 1.5
    del document["duration_s"]
    file.write_text(json.dumps(document), "utf-8")
    made = audiostory.json("create", "--plan", file, "-o", tmp_path / "story.wav")

    assert made["duration_s"] == pytest.approx(1.5 + sum(written[1:]), abs=1e-4)


def test_unknown_kind_of_event_is_answered_with_those_there_are(audiostory):
    refused = audiostory("webhooks", "add", "https://example.org/hook", "--kind", "nonsense")

    assert refused.returncode == 2
    assert "'clip.finished'" in refused.stderr
    assert "'story.created'" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "clip.finished" in audiostory("webhooks", "add", "--help").stdout
