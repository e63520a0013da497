"""`audiostory serve`: the HTTP process and the worker processes it supervises."""

import asyncio
import ipaddress
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from api.app import create_app
from api.http.connections import BACKLOG, limited, report_seldom
from api.http.deps import AppState
from api.operations.logs import configure
from api.operations.maker_pool import count_processes, end
from api.revisions.wording import WordingProcess
from api.settings import LogLevel, Settings
from api.store import open_store
from api.webhooks.sender import Sender
from audiostory_core.errors import BadInput
from storage import keys

RESTART_S = 1.0  # before a dead worker is replaced
STABLE_S = 30.0  # a worker that lived this long starts with a short wait again
LONGEST_RESTART_S = 30.0
DRAIN_S = 30.0  # for workers to finish what they are doing
GRACE_S = 3  # for open responses when the server stops
UNENCRYPTED = "Keys travel unencrypted from here: let others in through a proxy that speaks TLS."


class Supervisor:
    """Keeps worker processes alive, and sees to it that they go when this process goes.

    A worker's standard input is a pipe from here: it closes however this process ends, SIGKILL
    included, and the worker stops. Its session is its own, so that Ctrl-C comes to this process
    alone.

    Args:
        workers: how many.
        processes: that each of them makes clips in.
    """

    def __init__(self, workers: int, processes: int) -> None:
        self._workers = workers
        self._processes = processes
        self._alive: set[Process] = set()

    def count_alive(self) -> int:
        """Count the workers that are running."""
        return sum(process.returncode is None for process in self._alive)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the workers alive for the duration of the block, then let them finish."""
        keepers = [asyncio.create_task(self._keep_one()) for _ in range(self._workers)]
        try:
            yield
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    def kill(self) -> None:
        """End the workers at once; what they were doing is done again another time."""
        for process in self._alive:
            if process.returncode is None:
                process.kill()

    async def _keep_one(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = RESTART_S
        while True:
            started = loop.time()
            await self._run_one()
            if loop.time() - started > STABLE_S:
                wait_s = RESTART_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_RESTART_S)

    async def _run_one(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api",
            "worker",
            "--supervised",
            "--processes",
            str(self._processes),
            stdin=PIPE,
            start_new_session=True,
        )
        self._alive.add(process)
        try:
            await process.wait()
        except asyncio.CancelledError:
            await end(process, DRAIN_S)
            raise
        finally:
            self._alive.discard(process)


def serve_forever(settings: Settings, host: str, port: int, workers: int | None) -> int:
    """Serve until SIGTERM or Ctrl-C; a second one does not wait for the workers to finish.

    Returns:
        The exit code.

    Raises:
        BadInput: if others can reach the host's address and no API key protects the service, or
            host or port cannot be had.
        StoreError: if the data folder cannot be used.
    """
    configure(settings.log, settings.log_level or LogLevel.INFO)
    is_public = not _is_loopback(host)
    if is_public and not asyncio.run(_has_keys(settings)):
        raise BadInput(
            "host",
            host,
            "is not a loopback address, and no API key protects the service",
            "Use 127.0.0.1, or make a key first: `audiostory keys create NAME --scope admin`.",
        )
    return asyncio.run(_serve(settings, host, port, workers or settings.workers, is_public))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_serve`, which stops the workers too."""
        yield


async def _serve(settings: Settings, host: str, port: int, workers: int, is_public: bool) -> int:
    listening = _listen(host, port)
    store = await open_store(settings)
    supervisor = Supervisor(workers, max(1, count_processes(settings) // workers))
    sender = Sender(store.database, settings)
    wording = WordingProcess()
    state = AppState(
        store,
        settings,
        supervisor.count_alive,
        lambda: sender.is_running,
        wording.resolve,
        is_public=is_public,
    )
    config = uvicorn.Config(
        create_app(state),
        http=limited(settings.connections),
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)

    def stop() -> None:
        if server.should_exit:
            server.force_exit = True
            supervisor.kill()
        server.should_exit = True
        state.closing.set()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report_seldom)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with supervisor.running(), sender.running(), wording.running():
            address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
            print(f"{address}/docs  (Ctrl-C stops)", file=sys.stderr, flush=True)
            if is_public:
                print(UNENCRYPTED, file=sys.stderr, flush=True)
            await server.serve([listening])
    finally:
        await store.database.close()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _has_keys(settings: Settings) -> bool:
    if settings.database_url is None and not settings.database_file.exists():
        return False
    store = await open_store(settings)
    try:
        async with store.database.read() as session:
            return await keys.count_valid(session) > 0
    finally:
        await store.database.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise BadInput(
            "host", host, "is no address of this machine", "Give one, such as 127.0.0.1."
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput("port", port, reason, "Give a free one with --port.") from error
    # asyncio sets it only on sockets it made: without it an answer takes 40 ms (Nagle).
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
