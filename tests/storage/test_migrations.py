import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from storage.database import Database
from storage.errors import StoreTooNew, StoreUnusable
from storage.location import server_url
from storage.models import Table
from storage.schema import SCHEMA, SCRIPTS, current_schema, is_known, migrate

KILLED_WHILE_MIGRATING = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from storage.schema import migrate

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def count(*told):
    global left
    left -= 1
    if left == 0:
        os._exit(9)

migrate(Path(sys.argv[1]))
"""
OPEN_STORE = """
import asyncio, sys
from pathlib import Path
from api.settings import Settings
from api.store import open_store

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await open_store(Settings(home=Path(sys.argv[1])))
    await store.database.close()

asyncio.run(main())
"""


def _config(connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def test_schema_constant_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))

    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]
    assert is_known(SCHEMA)


def test_migrations_go_up_down_and_up_and_equal_the_models(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path / 'studio.db'}")
    for move, target in (("upgrade", "head"), ("downgrade", "base"), ("upgrade", "head")):
        with engine.begin() as connection:
            getattr(command, move)(_config(connection), target)

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Table.metadata)
        index = _index_sql(connection)
    engine.dispose()
    made = create_engine("sqlite://")
    Table.metadata.create_all(made)
    with made.connect() as connection:
        assert index == _index_sql(connection)
    # Alembic reads no descending column of SQLite's indexes, and takes it for another.
    assert [change for change in differences if change[1].name != "ix_work_claimable"] == []


def _index_sql(connection) -> str:
    query = text("SELECT sql FROM sqlite_master WHERE name = 'ix_work_claimable'")
    return connection.scalar(query)


OF_0003 = """
INSERT INTO story (id, instruction, seed, engine, planner, tail_s, review, priority, redo,
    next_revision, next_ordinal, next_event)
  VALUES ('s', 'rain', 1, 'tone', 'lines', 1.0, {false}, 2, '[]', 1, 1, 1);
INSERT INTO run (id, story_id, number, state, waits_for, review, pending_changes, approved, attempt,
    priority, start_tag)
  VALUES (7, 's', 1, 'parked', 'clips', {false}, '[]', '[]', 0, 2, 5);
