"""What commands cost in processor time, beside the same commands of another checkout.

    python -m bench.commands [--against PATH] [--times 5]

Each command is run in a process of its own, on a copy of a data folder with one finished story of
30 s and three scenes; both checkouts take turns, each with the interpreter in its own `.venv`. The
figure is user and system time of the command with all its child processes, the median of so many;
the lowest and the highest stand beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent
INSTRUCTION = "Rain on a tin roof; three knocks on a door; a dog barks far away"
UNWANTED = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}  # an installation has its byte code
COMMANDS = {
    "plan": ("plan", "Rain", "-d", "5"),
    "list": ("list",),
    "show": ("show", "ID"),
    "revise -o": ("revise", "ID", "2", "--change", "make it more distant", "-o", "out.wav"),
    "resume -o": ("resume", "ID", "-o", "out.wav"),
}


class Checkout:
    """A checkout, and a data folder that it made.

    Args:
        path: of the checkout.
        folder: for its data.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._stored = folder / "stored"
        self._copied = folder / "copied"
        folder.mkdir()
        self.run(
            self._stored,
            "create",
            INSTRUCTION,
            "-d",
            "30",
            "--seed",
            "1",
            "-o",
            str(folder / "out.wav"),
        )
        listed = json.loads(self.run(self._stored, "list", "--json")[1])
        self._story_id = listed[0]["id"]

    def run(self, home: Path, *args: str) -> tuple[float, bytes]:
        """Run a command on a data folder; return its seconds of processor time and its output."""
        environment = {name: os.environ[name] for name in os.environ.keys() - UNWANTED}
        process = subprocess.Popen(
            [self._path / ".venv" / "bin" / "audiostory", *args],
            cwd=self._path,
            env=environment | {"AUDIOSTORY_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        with process.stdout:
            output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self._path}: {' '.join(args)} ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime, output

    def measure(self, command: tuple[str, ...]) -> float:
        """Return the seconds of processor time that a command takes on a fresh copy of the data."""
        shutil.rmtree(self._copied, ignore_errors=True)
        shutil.copytree(self._stored, self._copied)
        args = [self._story_id if word == "ID" else word for word in command]
        args = [str(self._copied / word) if word == "out.wav" else word for word in args]
        return self.run(self._copied, *args)[0]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    paths = [HERE] if options.against is None else [options.against.resolve(), HERE]
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [Checkout(path, Path(folder) / str(at)) for at, path in enumerate(paths)]
        names = [path.name for path in paths]
        print("| command |", " | ".join(f"{name}, CPU s" for name in names), "| ratio |")
        print("|---|" + "---|" * (len(names) + 1))
        for name, command in COMMANDS.items():
            turns = [[each.measure(command) for each in checkouts] for _ in range(options.times)]
            columns = list(zip(*turns, strict=True))
            medians = [statistics.median(column) for column in columns]
            cells = [
                f"{median:.2f} ({min(column):.2f}–{max(column):.2f})"
                for median, column in zip(medians, columns, strict=True)
            ]
            print(
                f"| {name} |", " | ".join(cells), f"| {medians[-1] / medians[0]:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
