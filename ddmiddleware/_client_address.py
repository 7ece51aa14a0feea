"""Whom a request came from, behind proxies that say so in headers.

Any client can send such headers too: they are a hint for people, and no proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing import default_settings

if TYPE_CHECKING:
    from ddmiddleware._rules import Reader

# The order in which ddtrace looks at them.
_HEADERS = (
    "x-forwarded-for",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "forwarded",
    "forwarded-for",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
)
_LENGTH_MAX = 2000
_ADDRESSES_MAX = 50


def tags(source: Any, reader: Reader) -> dict[str, str]:
    """Return ``network.client.ip``, the other end of the connection, and ``http.client_ip``, the client behind it.

    That is the first public address in the headers, or else the first private one, or the other end of the connection.
    Where ``DD_TRACE_CLIENT_IP_HEADER`` is set, no other header counts.
    """
    found = {}
    peer = _address(reader.peer(source))
    if peer is not None:
        found["network.client.ip"] = str(peer)
    client = _client(source, reader) or peer
    if client is not None:
        found["http.client_ip"] = str(client)
    return found


def _client(source: Any, reader: Reader) -> IPv4Address | IPv6Address | None:
    only: str = default_settings["DD_TRACE_CLIENT_IP_HEADER"]
    private = None
    for name in (only,) if only else _HEADERS:
        value = reader.header(source, name)
        if value:
            for address in _listed(value[:_LENGTH_MAX], name == "forwarded"):
                if address.is_global:
                    return address
                private = private or address
    return private


def _listed(value: str, forwarded: bool) -> Iterator[IPv4Address | IPv6Address]:
    for part in value.split(",")[:_ADDRESSES_MAX]:
        text = _for(part) if forwarded else part
        address = _address(text)
        if address is not None:
            yield address


def _for(element: str) -> str:
    """Return the node of an element of ``Forwarded`` (RFC 7239, section 4), such as ``for="[2001:db8::1]:80";by=x``."""
    for pair in element.split(";"):
        name, _, node = pair.partition("=")
        if name.strip().lower() == "for":
            return node.strip().strip('"')
    return ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address that may have a port, and brackets where it is one of IPv6; None for what is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1, as a socket for both families shows a client of IPv4
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
