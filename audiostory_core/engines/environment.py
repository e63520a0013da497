"""An engine's own interpreter: a virtual environment made of its card's pinned requirements.

It lies in `FOLDER/NAME/DIGEST`, where the digest is that of what it is made from. A file in it,
written last, says that it is whole: an installation that was killed is none.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from audiostory_core.engines.card import Card, Environment
from audiostory_core.errors import BadInput, StudioError

WHOLE = "whole.json"
BARE = ("-I", "-S")  # neither the studio's packages nor its variables
ISOLATED = ("-I",)
LAST_LINES = 5  # of pip, that an error shows


class EnvironmentState(StrEnum):
    """How an engine's environment stands."""

    IN_PROCESS = "in process"  # it has none
    BUILT_IN = "built in"  # the standard library is enough
    INSTALLED = "installed"
    MISSING = "not installed"


class InstallationFailed(StudioError):
    """An environment could not be made; the message says why."""


def state_of(card: Card, folder: Path) -> EnvironmentState:
    """Tell how an engine's environment stands.

    Args:
        card: of the engine.
        folder: of all environments.
    """
    if card.environment is None:
        return EnvironmentState.IN_PROCESS
    if not card.environment.requirements and card.environment.python is None:
        return EnvironmentState.BUILT_IN
    target = _target(card.name, card.environment, folder)
    is_whole = (target / WHOLE).is_file() and _python(target).exists()
    return EnvironmentState.INSTALLED if is_whole else EnvironmentState.MISSING


def command_of(card: Card, folder: Path) -> tuple[str, ...]:
    """Return what starts an engine's interpreter, if its environment is there; see `state_of`."""
    if card.environment is None or state_of(card, folder) == EnvironmentState.BUILT_IN:
        return (sys.executable, *BARE)
    return (str(_python(_target(card.name, card.environment, folder))), *ISOLATED)


def install(card: Card, folder: Path, on_line: Callable[[str], None]) -> bool:
    """Make an engine's environment; return whether there was anything to do.

    One of an earlier card goes once the new one is whole.

    Args:
        card: of the engine.
        folder: of all environments; made if need be.
        on_line: gets what pip prints.

    Raises:
        BadInput: if the Python that the card names is not here.
        InstallationFailed: in pip's words.
    """
    if state_of(card, folder) != EnvironmentState.MISSING:
        return False
    assert card.environment is not None
    python = _find_python(card.environment.python)
    own = folder / card.name
    with _locked(folder, card.name) as lock:
        if state_of(card, folder) != EnvironmentState.MISSING:
            return False  # another process has just made it
        target = _target(card.name, card.environment, folder)
        _clear(target)
        try:
            _run([python, "-m", "venv", str(target)], on_line, lock)
            if card.environment.requirements:
                pip = [str(_python(target)), "-I", "-m", "pip", "install", "--no-input"]
                _run(
                    [*pip, "--disable-pip-version-check", *card.environment.requirements],
                    on_line,
                    lock,
                )
            _mark(target, card.environment)
        except BaseException:
            _clear(target)
            raise
        for other in own.iterdir():
            if other != target:
                _clear(other)
    return True


def remove(name: str, folder: Path) -> bool:
    """Delete an engine's environments; return whether there were any."""
    own = folder / name
    if not own.is_dir():
        return False
    with _locked(folder, name):
        for environment in own.iterdir():
            _clear(environment)
        own.rmdir()
    return True


def _target(name: str, environment: Environment, folder: Path) -> Path:
    made_from = [environment.python or sys.version_info[:2], environment.requirements]
    return folder / name / hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]


def _python(target: Path) -> Path:
    return target / "bin" / "python"


def _find_python(version: str | None) -> str:
    if version is None or version == f"3.{sys.version_info.minor}":
        return sys.executable
    path = shutil.which(f"python{version}")
    if path is None:
        raise BadInput("python", version, "is not installed", f"Install Python {version}.")
    return path


def _run(command: list[str], on_line: Callable[[str], None], lock: TextIO) -> None:
    """Run a command; it keeps the lock as long as it lives, though this process is killed."""
    lines: list[str] = []
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                on_line(line.rstrip("\n"))
                lines = [*lines, line.strip()][-LAST_LINES:]
    except OSError as error:
        raise InstallationFailed(f"{command[0]} cannot be started: {error}") from error
    if process.returncode != 0:
        raise InstallationFailed("The environment could not be made: " + " ".join(lines))


def _mark(target: Path, environment: Environment) -> None:
    temporary = target / f"{WHOLE}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"requirements": environment.requirements}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target / WHOLE)


def _clear(target: Path) -> None:
    """Delete an environment; what says that it is whole goes first."""
    (target / WHOLE).unlink(missing_ok=True)
    if target.exists():
        shutil.rmtree(target)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[TextIO]:
    """Let one process at a time change an engine's environments."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
