"""Our headers pass the libraries' steps that take long: the same bytes on the wire, and whoever looks sees them."""

from __future__ import annotations

import asyncio
import http.client
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx
import pytest
import requests
import urllib3

from ddmiddleware import patch, unpatch
from ddmiddleware.integrations import _http_client, _httpx_headers, httplib
from ddmiddleware.tracing import default_tracer
from tests.integrations.http_calls import PATCHES
from tests.integrations.recorder import Recorder

OURS = {
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-tags"),
    *("traceparent", "tracestate"),
}


class Wire:
    """A server that records the head of each request as it came, and answers with a cookie."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        wire = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                for line in self.rfile:
                    head += line
                    if line == b"\r\n":
                        wire.heads.append(head)
                        head = b""
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: seen=1\r\nContent-Length: 2\r\n\r\nok")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fields(self) -> list[dict[str, str]]:
        """Return the headers of each request since the last time; each may be there once."""
        heads, self.heads = self.heads, []
        found = []
        for head in heads:
            lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:-2]]
            names = [name.lower() for name, _, _ in lines]
            assert len(names) == len(set(names)), names
            found.append({name.lower(): value for name, _, value in lines})
        return found


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)
    _httpx_headers._proven.clear()


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent past the libraries' steps: one entry for each request."""
    seen: list[str] = []
    lines = _http_client.lines

    def noted(headers: dict[str, str]) -> bytes:
        seen.append(headers["traceparent"])
        return lines(headers)

    monkeypatch.setattr(_http_client, "lines", noted)
    return seen


def _requests(url: str, **options: Any) -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            yield session.get(url, **options)


def _httpx(url: str, **options: Any) -> Iterator[Any]:
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            yield client.get(url, **options)


def _httpx_async(url: str, **options: Any) -> Iterator[Any]:
    async def run() -> list[Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return [await client.get(url, **options) for _ in range(3)]

    yield from asyncio.run(run())


def _urllib3(url: str, **options: Any) -> Iterator[Any]:
    with urllib3.PoolManager() as pool:
        for _ in range(3):
            yield pool.request("GET", url, **options)


CLIENTS: dict[str, Callable[..., Iterator[Any]]] = {
    "requests": _requests,
    "httpx": _httpx,
    "httpx async": _httpx_async,
    "urllib3": _urllib3,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Callable[..., Iterator[Any]]:
    return CLIENTS[request.param]


def _without_numbers(heads: list[bytes]) -> list[bytes]:
    return [re.sub(rb"[0-9a-f]{16,32}|\b[0-9]{8,20}\b", b"N", head) for head in heads]


def test_the_same_bytes(
    client: Callable[..., Iterator[Any]], wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"X-Own": "1", "x-other": "a, b"}
    with default_tracer.trace("work") as work:
        work.context.set_baggage_item("a", "ä b")
        list(client(wire.url, headers=headers))
        quick, wire.heads = wire.heads, []
        assert len(late) >= 2  # httpcore is looked at first
        monkeypatch.setattr(_http_client, "lines", lambda _headers: b"")
        list(client(wire.url, headers=headers))
    assert len(quick) == 3
    assert _without_numbers(quick) == _without_numbers(wire.heads)


def test_every_request_has_headers_of_its_own(
    client: Callable[..., Iterator[Any]], wire: Wire, late: list[str], recorder: Recorder
) -> None:
    list(client(wire.url))
    sent = wire.fields()
    assert all(fields.keys() >= OURS for fields in sent)
    assert len({fields["x-datadog-parent-id"] for fields in sent}) == 3
    assert {fields["traceparent"] for fields in sent} >= set(late)
    assert httplib._late == {}
    recorder.take()


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx async"])
def test_the_response_knows_what_was_sent(name: str, wire: Wire) -> None:
    responses = list(CLIENTS[name](wire.url))
    for response, sent in zip(responses, wire.fields(), strict=True):
        seen = {key.lower(): value for key, value in response.request.headers.items()}
        assert {key: seen[key] for key in OURS} == {key: sent[key] for key in OURS}
        assert response.cookies["seen"] == "1"


def test_cookies_are_kept(client: Callable[..., Iterator[Any]], wire: Wire) -> None:
    list(client(wire.url))
    if client is not _urllib3:
        assert [fields.get("cookie") for fields in wire.fields()] == [None, "seen=1", "seen=1"]


def test_the_jar_gets_a_response_like_the_real_one(wire: Wire) -> None:
    seen = []

    class Cookies(httpx.Cookies):
        def extract_cookies(self, response: httpx.Response) -> None:
            seen.append(response)
            super().extract_cookies(response)

    with httpx.Client(trust_env=False) as client:
        client._cookies = Cookies()
        response = client.get(wire.url)
        assert seen == [response]
        extracted = _httpx_headers._without_ours(response)
    assert extracted.status_code == 200
    assert extracted.request.extensions is response.request.extensions
    assert not OURS & {*extracted.request.headers}
    assert {*response.request.headers} >= OURS


def test_an_adapter_and_hooks_see_them(wire: Wire) -> None:
    seen: list[Any] = []

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append({*request.headers})
            return super().send(request, *args, **kwargs)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Adapter())
        session.get(wire.url, hooks={"response": [lambda response, **_: seen.append({*response.request.headers})]})
    assert all(names >= OURS for names in seen)
    assert len(seen) == 2
    assert wire.fields()[0].keys() >= OURS


def _wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["HTTP_TRACEPARENT"].encode()]


