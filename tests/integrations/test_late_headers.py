"""Our headers pass the libraries' steps that take long: the same bytes on the wire, and whoever looks sees them."""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
import requests

from ddmiddleware import patch
from ddmiddleware.integrations import _http_client, httplib
from ddmiddleware.integrations import httpx as integration
from ddmiddleware.tracing import default_tracer
from tests.integrations.http_calls import PATCHES
from tests.integrations.recorder import Recorder
from tests.integrations.wire import CLIENTS, OURS, Wire, three_by_httpx, three_by_requests, three_by_urllib3

LATE = (three_by_requests, three_by_urllib3)


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)


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
        assert len(late) == (3 if client in LATE else 0)
        monkeypatch.setattr(_http_client, "lines", lambda _headers: b"")
        monkeypatch.setattr(integration, "_view", lambda _headers: None)
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
    if client is not three_by_urllib3:
        assert [fields.get("cookie") for fields in wire.fields()] == [None, "seen=1", "seen=1"]


@pytest.mark.parametrize("error", [None, LookupError("theirs")])
def test_a_cookie_jar_is_shown_the_headers_of_others(error: Exception | None, recorder: Recorder) -> None:
    shown: list[set[str]] = []

    class Jar(http.cookiejar.CookieJar):
        def extract_cookies(self, response: Any, request: Any) -> None:
            shown.append({name.lower() for name, _ in request.header_items()})
            if error is not None:
                raise error
            super().extract_cookies(response, request)

    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers={"Set-Cookie": "seen=1"}))
    request = httpx.Request("GET", "http://test/", headers={"X-Own": "1"})
    with (
        httpx.Client(transport=answer, cookies=Jar()) as client,
        pytest.raises(LookupError) if error else nullcontext(),
    ):
        client.send(request)
        assert client.cookies["seen"] == "1"
    (names,) = shown
    assert "x-own" in names
    assert not names & OURS
    assert request.headers.keys() >= OURS
    assert recorder.take()[0]["error"] == bool(error)


def test_a_response_without_a_request_has_no_cookies() -> None:
    with pytest.raises(RuntimeError, match="request instance has not been set"):
        httpx.Cookies().extract_cookies(httpx.Response(200))


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


def test_what_breaks_out_of_its_line_is_for_the_library_to_refuse(wire: Wire) -> None:
    assert _http_client.lines({"a": "1\r\nb: 2"}) == b""
    assert _http_client.lines({"a": "ä"}) == b""
    assert _http_client.lines({"a": "1", "b": "2"}) == b"a: 1\r\nb: 2\r\n"
    with default_tracer.trace("work") as work:
        work.context._propagated.tracestate = "x=1\r\ny: 2"
        with pytest.raises(ValueError, match="header"):
            list(three_by_requests(wire.url))
        with pytest.raises(httpx.LocalProtocolError):
            list(three_by_httpx(wire.url))
    assert wire.heads == []
