"""The studio as its users have it: the command line in a process and a data folder of its own."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.cli import main

LONGEST_S = 300


@dataclass
class CommandLine:
    """Runs `audiostory` with a data folder."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"AUDIOSTORY_HOME": str(self.home), "COLUMNS": "100"}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "api", *map(str, arguments)]

    def __call__(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        settings = {"env": self.environment, "timeout": LONGEST_S, "text": True} | options
        return subprocess.run(
            self.command(*arguments), capture_output=True, check=False, **settings
        )

    def json(self, *arguments: object, exit_code: int = 0) -> Any:
        finished = self(*arguments, "--json")
        assert finished.returncode == exit_code, finished.stderr
        return json.loads(finished.stdout)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def audiostory(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@dataclass
class CommandLineHere(CommandLine):
    """Runs `audiostory` in this process: seconds less, for what is refused before any work."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: object, input: str = "") -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        out, err = io.StringIO(), io.StringIO()
        with self.monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["audiostory", *command[3:]])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input.encode())))
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(
            command, ended.value.code, out.getvalue(), err.getvalue()
        )


@pytest.fixture
def audiostory_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLineHere:
    return CommandLineHere(tmp_path / "home", monkeypatch)