async def _asgi(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": dict(scope["headers"])[b"traceparent"]})


@pytest.mark.parametrize("hook", [False, True])
def test_transports_and_hooks_see_them(hook: bool, recorder: Recorder) -> None:
    seen: list[str] = []
    hooks: dict[str, Any] = {"request": [lambda request: seen.append(request.headers["traceparent"])]} if hook else {}
    mock = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["traceparent"]))
    for transport in (mock, httpx.WSGITransport(_wsgi)):
        with httpx.Client(transport=transport, event_hooks=hooks) as client:
            response = client.get("http://test/")
            assert response.text == response.request.headers["traceparent"]
            assert seen == ([response.text] if hook else [])
            seen.clear()

    async def run() -> None:
        for transport in (mock, httpx.ASGITransport(_asgi)):
            async with httpx.AsyncClient(transport=transport) as client:
                response = await client.get("http://test/")
                assert response.text == response.request.headers["traceparent"]

    asyncio.run(run())


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
            list(_requests(wire.url))
        assert late == []
        assert name == "endheaders" or seen.count("traceparent") == 3
        assert all(fields.keys() >= OURS for fields in wire.fields())
        seen.clear()
    list(_requests(wire.url))
    assert len(late) == 3


@pytest.mark.parametrize("off", ["httplib", "urllib3"])
def test_without_the_library_below(off: str, wire: Wire, late: list[str]) -> None:
    unpatch(off)
    list(_requests(wire.url))
    assert late == []
    assert all(fields.keys() >= OURS for fields in wire.fields())


def test_where_requests_keeps_headers_in_another_way(
    wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.structures, "OrderedDict", dict)
    responses = list(_requests(wire.url))
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
    list(_requests(wire.url))
    assert late == []
    assert all(fields.keys() >= OURS for fields in wire.fields())


@pytest.mark.parametrize("name", ["httpx", "httpx async"])
def test_where_httpx_keeps_headers_in_another_way(
    name: str, wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_httpx_headers, "_kept", lambda _headers: [])
    responses = list(CLIENTS[name](wire.url))
    assert all({*response.request.headers} >= OURS for response in responses)
    assert all(fields.keys() >= OURS for fields in wire.fields())
    assert late == []


def test_where_httpcore_writes_a_head_in_parts(wire: Wire, late: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def in_parts(self: Any, event: Any, timeout: float | None = None) -> None:
        head = self._h11_state.send(event) or b""
        for part in (head[:20], head[20:]):
            self._network_stream.write(part, timeout=timeout)

    with monkeypatch.context() as changed:
        changed.setattr(httpcore.HTTP11Connection, "_send_event", in_parts)
        list(_httpx(wire.url))
        assert late == []
    list(_httpx(wire.url))
    assert len(late) == 2
    with monkeypatch.context() as changed:  # and from now on
        changed.setattr(httpcore.HTTP11Connection, "_send_event", in_parts)
        list(_httpx(wire.url))
    assert len(late) == 3
    sent = wire.fields()
    assert len(sent) == 9
    assert all(fields.keys() >= OURS for fields in sent)


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


def test_what_breaks_out_of_its_line_is_for_the_library_to_refuse(wire: Wire) -> None:
    assert _http_client.lines({"a": "1\r\nb: 2"}) == b""
    assert _http_client.lines({"a": "ä"}) == b""
    assert _http_client.lines({"a": "1", "b": "2"}) == b"a: 1\r\nb: 2\r\n"
    with default_tracer.trace("work") as work:
        work.context._propagated.tracestate = "x=1\r\ny: 2"
        with pytest.raises(ValueError, match="header"):
            list(_requests(wire.url))
        with pytest.raises(httpx.LocalProtocolError):
            list(_httpx(wire.url))
    assert wire.heads == []
