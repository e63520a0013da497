"""Bringing a database to this version's schema with Alembic; synchronous, run before anything."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine

SCHEMA = "0001"  # the newest migration; a test compares it with the scripts
SCRIPTS = Path(__file__).parent.parent / "migrations"


def current_schema(path: Path) -> str | None:
    """Return the database's migration, or None if it has none or does not exist."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path, timeout=60.0)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise OSError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise OSError(f"{path.name}: {error}") from error
    finally:
        connection.close()
    return row[0] if row else None


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


def migrate(path: Path) -> None:
    """Run the missing migrations, all or none; safe when several processes start at once."""
    from alembic import command  # noqa: PLC0415 - slow to import, and needed once in a lifetime
    from alembic.config import Config  # noqa: PLC0415

    with alone(path):
        # The driver begins no transaction before DDL: killed midway, half the tables would stay.
        engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config = Config()
            config.set_main_option("script_location", str(SCRIPTS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.exec_driver_sql("COMMIT")
        engine.dispose()
