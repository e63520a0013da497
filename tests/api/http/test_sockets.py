"""What only a real connection shows."""

import asyncio

JSON = {"Content-Type": "application/json"}


async def test_large_body_is_answered_once_it_is_sent(socket_client):
    async def chunks():
        for _ in range(50):
            yield b" " * 100_000

    for content in (b" " * 5_000_000, chunks()):
        response = await socket_client.post("/v1/stories", content=content, headers=JSON)

        assert response.status_code == 413
        assert response.json()["field"] == "body"
    assert (await socket_client.get("/v1/health/live")).status_code == 200


async def test_what_is_not_http_is_refused(socket_client):
    url = socket_client.base_url
    for sent in (
        b"GET /v1/stories/\xff\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(sent)
        assert (await reader.read(100)).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()
    assert (await socket_client.get("/v1/health/live")).status_code == 200
