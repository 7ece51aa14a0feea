"""Where a library is not as it is known, or somebody stands in between, our headers go the way of all others."""

from __future__ import annotations

import http.client
from typing import Any

import httpx
import pytest
import requests
import urllib3

from ddmiddleware import patch, unpatch
from ddmiddleware.integrations import httplib
from ddmiddleware.integrations import httpx as integration
from tests.integrations.http_calls import PATCHES
from tests.integrations.recorder import Recorder
from tests.integrations.wire import CLIENTS, OURS, Wire, three_by_requests


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)


def test_what_others_put_in_between_sees_them(wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of another class, a function that was replaced: nothing goes past those."""
    seen: list[str] = []

    class Connection(urllib3.connection.HTTPConnection):
        def putheader(self, header: str, *values: str) -> None:
            seen.append(header)
            super().putheader(header, *values)

    def noting(original: Any) -> Any:
        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(args[0] if args else "")
            return original(self, *args, **kwargs)

        return noted

    places: list[tuple[Any, str, Any]] = [
        (urllib3.connectionpool.HTTPConnectionPool, "ConnectionCls", Connection),
        *(
            (owner, name, noting(getattr(owner, name)))
            for owner, name in (
                (urllib3.connection.HTTPConnection, "putheader"),
                (http.client.HTTPConnection, "putheader"),
                (http.client.HTTPConnection, "endheaders"),
            )
        ),
    ]
    for owner, name, instead in places:
        with monkeypatch.context() as changed:
            changed.setattr(owner, name, instead)
            list(three_by_requests(wire.url))
        assert late == []
        assert name == "endheaders" or seen.count("traceparent") == 3
        assert all(fields.keys() >= OURS for fields in wire.fields())
        seen.clear()
    list(three_by_requests(wire.url))
    assert len(late) == 3


@pytest.mark.parametrize("off", ["httplib", "urllib3"])
def test_without_the_library_below(off: str, wire: Wire, late: list[str]) -> None:
    unpatch(off)
    list(three_by_requests(wire.url))
    assert late == []
    assert all(fields.keys() >= OURS for fields in wire.fields())


def test_where_requests_keeps_headers_in_another_way(
    wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.structures, "OrderedDict", dict)
    responses = list(three_by_requests(wire.url))
    assert all({*response.request.headers} >= OURS for response in responses)
    assert all(fields.keys() >= OURS for fields in wire.fields())
    assert late == []


def test_where_http_client_keeps_lines_in_another_way(
    wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lines(list[bytes]):
        pass

    original = urllib3.connection.HTTPConnection.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self._buffer = Lines()

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "__init__", init)
    list(three_by_requests(wire.url))
    assert late == []
    assert all(fields.keys() >= OURS for fields in wire.fields())


@pytest.mark.parametrize("name", ["httpx", "httpx async"])
def test_where_httpx_keeps_headers_in_another_way(name: str, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "_Listed", lambda _kept: None)
    responses = list(CLIENTS[name](wire.url))
    assert all({*response.request.headers} >= OURS for response in responses)
    assert all(fields.keys() >= OURS for fields in wire.fields())


@pytest.mark.parametrize("name", ["requests", "urllib3"])
def test_a_header_that_is_refused(name: str, wire: Wire) -> None:
    with pytest.raises(ValueError, match="header"):
        list(CLIENTS[name](wire.url, headers={"x": "a\nb"}))
    assert httplib._late == {}
    assert wire.heads == []


def test_a_connection_that_was_refused_a_header_sends_its_next_request_as_ever(wire: Wire) -> None:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", int(wire.url.split(":")[2].strip("/")))
    with pool:
        pool.request("GET", "/")
        with pytest.raises(ValueError, match="Invalid header value"):
            pool.request("GET", "/", headers={"x": "a\nb"})
        pool.request("GET", "/")
    sent = wire.fields()
    assert len(sent) == 2
    assert len({fields["traceparent"] for fields in sent}) == 2


@pytest.mark.parametrize("changed", ["tracestate", "baggage"])
def test_what_somebody_changed_on_the_way_is_sent(changed: str, wire: Wire) -> None:
    class Adapter(requests.adapters.HTTPAdapter):
        def add_headers(self, request: Any, **_options: Any) -> None:
            request.headers[changed] = "own=1"

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.headers[changed] = "own=1"
            return super().handle_request(request)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Adapter())
        session.get(wire.url)
    with httpx.Client(transport=Transport()) as client:
        client.get(wire.url)
        client.get(wire.url)
    sent = wire.fields()
    assert [fields[changed] for fields in sent] == ["own=1"] * 3
    assert all(fields.keys() >= OURS for fields in sent)
