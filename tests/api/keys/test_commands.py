"""`audiostory keys`, and serving others than this machine."""

import json
import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.support.servers import PATIENCE_S, assert_problem, serving


def _audiostory(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        env=os.environ | {"AUDIOSTORY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_keys_are_made_listed_and_revoked_on_the_command_line(tmp_path):
    home = tmp_path / "home"
    made = _audiostory(home, "keys", "create", "Ada", "--scope", "read", "--scope", "write")
    key = made.stdout.strip()
    key_id = key.split("_")[1]
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"as_\w{8}_[0-9a-f]{64}", key)
    assert key_id in made.stderr

    listed = _audiostory(home, "keys", "list", "--json")
    assert key not in listed.stdout
    (row,) = json.loads(listed.stdout)
    assert (row["id"], row["name"], row["scopes"]) == (key_id, "Ada", ["read", "write"])
    revoked = _audiostory(home, "keys", "revoke", key_id)
    assert (revoked.returncode, "last key" in revoked.stderr) == (0, True)

    audit = json.loads(_audiostory(home, "keys", "audit", "--json").stdout)
    assert [(row["action"], row["target"], row["key_id"]) for row in audit] == [
        ("keys revoke", key_id, None),
        ("keys create", key_id, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "Ada", "--scope", "root"], "scope"),
        (["create", "a\nb"], "name"),
        (["revoke", "nosuch"], "key 'nosuch' does not exist"),
        (["revoke", "as_abc_secret"], "is a key, not its id"),
    ],
)
def test_keys_command_refuses_what_it_cannot_use(tmp_path, arguments, said):
    finished = _audiostory(tmp_path / "home", "keys", *arguments)

    assert finished.returncode == 2
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert "secret" not in finished.stderr


def test_address_that_others_can_reach_is_served_once_there_is_a_key(tmp_path):
    home = tmp_path / "home"
    key = _audiostory(home, "keys", "create", "Ada", "--scope", "admin").stdout.strip()

    with serving(home, "--host", "0.0.0.0") as server:
        said = iter(server.process.stderr.readline, "")
        assert any("TLS" in line for line in said)
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert_problem(httpx.get(f"{url}/v1/stories"), 401)
        headers = {"Authorization": f"Bearer {key}", "Host": "studio.example"}
        assert httpx.get(f"{url}/v1/stories", headers=headers).status_code == 200
        _audiostory(home, "keys", "revoke", key.split("_")[1])
        assert_problem(httpx.get(f"{url}/v1/stories", headers=headers), 401)
        assert_problem(httpx.get(f"{url}/v1/stories"), 401)
