"""Tests that start processes of every kind and then fail, or wait to be killed.

Run by tests/test_ending.py; pytest collects this file only where it is named.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

from storage.schema import migrate
from tests.support.servers import Serve

FOREVER = "import time\nwhile True: time.sleep(1)"


def _start_all(folder: Path) -> list[int]:
    context = multiprocessing.get_context("forkserver")
    forked = context.Process(target=time.sleep, args=(10_000,))
    forked.start()
    command = [sys.executable, "-c", FOREVER]
    session = subprocess.Popen(command, start_new_session=True)
    detached = subprocess.run(
        ["sh", "-c", f"setsid {sys.executable} -c '{FOREVER}' > /dev/null 2>&1 & echo $!"],
        capture_output=True,
        check=True,
        text=True,
    )
    folder.mkdir()
    migrate(folder / "studio.db")
    serve = Serve(folder, "--workers", "1")
    return [forked.pid, session.pid, int(detached.stdout), serve.process.pid]


async def test_that_leaves_processes_behind(tmp_path, postgres, postgres_url):
    started = await asyncio.to_thread(_start_all, tmp_path / "home")
    postmaster = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    report = Path(os.environ["LEAVING_REPORT"])
    report.with_suffix(".new").write_text(json.dumps([os.getpid(), postmaster, *started]))
    report.with_suffix(".new").rename(report)
    while not report.with_suffix(".seen").exists():  # noqa: ASYNC110 - fails then, or is killed
        await asyncio.sleep(0.1)
    raise AssertionError
