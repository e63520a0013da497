"""Many stories at once: who is finished when, and what those that wait for their authors cost.

    python -m bench.fairness --stories 199 --clips 40
    python -m bench.fairness --parked 1000

The first has a story of 5 clips posted behind the others, and 4 worker processes whose engine
makes no pauses. The second parks stories for the review of their plans before one worker.
Both take `--database postgres`.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil
import psycopg
from sqlalchemy import func, select

from bench.chaos import server_url
from storage.models import Run, RunState
from tests.support.studio import Studio
from tests.support.tone_process import BEGUN, Crew, read

WORKERS = 4
LOOK_S = 0.5


async def share(url: str | None, folder: Path, stories: int, clips: int) -> None:
    """Print how many stories were finished before one that was posted last."""
    studio = await Studio.make(folder / "home", url)
    crew = Crew(studio.settings, folder / "log", (0.0, 0.0))
    crew.log.touch()
    many = [await _add(studio, clips, f"of {n}") for n in range(stories)]
    short = await _add(studio, 5, "of the brief one")
    started = time.monotonic()
    workers = [crew.work() for _ in range(WORKERS)]
    while (finished := await _count(studio, RunState.FINISHED)) < stories + 1:
        print(f"{time.monotonic() - started:.0f} s: {finished} finished", flush=True)
        await asyncio.sleep(10)
    took_s = time.monotonic() - started
    for worker in workers:
        worker.kill()
    last = await studio.latest_run(short)
    ended = [await studio.latest_run(story) for story in many]
    before = sum((run.finished_at or 0.0) < (last.finished_at or 0.0) for run in ended)
    begun = [line.clip for line in read(crew.log) if line.what == BEGUN]
    waited_s = (last.finished_at or 0.0) - last.created_at
    print(
        f"{stories} stories of {clips} clips and one of 5 in {took_s:.0f} s: "
        f"{before} finished before the one of 5, which took {waited_s:.0f} s; "
        f"{len(begun)} clips begun, {len(begun) - len(set(begun))} of them twice"
    )
    await studio.store.database.close()


async def park(url: str | None, folder: Path, stories: int) -> None:
    """Print what a worker holds after 10 stories were parked, and after all were."""
    studio = await Studio.make(folder / "home", url)
    crew = Crew(studio.settings, folder / "log", (0.0, 0.0))
    worker = crew.work()
    print("| stories in review | memory | files | threads | connections of the server |")
    print("|---|---|---|---|---|")
    parked = 0
    for count in (10, stories // 2, stories):
        while parked < count:
            await _add(studio, 4, f"of {parked}", review=True)
            parked += 1
        while await _count(studio, RunState.PARKED) < count:  # noqa: ASYNC110 - its worker's doing
            await asyncio.sleep(LOOK_S)
        process = psutil.Process(worker.pid)
        print(
            f"| {count} | {process.memory_info().rss / 1e6:.0f} MB | {process.num_fds()} "
            f"| {process.num_threads()} | {_connections(url)} |",
            flush=True,
        )
    worker.kill()
    await studio.store.database.close()


async def _add(studio: Studio, clips: int, told: str, *, review: bool = False) -> str:
    lines = "\n".join(f"scene {n} {told}" for n in range(clips))
    story = await studio.add(lines, duration_s=0.5 * clips, tail_s=0.1, review=review)
    return story.id


async def _count(studio: Studio, state: RunState) -> int:
    async with studio.store.database.read() as session:
        counted = select(func.count()).select_from(Run).where(Run.state == state)
        return await session.scalar(counted) or 0


def _connections(url: str | None) -> int:
    if url is None:
        return 0
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with psycopg.connect(url) as server:
        row = server.execute(asked).fetchone()
    return row[0] if row else 0


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=199)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--parked", type=int, default=0)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    given = parser.parse_args()
    opened = nullcontext(None) if given.database == "sqlite" else server_url()
    with tempfile.TemporaryDirectory() as folder, opened as url:
        if given.parked:
            asyncio.run(park(url, Path(folder), given.parked))
        else:
            asyncio.run(share(url, Path(folder), given.stories, given.clips))


if __name__ == "__main__":
    main()
