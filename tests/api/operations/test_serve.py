"""`audiostory serve` as a process, with workers that make real sound."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import httpx
import pytest

from api.operations.serving import _listen, serve_forever
from api.settings import Settings
from audiostory_core.errors import BadInput
from tests.support.servers import PATIENCE_S, serving, wait_until

SCENES = 20
STORY = "\n".join(f"{n}. A bell rings {n} times in the rain (3 s)" for n in range(1, SCENES + 1))
DURATION_S = 3 * SCENES


def _environment(home):
    return os.environ | {"AUDIOSTORY_HOME": str(home)}


def _refused(home, *arguments, exit_code=2):
    """Run `serve` that cannot start; return what it says."""
    finished = subprocess.run(
        [sys.executable, "-m", "api", "serve", *arguments],
        env=_environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert finished.returncode == exit_code, finished.stderr
    assert finished.stderr.count("\n") == 1, finished.stderr
    return finished.stderr


def _finished_clips(home):
    connection = sqlite3.connect(f"file:{home}/studio.db?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute("SELECT count(*) FROM clip WHERE file IS NOT NULL").fetchone()[0]
    finally:
        connection.close()


def test_story_is_made_although_its_worker_is_killed(tmp_path):
    home = tmp_path / "home"
    with serving(home) as server, httpx.Client(base_url=server.url) as client:
        (worker,) = wait_until(server.workers)
        asked = {"instruction": STORY, "duration_s": DURATION_S, "seed": 5}
        path = client.post("/v1/stories", json=asked).headers["location"]
        wait_until(lambda: _finished_clips(home) >= 1)
        worker.kill()
        assert _finished_clips(home) < SCENES

        wait_until(lambda: client.get(path).json()["status"] == "finished")

        (successor,) = server.workers()
        assert successor.pid != worker.pid
        assert client.get("/v1/health/ready").json()["workers"] == 1
        wav = client.get(f"{path}/mix.wav").content
        assert len(wav) == 44 + DURATION_S * 44_100 * 2 * 3
        code, said = server.stop(signal.SIGTERM)

    assert (code, said) == (0, "")
    assert not successor.is_running()


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_workers_and_open_streams_go_with_the_service(tmp_path, number, workers):
    with serving(tmp_path / "home", "--workers", str(workers)) as server:
        children = wait_until(lambda: found if len(found := server.workers()) == workers else None)
        asked = {"instruction": "Rain"}
        path = httpx.post(f"{server.url}/v1/stories", json=asked).headers["location"]
        with httpx.stream("GET", f"{server.url}{path}/events", timeout=PATIENCE_S) as response:
            assert next(response.iter_lines()) == "event: story.created"
            code, said = server.stop(number)

    wait_until(lambda: not any(child.is_running() for child in children))
    assert said == ""
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)


def test_second_signal_does_not_wait_for_workers(tmp_path):
    with serving(tmp_path / "home") as server:
        (worker,) = wait_until(server.workers)
        worker.suspend()
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.5)

        code, said = server.stop(signal.SIGTERM)

    assert (code, said) == (0, "")
    assert not worker.is_running()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::", "", "127.1"])
def test_address_that_others_can_reach_is_refused(tmp_path, host):
    with pytest.raises(BadInput, match=r"not a loopback address.*Use 127"):
        serve_forever(Settings(home=tmp_path / "home"), host, 0, None)

    assert not (tmp_path / "home").exists()


def test_refusal_is_one_line_and_exit_code_2(tmp_path):
    assert "host '0.0.0.0': is not a loopback" in _refused(tmp_path / "home", "--host", "0.0.0.0")


def test_port_that_is_taken_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = _refused(tmp_path / "home", "--port", str(taken.getsockname()[1]))

    assert "port" in said
    assert "--port" in said


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_answers_do_not_wait_for_acknowledgements(host):
    with _listen(host, 0) as listening, socket.socket(listening.family) as client:
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_data_folder_of_a_newer_version_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    connection = sqlite3.connect(home / "studio.db")
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.commit()
    connection.close()

    assert "newer version" in _refused(home, "--port", "0")


IMPORTS = """
import asyncio, json, sys
from pathlib import Path

import httpx

import api.operations.serving
from api.app import create_app
from api.http.deps import AppState
from api.settings import Settings
from api.store import open_store


async def main():
    settings = Settings(home=Path(sys.argv[1]))
    store = await open_store(settings)
    transport = httpx.ASGITransport(create_app(AppState(store, settings, lambda: 1)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        posted = await client.post("/v1/stories", json={"instruction": "Rain"})
        path = f"/v1/stories/{sys.argv[2]}"
        tails = ("", "/sub-events", "/mix.wav", "/mix.flac", "/clips/1.wav", "/clips/1.flac")
        codes = [(await client.get(path + tail)).status_code for tail in tails]
        codes += [(await client.get(url)).status_code for url in ("/openapi.json", "/v1/stories")]
    await store.database.close()
    roots = sorted({name.split(".")[0] for name in sys.modules})
    packages = sorted(name for name in sys.modules if name.startswith("audiostory_core."))
    print(json.dumps([posted.status_code, codes, roots, packages]))


asyncio.run(main())
"""


async def test_http_process_imports_neither_graph_nor_engines(tmp_path, studio):
    story = await studio.add("rain\nthunder", duration_s=2.0)
    await studio.run(story.id)

    printed = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this test
        [sys.executable, "-c", IMPORTS, str(studio.settings.home), story.id],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )

    posted, codes, roots, packages = json.loads(printed.stdout)
    assert (posted, set(codes)) == (202, {200})
    heavy = {"langgraph", "langchain_core", "scipy", "torch", "matplotlib", "transformers"}
    assert not heavy & set(roots)
    assert not {"graph", "nodes"} & set(roots)
    cores = ("audiostory", "foley", "host", "protocol")
    engines = (
        *(f"audiostory_core.engines.{name}" for name in cores),
        "audiostory_core.planners",
    )
    assert not [name for name in packages if name.startswith(engines)]
