"""Which targets a webhook may have.

A server that calls whatever address it is given is a way into its own network. An address is
checked after its name is resolved, and the connection is made to the very address that was
checked: a name that is resolved twice may answer differently (DNS rebinding).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from audiostory_core.errors import BadInput

LONGEST_URL = 2000  # characters
# Global unicast, less what embeds an IPv4 address or was never given out: IETF protocol
# assignments with Teredo, documentation, 6to4. Mapped addresses and NAT64 lie outside 2000::/3.
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
RESERVED_IPV6 = tuple(
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
ALLOW = "set AUDIOSTORY_WEBHOOK_ALLOW_PRIVATE=1 if this server may call its own network"

Resolver = Callable[[str, int], list[str]]  # IP addresses of a host name
Judge = Callable[[str], bool]  # whether an IP address may be connected to


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host name, in the order to try them; blocks.

    Raises:
        OSError: if it has none.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in addresses))


def is_public(address: str) -> bool:
    """Tell whether an IP address is reachable on the Internet and nowhere else."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    return ip in GLOBAL_IPV6 and not any(ip in block for block in RESERVED_IPV6)


def check_url(url: str, *, allow_private: bool) -> tuple[str, int]:
    """Check the form of a webhook's URL; return its host and port.

    Raises:
        BadInput: naming what is wrong with it.
    """
    if len(url) > LONGEST_URL or any(not "!" <= character <= "~" for character in url):
        raise _bad(
            url,
            f"is longer than {LONGEST_URL} characters, or has some beside printable ASCII",
            "Percent-encode its path, and write its host in the xn-- form.",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad(url, f"is not a URL ({error})", "Give one such as https://host/path.") from error
    if parts.scheme not in ("https", "http") or not host:
        raise _bad(url, "is not an https URL", "Give one such as https://host/path.")
    if parts.scheme == "http" and not allow_private:
        raise _bad(url, "is not encrypted", f"Use https, or {ALLOW}.")
    if parts.username is not None or parts.password is not None:
        raise _bad(url, "holds a user name or password", "The signature tells who is calling.")
    return host, port or (443 if parts.scheme == "https" else 80)


def judge(*, allow_private: bool) -> Judge:
    """Return what tells the addresses that may be connected to."""
    return (lambda address: True) if allow_private else is_public


async def find_addresses(
    host: str, port: int, is_allowed: Judge, resolver: Resolver = resolve
) -> list[str]:
    """Resolve a host and check every address it has.

    Args:
        host: a name, or an IP address without brackets.
        port: to be connected to.
        is_allowed: tells which addresses will do.
        resolver: called in a thread; once.

    Returns:
        At least one IP address, all of which may be connected to.

    Raises:
        BadInput: if there is none, or one of them is refused.
    """
    try:
        addresses = await asyncio.to_thread(resolver, host, port)
    except (OSError, UnicodeError) as error:
        raise _bad(host, f"cannot be resolved ({error})", "Give a host that exists.") from error
    for address in addresses:
        if not is_allowed(address):
            raise _bad(
                host,
                f"is at {address}, which is not an address of the Internet",
                f"Give a public host, or {ALLOW}.",
            )
    if not addresses:
        raise _bad(host, "has no address", "Give a host that exists.")
    return addresses


async def check_target(url: str, *, allow_private: bool, resolver: Resolver = resolve) -> None:
    """Check a webhook's URL and the addresses of its host.

    Raises:
        BadInput: if it is refused.
    """
    host, port = check_url(url, allow_private=allow_private)
    try:
        await find_addresses(host, port, judge(allow_private=allow_private), resolver)
    except BadInput as error:
        raise _bad(url, f"its host {error.problem}", error.remedy) from error


def _bad(value: str, problem: str, remedy: str) -> BadInput:
    return BadInput("url", value, problem, remedy)
