"""Stories whose processes are killed at random instants, until enough kills have counted.

    python -m bench.chaos --kills 200 --database sqlite
    python -m bench.chaos --kills 200 --database postgres

Each story has 20 clips of which each takes 50 to 300 ms longer, and is revised once it is
finished; with --stems these are dialogue and effects of 10 scenes, and a line is revised. Two processes, `audiostory worker` or `audiostory resume` by chance, work on it until one
is killed and replaced. See tests/support/killing.py for what counts, and for what is asserted.
With --exports, workers are killed while they write files of a finished mix instead, see
tests/support/killing_exports.py.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from storage.schema import migrate
from tests.support.finished_stories import shelve
from tests.support.killing import Chaos
from tests.support.killing_exports import ExportChaos
from tests.support.postgres import Server
from tests.support.studio import Studio

EXPORTED_SCENES = 60  # of a second each


async def measure(kills: int, url: str | None, folder: Path, seed: int, *, in_stems: bool) -> None:
    """Kill until `kills` have counted while clips of a first version were made; print figures."""
    studio = await Studio.make(folder / "home", url)
    chaos = Chaos(studio, folder, random.Random(seed), in_stems)
    started = time.monotonic()
    while chaos.figures.counted_making < kills:
        seed += 1
        await chaos.play(seed)
        print(f"{time.monotonic() - started:.0f} s: {chaos.figures.as_text()}", flush=True)
    await studio.store.database.close()


async def measure_exports(kills: int, url: str | None, folder: Path, seed: int) -> None:
    """Kill until `kills` have counted while exports were made; print figures."""
    studio = await Studio.make(folder / "home", url)
    story = await shelve(studio.store, *(f"scene {n}" for n in range(EXPORTED_SCENES)))
    chaos = ExportChaos(studio, story, folder, random.Random(seed))
    started = time.monotonic()
    while chaos.figures.counted < kills:
        await chaos.play(chaos.figures.exports)
        print(f"{time.monotonic() - started:.0f} s: {chaos.figures.as_text()}", flush=True)
    await studio.store.database.close()


@contextmanager
def server_url() -> Iterator[str]:
    """Give the URL of a migrated database of a server that lives for the block."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder))
        try:
            server.execute("CREATE DATABASE bench")
            migrate(server.url("bench"))
            yield server.url("bench")
        finally:
            server.close()


def main() -> None:
    """Print a line per story; the last one has the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stems", action="store_true", help="stories of two stems a scene")
    parser.add_argument("--exports", action="store_true", help="kill while exports are made")
    given = parser.parse_args()
    measuring = measure_exports if given.exports else partial(measure, in_stems=given.stems)
    is_sqlite = given.database == "sqlite"
    with (
        tempfile.TemporaryDirectory() as folder,
        nullcontext() if is_sqlite else server_url() as url,
    ):
        asyncio.run(measuring(given.kills, url, Path(folder), given.seed))


if __name__ == "__main__":
    main()
