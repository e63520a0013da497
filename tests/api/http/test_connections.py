"""Connections that say nothing, or not enough: the others are answered all the same."""

import asyncio
import resource
import signal
import socket
from contextlib import suppress

import httpx
import psutil
import pytest
import uvicorn

from api.app import create_app
from api.http import connections, limits
from api.http.connections import limited, report_seldom
from api.operations import log_rate
from api.operations.serving import _Server
from tests.support.servers import assert_problem, serving

BODY = (
    b"POST /v1/stories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)


@pytest.fixture
async def port(state, monkeypatch):
    """The port of a service with short times, for few connections."""
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    monkeypatch.setattr(limits, "PIECE_S", 0.5)
    config = uvicorn.Config(create_app(state), http=limited(8), log_config=None, lifespan="off")
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


async def end_of(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has closed a connection."""
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            await reader.read()


async def get_live(port: int) -> int:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        return (await client.get("/v1/health/live")).status_code


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_connection_without_a_whole_head_is_closed(port, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)

    await end_of(reader)
    writer.close()


async def test_head_that_stalls_after_an_answer_is_closed(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.read(20)).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HTTP")

    await end_of(reader)
    writer.close()


async def test_more_idle_connections_than_there_may_be_silence_nobody(port):
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]

    assert await get_live(port) == 200
    for _, writer in idle:
        writer.close()


async def test_body_that_stalls_is_answered_and_closed(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(BODY % 1000 + b'{"instr')

    async with asyncio.timeout(5):
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer.lower()
    writer.close()


async def test_stalled_bodies_hold_bounded_memory_and_small_ones_get_through(client, monkeypatch):
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "PIECE_S", 3.0)
    json = {"Content-Type": "application/json"}

    async def stalled():
        yield b" " * 900_000
        await asyncio.sleep(1.0)
        yield b'{"instruction": "Rain", "duration_s": 5}'

    asking = [
        asyncio.create_task(client.post("/v1/stories", content=stalled(), headers=json))
        for _ in range(4)
    ]
    await asyncio.sleep(0.3)
    small = await client.post("/v1/stories", json={"instruction": "Rain", "duration_s": 5})
    answers = sorted(await asyncio.gather(*asking), key=lambda answer: answer.status_code)

    assert small.status_code == 202
    assert [answer.status_code for answer in answers] == [202, 503, 503, 503]
    assert assert_problem(answers[1], 503)["remedy"]
    assert int(answers[1].headers["retry-after"]) > 0


def test_limit_leaves_descriptors_for_the_service_itself():
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert limited(8).most == 8
    assert limited(10**9).most < files - connections.BACKLOG


async def test_lack_of_descriptors_is_one_line(caplog):
    loop = asyncio.get_running_loop()
    log_rate._logged.clear()
    for _ in range(2000):
        report_seldom(
            loop,
            {
                "message": "socket.accept() out of system resource",
                "exception": OSError(24, "Too many open files"),
            },
        )

    assert len(caplog.records) == 1


def test_four_hundred_idle_sockets_against_few_descriptors_leave_the_service_alive(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # for the process that is started
    try:
        with serving(tmp_path / "home") as server:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            idle = [socket.create_connection(address) for _ in range(400)]
            for _ in range(5):
                assert httpx.get(f"{server.url}/v1/health/live", timeout=10).status_code == 200
            assert psutil.Process(server.process.pid).num_fds() < 256
            for connection in idle:
                connection.close()
            _, said = server.stop(signal.SIGTERM)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(said) < 2000
    assert "Traceback" not in said
