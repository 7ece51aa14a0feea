"""Whom a request came from, by its headers."""

from __future__ import annotations

from typing import Any

import pytest

from ddmiddleware._client_address import tags
from ddmiddleware.asgi import READER
from tests.middleware.interfaces import put

PEER = "10.0.0.1"


def client(peer: str, **headers: str) -> dict[str, str]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    source: dict[str, Any] = {"client": (peer, 1) if peer else None, "headers": pairs}
    return tags(source, READER)


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, PEER),
        ({"x_forwarded_for": "8.8.8.8"}, "8.8.8.8"),
        ({"x_forwarded_for": "192.168.0.3, 172.16.0.1,8.8.8.8, 9.9.9.9"}, "8.8.8.8"),
        ({"x_forwarded_for": "unknown, , 8.8.8.8:8080"}, "8.8.8.8"),
        ({"x_forwarded_for": "[2a02:c207::1]:443"}, "2a02:c207::1"),
        ({"x_forwarded_for": "2a02:c207::1"}, "2a02:c207::1"),
        ({"x_forwarded_for": "::ffff:8.8.8.8"}, "8.8.8.8"),
        ({"x_forwarded_for": "192.168.0.3", "x_real_ip": "8.8.8.8"}, "8.8.8.8"),
        ({"x_forwarded_for": "192.168.0.3", "x_real_ip": "192.168.0.4"}, "192.168.0.3"),
        ({"x_real_ip": "8.8.8.8", "true_client_ip": "9.9.9.9"}, "8.8.8.8"),
        ({"true_client_ip": "8.8.8.8", "x_client_ip": "9.9.9.9"}, "8.8.8.8"),
        ({"x_client_ip": "8.8.8.8", "forwarded": "for=9.9.9.9"}, "8.8.8.8"),
        ({"forwarded": "for=8.8.8.8", "forwarded_for": "9.9.9.9"}, "8.8.8.8"),
        ({"forwarded": 'by=1.1.1.1;For="[2a02:c207::1]:4711";proto=https, for=9.9.9.9'}, "2a02:c207::1"),
        ({"forwarded": "for=unknown, for=_hidden, proto=http"}, PEER),
        ({"forwarded_for": "8.8.8.8", "x_cluster_client_ip": "9.9.9.9"}, "8.8.8.8"),
        ({"x_cluster_client_ip": "8.8.8.8", "fastly_client_ip": "9.9.9.9"}, "8.8.8.8"),
        ({"fastly_client_ip": "8.8.8.8", "cf_connecting_ip": "9.9.9.9"}, "8.8.8.8"),
        ({"cf_connecting_ip": "8.8.8.8", "cf_connecting_ipv6": "2a02:c207::1"}, "8.8.8.8"),
        ({"cf_connecting_ipv6": "2a02:c207::1"}, "2a02:c207::1"),
        ({"x_forwarded_for": "1.2.3.4.5, nonsense, <script>"}, PEER),
        ({"x_forwarded_for": "10.0.0.2," * 10_000 + "8.8.8.8"}, "10.0.0.2"),
    ],
)
def test_the_first_public_address_or_the_first_private_one(headers: dict[str, str], address: str) -> None:
    assert client(PEER, **headers) == {"http.client_ip": address, "network.client.ip": PEER}


def test_a_peer_without_address() -> None:
    assert client("") == {}
    assert client("unix:") == {}
    assert client("", x_real_ip="8.8.8.8") == {"http.client_ip": "8.8.8.8"}


def test_only_the_header_that_is_set() -> None:
    put("DD_TRACE_CLIENT_IP_HEADER", "X-Edge-IP")
    assert client(PEER, x_forwarded_for="8.8.8.8", x_edge_ip="9.9.9.9")["http.client_ip"] == "9.9.9.9"
    assert client(PEER, x_forwarded_for="8.8.8.8")["http.client_ip"] == PEER
