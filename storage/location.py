"""Where a database is: the path of an SQLite file, or the URL of one on a Postgres server."""

from pathlib import Path

from sqlalchemy import URL, make_url

# Of a connection; what the URL says in its query comes first. `options` are the server's: a
# stopped worker may not keep its row locks, nor may a waiter wait for ever.
CONNECTION = {
    "application_name": "audiostory",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=60s "
    "-c default_transaction_isolation=read\\ committed",  # whatever the database's own default is
}


def server_url(location: str) -> URL:
    """Return a server's URL in SQLAlchemy's form, with this program's settings of a connection.

    Raises:
        sqlalchemy.exc.ArgumentError, ValueError: if it is no URL.
    """
    url = make_url(location)
    return url.set(drivername="postgresql+psycopg", query=CONNECTION | dict(url.query))


def shown(location: Path | str) -> str:
    """Return a location as messages may show it: without its password."""
    if isinstance(location, Path):
        return str(location.parent)
    return make_url(location).set(query={}).render_as_string()