INSERT INTO clip (key, engine, request, state, owner, attempt, expires_at, priority, start_tag,
    queued_at, progress, render_s, finished_at, file, measures, engine_report, error) VALUES
  ('a', 'tone', 'ra', 'queued', NULL, 0, NULL, 2, 1, 10.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('b', 'tone', 'rb', 'claimed', 'w', 2, 1e12, 2, 2, 10.5, 0.5, NULL, NULL, NULL, NULL, NULL, NULL),
  ('c', 'tone', 'rc', 'finished', NULL, 1, NULL, 2, 3, 10.5, NULL, 1.5, 12.5, 'c.flac', '{{}}', '{{}}',
    NULL),
  ('d', 'tone', 'rd', 'failed', NULL, 3, NULL, 2, 4, 10.5, NULL, NULL, NULL, NULL, NULL, NULL, 'no'),
  ('e', 'tone', 're', 'withdrawn', NULL, 0, NULL, 0, 5, 10.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('f', 'tone', 'rf', 'queued', NULL, 1, NULL, 2, 6, 10.5, NULL, 1.5, 12.5, 'f.flac', '{{}}', '{{}}',
    'Its file was lost or damaged each time.');
INSERT INTO clip_want (clip_key, run_id) VALUES ('a', 7), ('b', 7), ('d', 7), ('f', 7);
"""
WORK = """SELECT key, kind, needs, request, state, owner, attempt, expires_at, priority, start_tag,
    queued_at, progress, error FROM work ORDER BY key"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'studio.db'}"
        return
    server = request.getfixturevalue("postgres")
    server.execute("CREATE DATABASE empty")
    yield server_url(server.url("empty")).render_as_string(hide_password=False)
    server.execute("DROP DATABASE empty WITH (FORCE)")


def test_clips_in_any_state_and_their_wants_become_work(empty_database: str):
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0003")
    with engine.begin() as connection:
        false = "0" if engine.dialect.name == "sqlite" else "false"
        for statement in OF_0003.format(false=false).split(";")[:-1]:
            connection.exec_driver_sql(statement)
        before = connection.execute(text("SELECT * FROM clip ORDER BY key")).mappings().all()
        wants = connection.execute(text("SELECT * FROM clip_want ORDER BY clip_key")).all()
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0004")

    with engine.begin() as connection:
        queue = [tuple(row) for row in connection.execute(text(WORK))]
        wanted = text("SELECT work_key, work_kind, run_id FROM work_want ORDER BY work_key")
        wanted = [tuple(row) for row in connection.execute(wanted)]
        files = dict(connection.execute(text("SELECT key, file FROM clip")).all())
        requests = dict(connection.execute(text("SELECT key, request FROM clip")).all())
    lost = "Its file was lost or damaged each time."
    assert queue == [
        ("a", "clip", "tone", None, "queued", None, 0, None, 2, 1, 10.5, None, None),
        ("b", "clip", "tone", None, "claimed", "w", 2, 1e12, 2, 2, 10.5, 0.5, None),
        ("c", "clip", "tone", None, "finished", None, 1, None, 2, 3, 10.5, None, None),
        ("d", "clip", "tone", None, "failed", None, 3, None, 2, 4, 10.5, None, "no"),
        ("e", "clip", "tone", None, "withdrawn", None, 0, None, 0, 5, 10.5, None, None),
        ("f", "clip", "tone", None, "queued", None, 1, None, 2, 6, 10.5, None, lost),
    ]
    assert wanted == [(key, "clip", 7) for key in "abdf"]
    assert files == dict.fromkeys("abdef") | {"c": "c.flac"}
    assert requests == {key: f"r{key}" for key in "abcdef"}

    with engine.begin() as connection:
        command.downgrade(_config(connection), "0003")
    with engine.begin() as connection:
        after = connection.execute(text("SELECT * FROM clip ORDER BY key")).mappings().all()
        assert connection.execute(text("SELECT * FROM clip_want ORDER BY clip_key")).all() == wants
    engine.dispose()
    unmade = {"file": None, "finished_at": None}
    assert [dict(row) for row in after] == [
        dict(row) | ({} if row["key"] == "c" else unmade) for row in before
    ]


def test_store_of_the_version_before_exports_keeps_its_rows(empty_database: str):
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0003")
    with engine.begin() as connection:
        false = "0" if engine.dialect.name == "sqlite" else "false"
        for statement in OF_0003.format(false=false).split(";")[:-1]:
            connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0005")
    with engine.begin() as connection:
        before = [tuple(row) for row in connection.execute(text(WORK))]
        command.upgrade(_config(connection), "0006")
    with engine.begin() as connection:
        made = (
            "INSERT INTO export (story_id, key, revision, format) VALUES ('s', 'x', 1, 'flac');"
            "INSERT INTO work (key, kind, needs, state, attempt, priority, start_tag) "
            "VALUES ('x', 'export', 'flac', 'queued', 0, 0, 1)"
        )
        for statement in made.split(";"):
            connection.exec_driver_sql(statement)
        noted = "SELECT file, requested_at > 0, used_at > 0 FROM export"
        assert [tuple(row) for row in connection.execute(text(noted))] == [(None, True, True)]

    with engine.begin() as connection:
        command.downgrade(_config(connection), "0005")
    with engine.begin() as connection:
        assert [tuple(row) for row in connection.execute(text(WORK))] == before
        command.upgrade(_config(connection), "head")
        assert connection.scalar(text("SELECT count(*) FROM export")) == 0
    engine.dispose()


def test_opening_a_folder_of_a_newer_version_is_refused(tmp_path: Path):
    path = tmp_path / "studio.db"
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StoreTooNew, match=r"newer version.*9999.*AUDIOSTORY_HOME"):
        Database.open(path)
    assert current_schema(path) == "9999"


def test_opening_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "studio.db"
    path.write_bytes(b"not a database, but long enough to have been one" * 100)

    with pytest.raises(StoreUnusable, match=r"not a database.*restore the stories from backups"):
        Database.open(path)


@pytest.mark.parametrize("statements", [5, 12])
def test_folder_whose_first_migration_was_killed_is_migrated_again(tmp_path: Path, statements):
    path = tmp_path / "studio.db"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_MIGRATING, str(path), str(statements)], check=False
    )
    assert killed.returncode == 9

    asyncio.run(Database.open(path).close())

    assert current_schema(path) == SCHEMA


def test_processes_that_open_a_fresh_folder_at_once_all_can(tmp_path: Path):
    command = [sys.executable, "-c", OPEN_STORE, str(tmp_path / "home")]
    openers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdout.readline() == "ready\n"

    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()
    errors = [opener.communicate()[1] for opener in openers]

    assert errors == ["", "", ""]
    assert [opener.returncode for opener in openers] == [0, 0, 0]
