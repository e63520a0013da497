import asyncio
import os
import sqlite3
import subprocess
import sys
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

    with pytest.raises(StoreUnusable, match="not a database"):
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
