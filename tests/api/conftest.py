"""The HTTP edge over a small studio: in process and over a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.http.deps import AppState
from api.operations.serving import _Server
from tests.support.api_keys import make_key


@pytest.fixture
def state(studio) -> AppState:
    return AppState(studio.store, studio.settings, lambda: 1)


@pytest.fixture
async def client(state) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the application directly; an error it did not foresee is raised here."""
    transport = httpx.ASGITransport(create_app(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
async def socket_client(state) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks over a socket, as responses without end need it."""
    config = uvicorn.Config(create_app(state), log_config=None, log_level="warning", lifespan="off")
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
            yield client
        server.should_exit = True
        state.closing.set()
        await serving


@pytest.fixture
async def admin(studio):
    _, headers = await make_key(studio, "admin", name="operator")
    return headers


@pytest.fixture
async def ada(studio):
    return await make_key(studio, "read", "write", name="Ada")


@pytest.fixture
async def bob(studio):
    return await make_key(studio, "read", "write", name="Bob")
