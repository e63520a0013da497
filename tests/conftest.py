"""What every test has: processes that end with it, a studio of its own, and both databases."""

import multiprocessing
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from storage.schema import migrate
from tests.support import ending
from tests.support.postgres import postgres, postgres_template, postgres_url

if TYPE_CHECKING:
    from tests.support.studio import Studio

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control has what runs in its background ignore Ctrl-C, and so would
    # every process that a test starts, interrupts and waits for.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A landing does not hang on luck, nor on how busy the machine is; bench/fuzz.py draws at random.
settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gate")

__all__ = ["postgres", "postgres_template", "postgres_url"]  # for every test


def pytest_configure() -> None:
    """See that nothing outlives this process: xdist's workers each do for themselves."""
    ending.watch_this_process()


def pytest_unconfigure() -> None:
    """Wait at exit for no process that a failed test left running."""
    for process in multiprocessing.active_children():
        process.kill()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database built by the real migrations, once; every test gets a copy."""
    path = tmp_path_factory.mktemp("migrated") / "studio.db"
    migrate(path)
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Where the studio's truth lies: None is SQLite. See tests/support/postgres.py."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def studio(
    tmp_path: Path, migrated: Path, database_url: str | None
) -> AsyncIterator["Studio"]:
    from tests.support.studio import Studio  # noqa: PLC0415 - LangGraph, for those alone who use it

    home = tmp_path / "home"
    home.mkdir()
    if database_url is None:
        shutil.copy(migrated, home / "studio.db")
    studio = await Studio.make(home, database_url)
    yield studio
    await studio.store.database.close()
