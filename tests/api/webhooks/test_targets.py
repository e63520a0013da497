import ssl

import pytest
import trustme

from api.webhooks.addresses import find_addresses, is_public
from tests.support.webhook_deliveries import PUBLIC, add_webhook, append_events, make_sender, settle
from tests.support.webhook_receiver import receiving


@pytest.fixture
async def tls_receiver():
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with receiving(server_side) as receiver:
        yield receiver, client_side


async def _send_once(studio, url, **options):
    webhook = await add_webhook(studio, url)
    async with make_sender(studio, (), **options).running():
        await append_events(studio, "a.b")
        (row,) = await settle(studio, webhook)
    return row


async def test_tls_verifies_the_name_while_the_checked_address_is_connected_to(
    studio, story, tls_receiver
):
    receiver, tls = tls_receiver
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, resolver=lambda host, port: ["127.0.0.1"])

    assert row.state == "delivered"
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_server_of_another_name_is_not_believed(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    url = f"https://others.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, resolver=lambda host, port: ["127.0.0.1"])

    assert row.state == "given up"
    assert "certificate verify failed" in row.error.lower()
    assert receiver.got == []


async def test_private_target_is_refused_when_it_is_delivered(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(
        studio, url, tls=tls, allow_private=False, resolver=lambda host, port: ["127.0.0.1"]
    )

    assert row.state == "given up"
    assert "127.0.0.1" in row.error
    assert receiver.connections == 0


async def test_name_that_answers_public_first_and_private_then_is_refused(
    studio, story, tls_receiver
):
    """The check is that of the connection: there is no second resolution to slip through."""
    receiver, tls = tls_receiver
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    asked = []

    def rebind(host, port):
        asked.append(host)
        return next(answers)

    assert await find_addresses("hooks.example", 443, is_public, rebind)
    url = f"https://hooks.example:{receiver.port}/hook"
    row = await _send_once(studio, url, tls=tls, allow_private=False, resolver=rebind)

    assert asked == ["hooks.example"] * 2
    assert "127.0.0.1" in row.error
    assert receiver.connections == 0


async def test_redirect_to_a_private_address_is_refused(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    inner = f"https://inner.example:{receiver.port}/admin"
    receiver.answer = lambda got: f"307 Moved\r\nLocation: {inner}"
    addresses = {"hooks.example": "127.0.0.1", "inner.example": "10.0.0.1"}
    row = await _send_once(
        studio,
        f"https://hooks.example:{receiver.port}/hook",
        tls=tls,
        is_allowed=lambda address: address == "127.0.0.1",  # the Internet of this test
        resolver=lambda host, port: [addresses[host]],
    )

    assert [got.path for got in receiver.got] == ["/hook"]
    assert row.state == "given up"
    assert "10.0.0.1" in row.error


async def test_redirect_to_plain_http_or_another_scheme_is_refused(studio, story, tls_receiver):
    receiver, tls = tls_receiver
    for location in ("file:///etc/passwd", "gopher://127.0.0.1/", "https://u:p@hooks.example/"):
        receiver.answer = lambda got, to=location: f"307 Moved\r\nLocation: {to}"
        url = f"https://hooks.example:{receiver.port}/hook"
        webhook = await add_webhook(studio, url)
        sender = make_sender(studio, (), tls=tls, resolver=lambda host, port: ["127.0.0.1"])
        async with sender.running():
            await append_events(studio, "a.b")
            rows = await settle(studio, webhook)

        assert rows[-1].state == "given up"
        assert rows[-1].error.startswith("url ")
