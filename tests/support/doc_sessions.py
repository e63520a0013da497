"""Runs the commands that a document shows, and tells whether they print what it shows.

Blocks of the language `console` are one session of one shell: `$ ` begins a command, `> ` goes on
with it, other lines are what it prints, and `…` stands for anything, over several lines too.
A command without such lines may print what it likes.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
MARK = "@@ "
PORTS = ("8321", "8322")  # stand for free ones
LONGEST_S = 600.0  # on a machine that is busy otherwise; usual is a tenth of it


@dataclass
class Shown:
    """A command and what it is said to print."""

    command: str
    prints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ran:
    """What became of a command."""

    code: int | None  # None: it did not end
    printed: str


def list_shown(text: str) -> list[Shown]:
    """Return the commands of a document in order."""
    listed: list[Shown] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                listed.append(Shown(line[2:]))
            elif re.match(r">( |$)", line):
                listed[-1].command += "\n" + line[2:]
            else:
                listed[-1].prints.append(line)
    return listed


def run_all(listed: list[Shown], folder: Path, **variables: str) -> list[Ran]:
    """Run commands in one shell in a folder, end what they leave running, and tell how they went.

    Args:
        listed: the commands.
        folder: where they run.
        variables: of their environment, beside those of this process.
    """
    ports = {told: str(_find_port()) for told in PORTS}
    lines = ["set -o pipefail"]
    for shown in listed:
        command = re.sub("|".join(PORTS), lambda told: ports[told[0]], shown.command)
        lines += [f"echo '{MARK}'", command, f'echo "{MARK}$?"']
    script = folder / "session.sh"
    script.write_text("\n".join([*lines, "kill $(jobs -p) 2> /dev/null; wait"]), encoding="utf-8")
    environment = os.environ | {
        "AUDIOSTORY_HOME": str(folder / "home"),
        "COLUMNS": "80",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **variables,
    }
    log = folder / "session.log"
    with log.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    _, *parts = log.read_text(encoding="utf-8").split(f"{MARK}\n")
    return [_read(part) for part in parts]


def is_as_shown(shown: Shown, printed: str) -> bool:
    """Tell whether a command printed what it is said to."""
    if not shown.prints:
        return True
    expected = "\n".join(line.rstrip() for line in shown.prints)
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    heard = "\n".join(line.rstrip() for line in printed.splitlines())
    return re.fullmatch(pattern, heard.strip("\n"), re.DOTALL) is not None


def _read(part: str) -> Ran:
    printed, mark, code = part.rpartition(MARK)
    return Ran(int(code), printed) if mark else Ran(None, code)


def _find_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
