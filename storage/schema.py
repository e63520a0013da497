"""Bringing a database to this version's schema with Alembic; synchronous, run before anything."""

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from storage.errors import StoreTooNew, StoreUnusable
from storage.location import server_url, shown
from storage.sqlite import unusable
from storage.wal import PRAGMAS

SCHEMA = "0006"  # the newest migration; a test compares it with the scripts
SCRIPTS = Path(__file__).parent.parent / "migrations"
SERVER_LOCK = 0x6175_6469_6F73  # number of the advisory lock: the first letters of "audiostory"
LOOK_S = 0.05  # between two tries for that lock


def bring_up_to_date(location: Path | str) -> None:
    """Make a database, or migrate it to this version's schema, unless it is there already.

    Args:
        location: the SQLite file, or the URL of a Postgres database that exists.

    Raises:
        StoreTooNew: if a newer version made it.
        StoreUnusable: if the folder cannot be made or written, or the server not be reached.
    """
    if isinstance(location, Path):
        try:
            location.parent.mkdir(parents=True, exist_ok=True)
            _bring(location)
        except (OSError, DBAPIError) as error:
            raise unusable(location.parent, error) from error
        return
    try:
        from storage import postgres  # noqa: PLC0415 - its driver is an extra
    except ImportError as error:
        raise StoreUnusable(
            f"Postgres needs a driver: {error}. Install audiostory-studio[postgres], or unset "
            "AUDIOSTORY_DATABASE_URL."
        ) from error
    try:
        server_url(location)
    except (ArgumentError, ValueError) as error:  # says the URL, and with it the password
        raise StoreUnusable(
            "AUDIOSTORY_DATABASE_URL is no URL. Write postgresql://user:password@host/database."
        ) from error
    try:
        _bring(location)
    except DBAPIError as error:
        raise postgres.unusable(location, error, is_passing=postgres.is_lost(error.orig)) from error


def _bring(location: Path | str) -> None:
    current = current_schema(location)
    if current == SCHEMA:
        return
    if current is not None and not is_known(current):
        raise StoreTooNew(shown(location), current, SCHEMA)
    migrate(location)


def current_schema(location: Path | str) -> str | None:
    """Return the database's migration, or None if it has none or does not exist."""
    return _schema_of_file(location) if isinstance(location, Path) else _schema_on_server(location)


def is_known(schema: str) -> bool:
    """Tell whether this version has the migration that made a database."""
    return any(script.stem.split("_")[0] == schema for script in SCRIPTS.glob("versions/*.py"))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes out while a database file is made ready.

    Two that put one file into WAL mode at once fail as "locked", whatever their timeouts.
    """
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(location: Path | str) -> None:
    """Run the missing migrations, all or none; safe when several processes start at once."""
    if isinstance(location, Path):
        _migrate_file(location)
    else:
        _migrate_on_server(location)


def _migrate_file(path: Path) -> None:
    with alone(path):
        # The driver begins no transaction before DDL: killed midway, half the tables would stay.
        engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            for pragma in PRAGMAS:
                connection.exec_driver_sql(pragma)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _upgrade(connection)
            connection.exec_driver_sql("COMMIT")
        engine.dispose()


def _migrate_on_server(location: str) -> None:
    engine = _server_engine(location)
    with engine.connect() as keeper, _alone_on_server(keeper), engine.begin() as connection:
        _upgrade(connection)


@contextmanager
def _alone_on_server(connection: Connection) -> Iterator[None]:
    """Keep other processes out, on whichever host.

    The lock is tried for, not waited for: a statement that waits keeps a snapshot, and an index
    that the holder makes concurrently would wait for that.
    """
    connection.execution_options(isolation_level="AUTOCOMMIT")
    wanted = {"lock": SERVER_LOCK}
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), wanted):
        time.sleep(LOOK_S)
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), wanted)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and needed once in a lifetime
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _schema_of_file(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=60.0)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise OSError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise OSError(f"{path.name}: {error}") from error
    return row[0] if row else None


def _schema_on_server(location: str) -> str | None:
    with _server_engine(location).connect() as connection:
        if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return None
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _server_engine(location: str) -> Engine:
    return create_engine(server_url(location), poolclass=NullPool)
