"""The planner `chat` from outside: commands in processes of their own, and a server here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import soundfile

from tests.support.chat_clients import layer, plan_text, scene
from tests.support.chat_server import KEY, MODEL, Reply, hosting

ROOT = Path(__file__).parents[4]
GOOD = plan_text(
    scene("Rain drums on a tin roof.", 4.0, layer("ambience", "rain on a tin roof")),
    scene("A dog barks.", 2.0, layer("sfx", "a dog barks")),
)


def audiostory(tmp_path, *words, **settings):
    environment = os.environ | {"AUDIOSTORY_HOME": str(tmp_path / "home")}
    environment |= {f"AUDIOSTORY_CHAT_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "api", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def findings(printed):
    return {one["what"]: one for one in json.loads(printed)}


def test_story_is_planned_by_a_chat_model_and_made_by_foley(tmp_path):
    target = tmp_path / "rain.wav"

    with hosting(Reply(GOOD), key=KEY) as host:
        made = audiostory(
            tmp_path, "create", "Rain, then a dog barks", "--planner", "chat", "--duration", "6",
            "--seed", "1", "-o", str(target), url=host.url, key=KEY,
        )  # fmt: skip

    assert made.returncode == 0, made.stderr
    assert soundfile.info(target).frames == 6 * 44_100
    assert len(host.asked) == 1
    assert "Rain, then a dog barks" in host.asked[0]["messages"][1]["content"]
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert files
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    assert KEY not in made.stdout + made.stderr


def test_scenes_are_printed_while_the_model_writes(tmp_path):
    with hosting(Reply(GOOD)) as host:
        planned = audiostory(
            tmp_path, "plan", "Rain, then a dog barks", "--planner", "chat", url=host.url
        )

    assert planned.returncode == 0, planned.stderr
    assert planned.stderr.split("\n")[:2] == ["  1  Rain drums on a tin roof.", "  2  A dog barks."]
    assert "A dog barks." in planned.stdout


def test_story_without_a_server_is_refused_before_it_is_stored(tmp_path):
    made = audiostory(
        tmp_path, "create", "Rain", "--planner", "chat", "-o", str(tmp_path / "r.wav")
    )
    listed = audiostory(tmp_path, "list", "--json")

    assert made.returncode == 2
    assert "Set AUDIOSTORY_CHAT_URL" in " ".join(made.stderr.split())
    assert "Traceback" not in made.stderr
    assert "Rain" not in listed.stdout


def test_wrong_key_is_one_error_that_does_not_show_it(tmp_path):
    with hosting(Reply(GOOD), key=KEY) as host:
        planned = audiostory(
            tmp_path, "plan", "Rain", "--planner", "chat", url=host.url, key="sk-wr0ng"
        )

    assert planned.returncode == 2
    assert "AUDIOSTORY_CHAT_KEY" in planned.stderr
    assert "wr0ng" not in planned.stdout + planned.stderr
    assert "Traceback" not in planned.stderr


def test_doctor_shows_the_server_and_its_models(tmp_path):
    with hosting(key=KEY) as host:
        looked = audiostory(tmp_path, "doctor", "--json", url=host.url, key=KEY)

    found = findings(looked.stdout)
    assert found["planner chat"]["is_usable"]
    assert found["chat server"] | {"detail": ""} == {
        "what": "chat server", "is_usable": True, "is_needed": False, "detail": "",
    }  # fmt: skip
    assert MODEL in found["chat server"]["detail"]
    assert KEY not in looked.stdout + looked.stderr


def test_doctor_says_why_the_planner_cannot_be_used(tmp_path):
    looked = audiostory(tmp_path, "doctor", "--json")
    wrong = audiostory(tmp_path, "doctor", "--json", url="localhost:8000")

    assert looked.returncode == wrong.returncode == 0
    assert "no server is named" in findings(looked.stdout)["planner chat"]["detail"]
    assert "AUDIOSTORY_CHAT_URL" in findings(wrong.stdout)["planner chat"]["detail"]


def test_doctor_tells_of_a_model_that_is_not_there(tmp_path):
    with hosting() as host:
        looked = audiostory(tmp_path, "doctor", "--json", url=host.url, model="gone")

    found = findings(looked.stdout)["chat server"]
    assert not found["is_usable"]
    assert found["detail"] == f"has not gone, but: {MODEL}"


def test_command_line_does_not_load_an_http_client():
    script = "import sys, api.cli, api.app; print('httpx' in sys.modules)"

    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "False"
