"""Prints what this environment has in other versions than the lock."""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def list_drift(locked: dict[str, str], installed: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return name, locked and installed version of what differs; "-" where there is none.

    What is locked and not installed is for other machines, or for no one any more: it is left out.
    """
    return [
        (name, locked.get(name, "-"), version)
        for name, version in sorted(installed.items())
        if locked.get(name) != version
    ]


def list_installed() -> dict[str, str]:
    """Return the version of every package here but pip, ourselves and torch, which pins itself."""
    names = {
        re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower(): package.version
        for package in distributions()
    }
    return {
        name: version
        for name, version in names.items()
        if name not in ("pip", "torch", "audiostory-studio")
    }


def main(lock: Path) -> None:
    """Print a table."""
    drift = list_drift(dict(PIN.findall(lock.read_text(encoding="utf-8"))), list_installed())
    for name, locked, newest in [("package", "locked", "newest"), *drift]:
        print(f"{name:32} {locked:18} {newest}")
    print(f"{len(drift)} differ from {lock}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
