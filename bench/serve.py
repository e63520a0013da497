"""How soon `audiostory serve` answers, and how quickly it answers then.

    python -m bench.serve [--starts 5]

Prints seconds from starting the process to its first answer, in a fresh data folder and in one
that is there, then milliseconds per request once it runs.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

REQUESTS = 200


@contextmanager
def served(home: Path) -> Iterator[tuple[httpx.Client, float]]:
    """Start a service; give a client of it, and the seconds to its first answer."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "serve", "--port", "0"],
        env=os.environ | {"AUDIOSTORY_HOME": str(home), "AUDIOSTORY_LOG_LEVEL": "warning"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    url = process.stderr.readline().split("/docs")[0]
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get("/v1/health/live").raise_for_status()
        yield client, time.perf_counter() - started
    process.send_signal(signal.SIGTERM)
    process.communicate()


def median_ms(client: httpx.Client, method: str, path: str, **options: object) -> float:
    """Return the median duration of a request in milliseconds."""
    taken = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        client.request(method, path, **options).raise_for_status()  # type: ignore[arg-type]
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    starts = parser.parse_args().starts
    with tempfile.TemporaryDirectory() as name:
        fresh_s = []
        for n in range(starts):
            with served(Path(name) / str(n)) as (_, first_answer_s):
                fresh_s.append(first_answer_s)
        again_s = []
        for _ in range(starts):
            with served(Path(name) / "0") as (_, first_answer_s):
                again_s.append(first_answer_s)
        print(f"{'first answer, fresh data folder':<34}{statistics.median(fresh_s):>9.2f} s")
        print(f"{'first answer, known data folder':<34}{statistics.median(again_s):>9.2f} s")
        with served(Path(name) / "0") as (client, _):
            asked = {"instruction": "Rain falls, then a bell rings.", "duration_s": 6, "seed": 1}
            path = client.post("/v1/stories", json=asked).headers["location"]
            while client.get(path).json()["status"] != "finished":
                time.sleep(0.1)
            middle = {"Range": "bytes=400000-665000"}
            for label, ms in (
                ("GET /v1/health/live", median_ms(client, "GET", "/v1/health/live")),
                ("GET a story", median_ms(client, "GET", path)),
                ("GET 1 s of its mix", median_ms(client, "GET", f"{path}/mix", headers=middle)),
            ):
                print(f"{label:<34}{ms:>9.1f} ms")


if __name__ == "__main__":
    main()
