"""How soon the service answers, with one client and with many.

    python -m bench.http [--clients 32] [--rounds 3] [--against PATH]

GET of a finished story, then POST of new ones while a worker makes them, on SQLite in a fresh data
folder each round. With --against, another checkout with an environment of its own (or the same) is
measured in turn with this one. Prints medians over the rounds of p50 and p99 in milliseconds, and
the processor time of the HTTP process for a request.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

HERE = Path(__file__).parent.parent
WANTED = {"instruction": "Rain falls, then a bell rings.", "duration_s": 6, "seed": 1}
LIMITS = {"AUDIOSTORY_RATE_PER_MINUTE": "1000000", "AUDIOSTORY_STARTS_PER_MINUTE": "1000000"}
REQUESTS = {"GET": (200, 1500), "POST": (20, 320)}  # with one client, and with many
Row = tuple[str, str, str]  # checkout, what was asked, which figure


@contextmanager
def served(tree: Path, home: Path, workers: int) -> Iterator[tuple[int, psutil.Process]]:
    """Serve a data folder with the code of a checkout; give the port and the HTTP process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "serve", "--port", "0", "--workers", str(workers)],
        cwd=tree,
        env=os.environ
        | LIMITS
        | {
            "AUDIOSTORY_HOME": str(home),
            "AUDIOSTORY_LOG_LEVEL": "warning",
            "PYTHONPATH": str(tree),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        address = process.stderr.readline().split("/docs")[0]
        yield int(address.rpartition(":")[2]), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


async def load(port: int, requests: Iterator[bytes], clients: int) -> list[float]:
    """Send requests over as many connections as there are clients; return seconds of each."""
    taken: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            body = await reader.readexactly(int(length))
            taken.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(head.decode() + body.decode())
        writer.close()

    await asyncio.gather(*(ask() for _ in range(clients)))
    return taken


def get(path: str) -> Callable[[int], bytes]:
    """Return what makes the text of the requests for a path."""
    return lambda _: f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(number: int) -> bytes:
    """Return the text of a request for a story that is unlike the others."""
    body = json.dumps({**WANTED, "seed": number})
    head = "POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def measure(tree: Path, prepared: Path, path: str, clients: int) -> dict[tuple[str, str], float]:
    """Measure one checkout in a copy of a prepared data folder."""
    figures: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        home = Path(shutil.copytree(prepared, Path(name) / "home"))
        with served(tree, home, 1) as (port, process):
            asyncio.run(load(port, iter([get(path)(0)] * 50), 1))
            for method, make in (("GET", get(path)), ("POST", post)):
                for count, many in zip(REQUESTS[method], (1, clients), strict=True):
                    before = sum(process.cpu_times()[:2])
                    requests = (make(number) for number in range(count))
                    taken = sorted(asyncio.run(load(port, requests, many)))
                    spent = sum(process.cpu_times()[:2]) - before
                    what = f"{method}, {many} clients"
                    figures[what, "p50 ms"] = 1000 * statistics.median(taken)
                    figures[what, "p99 ms"] = 1000 * taken[int(0.99 * len(taken))]
                    figures[what, "processor ms"] = 1000 * spent / count
    return figures


def prepare(home: Path, tree: Path) -> str:
    """Have a story made in a data folder; return its path."""
    with served(tree, home, 1) as (port, _):
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        path = client.post("/v1/stories", json=WANTED).headers["location"]
        while client.get(path).json()["status"] != "finished":
            time.sleep(0.2)
        return path


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    trees = {"this": HERE} | ({"other": options.against.resolve()} if options.against else {})
    figures: dict[Row, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name) / "home"
        path = prepare(prepared, options.against or HERE)
        for _ in range(options.rounds):
            for tree, folder in trees.items():
                for key, figure in measure(folder, prepared, path, options.clients).items():
                    figures.setdefault((tree, *key), []).append(figure)
    for (tree, what, which), all_rounds in figures.items():
        print(f"{tree:<7}{what:<18}{which:<14}{statistics.median(all_rounds):>10.1f}")


if __name__ == "__main__":
    main()
