"""No web page of another origin reads or writes, whatever it does."""

from __future__ import annotations

import http.client

import pytest

from tests.collector.conftest import Collector
from tests.collector.payloads import new_trace_id, span, v04

PATHS = [
    ("GET", "/"),
    ("GET", "/traces.json"),
    ("GET", "/static/viewer.css"),
    ("GET", "/info"),
    ("PUT", "/v0.4/traces"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8126", "127.0.0.1.evil.example", "", "10.1.2.3", "a@localhost"]
)
def test_other_hosts_are_refused(collector: Collector, method: str, path: str, host: str) -> None:
    assert collector.request(method, path, b"\x90" if method == "PUT" else None, Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]", "[::1]:8126"])
def test_this_machine_is_answered(collector: Collector, host: str) -> None:
    assert collector.request("GET", "/traces.json", Host=host).status == 200
    assert collector.post(b"\x90", Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    ],
)
def test_other_origins_are_refused(collector: Collector, headers: dict[str, str]) -> None:
    low = new_trace_id()
    assert collector.post(v04([[span(low)]]), **headers).status == 403
    assert collector.request("GET", "/traces.json", **headers).status == 403
    assert collector.request("OPTIONS", "/v0.4/traces", **headers).status == 403
    other = new_trace_id()
    collector.send([span(other)])
    collector.trace(other)
    assert collector.get(f"/traces/{low:032x}.json").status == 404


def test_own_pages_and_followed_links_are_answered(collector: Collector) -> None:
    assert collector.request("GET", "/", Origin=collector.url).status == 200
    assert collector.request("GET", "/", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors").status == 200
    assert collector.request("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200
    assert collector.post(b"\x90", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 403


def test_two_hosts_are_refused(collector: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.putrequest("GET", "/", skip_host=True)
    connection.putheader("Host", "localhost")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


def test_allowed_names() -> None:
    running = Collector("--host", "127.0.0.1", "--allow-host", "Collector.internal")
    assert running.request("GET", "/info", Host="collector.internal:8126").status == 200
    assert running.request("GET", "/info", Host="other.internal").status == 403
    running.stop()


def test_listening_everywhere_allows_addresses_but_no_names() -> None:
    running = Collector("--host", "0.0.0.0", shown="0.0.0.0")
    assert running.request("GET", "/info", Host="10.1.2.3:8126").status == 200
    assert running.request("GET", "/info", Host="[fe80::1]:8126").status == 200
    assert running.request("GET", "/info", Host="evil.example").status == 403
    running.stop()


@pytest.mark.parametrize("path", ["/", "/traces", "/traces.json", "/static/viewer.js", "/nowhere"])
def test_headers(collector: Collector, path: str) -> None:
    headers = collector.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../store.py", "/static/%2e%2e/store.py", "/static/..%2fstore.py", "/static/"]
)
def test_no_other_file_is_served(collector: Collector, path: str) -> None:
    assert collector.get(path).status == 404
