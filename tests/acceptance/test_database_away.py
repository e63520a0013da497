"""A database that cannot be reached: one line, exit code 1, and no secret told to strangers."""

import httpx
import pytest

from api.app import create_app
from api.http.deps import AppState
from storage.database import Database
from tests.support.postgres import ON_POSTGRES

AWAY = "postgresql://author:hunter2@127.0.0.1:1/none"


@pytest.mark.parametrize("command", [("list",), ("migrate",), ("show", "abc"), ("gc",)])
def test_command_fails_with_one_line(audiostory, monkeypatch, command):
    monkeypatch.setenv("AUDIOSTORY_DATABASE_URL", AWAY)
    ended = audiostory(*command)

    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "127.0.0.1:1/none" in ended.stderr
    assert "hunter2" not in ended.stderr


def test_what_does_not_exist_is_bad_input(audiostory):
    assert audiostory("show", "nosuch").returncode == 2


def test_migrate_names_the_server_that_it_migrated(audiostory, monkeypatch, postgres_url):
    monkeypatch.setenv("AUDIOSTORY_DATABASE_URL", postgres_url)
    ended = audiostory("migrate")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("postgresql://")
    assert "is at schema" in ended.stdout
    assert str(audiostory.home) not in ended.stdout


@ON_POSTGRES
async def test_strangers_are_told_neither_where_the_database_is_nor_the_folder(studio, caplog):
    away = Database(AWAY)
    store = type(studio.store)(away, studio.store.audio, studio.store.exports, studio.store.workers)
    for is_public in (True, False):
        app = create_app(AppState(store, studio.settings, lambda: 1, is_public=is_public))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for path in ("/v1/health/ready", "/v1/stories"):
                answer = await client.get(path, headers={"Authorization": "Bearer as_x_y"})
                assert answer.status_code == 503
                for secret in ("127.0.0.1", "hunter2", "author", "none", str(studio.settings.home)):
                    assert secret not in answer.text, path
    await away.close()
    assert "127.0.0.1:1/none" in caplog.text
    assert "hunter2" not in caplog.text
