import pytest

from api.webhooks.addresses import check_url, find_addresses, is_public
from audiostory_core.errors import BadInput

PUBLIC = "93.184.215.14"


async def test_name_with_one_private_address_among_public_ones_is_refused():
    with pytest.raises(BadInput, match=r"10\.0\.0\.1"):
        await find_addresses("a.example", 443, is_public, lambda host, port: [PUBLIC, "10.0.0.1"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "192.0.0.1",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
        "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1", "fe80::1",
        "fe80::1%lo", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "ff0e::1", "2001::1",
        "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "100::1",
    ],
)  # fmt: skip
def test_address_that_is_not_of_the_internet_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00::1"])
def test_address_of_the_internet_is_allowed(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/", "ftp://hooks.example/", "hooks.example", "https://", "https:///x",
        "https://user@hooks.example/", "https://user:secret@hooks.example/", "https://h:99999/",
        "https://h:x/", "https://[::1/", "https://hö.example/", "https://h.example/a b",
        "https://h.example/\r\nX: y", "file:///etc/passwd", "javascript:alert(1)",
        "https://h.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_url_of_the_wrong_form_is_refused(url):
    with pytest.raises(BadInput) as refused:
        check_url(url, allow_private=False)

    assert refused.value.field == "url"
    assert refused.value.remedy
