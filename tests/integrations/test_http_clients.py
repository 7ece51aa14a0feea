"""The HTTP clients, against a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_settings, default_tracer
from tests.integrations.http_calls import DROPPED, FOLLOWING, LIBRARIES, PATCHES, REFUSED, TIMED_OUT, Client, statuses
from tests.integrations.likeness import raised
from tests.integrations.recorder import Recorder, failed
from tests.integrations.servers import HttpServer, free_port


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)


@pytest.fixture(params=LIBRARIES)
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


def test_a_request(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        assert client.get(f"{http_server.url}/ok").text == "hello"
    trace_id, [(path, headers)] = work.trace_id, http_server.requests
    assert recorder.take()[1:] == [client.span(http_server, "/ok", parent=1)]
    assert path == "/ok"
    assert headers["traceparent"].startswith(f"00-{trace_id:032x}-")
    assert headers["x-datadog-trace-id"] == str(trace_id & (1 << 64) - 1)
    assert headers["x-datadog-parent-id"] == str(int(headers["traceparent"][36:52], 16))
    assert headers["x-datadog-sampling-priority"] == "1"


def test_the_header_names_the_requests_own_span(
    client: Client, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def export(chunk: list[Any], _trace: object) -> None:
        seen.extend(span.span_id for span in chunk)

    monkeypatch.setattr(default_tracer, "export", export)
    client.get(f"{http_server.url}/ok")
    assert http_server.header("x-datadog-parent-id") == [str(seen[0])]


@pytest.mark.parametrize(("status", "error"), [(200, 0), (404, 0), (500, 1), (503, 1)])
def test_statuses(client: Client, status: int, error: int, http_server: HttpServer, recorder: Recorder) -> None:
    assert client.get(f"{http_server.url}/status/{status}").status_code == status
    assert recorder.take() == [client.span(http_server, f"/status/{status}", status, error=error)]


def test_statuses_that_are_errors_are_a_setting(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    default_settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"] = frozenset({404})
    client.get(f"{http_server.url}/status/404")
    client.get(f"{http_server.url}/status/500")
    assert [span["error"] for span in recorder.take()] == [1, 0]


def test_redirects(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    """Each hop is a request of its own, with headers of its own span, all within the first."""
    if client.library == "httplib":
        return  # which follows none
    response = client.get(f"{http_server.url}/redirect/2")
    assert statuses(response) == [302] * (2 if client.library != "urllib" else 0)
    assert recorder.take() == client.hops(
        [
            client.span(http_server, "/redirect/2"),
            client.span(http_server, "/redirect/1", 302),
            client.span(http_server, "/ok"),
        ]
    )
    assert [path for path, _ in http_server.requests] == ["/redirect/2", "/redirect/1", "/ok"]
    assert len(set(http_server.header("x-datadog-parent-id"))) == (1 if client.library == "aiohttp_client" else 3)
    if client.library not in ("urllib", "urllib3"):
        assert len({header[:35] for header in http_server.header("traceparent") if header}) == 1
    for name in ("traceparent", "tracestate", "x-datadog-trace-id", "x-datadog-parent-id"):
        assert all(header and "," not in header for header in http_server.header(name))


def test_a_callers_own_trace_context_stays(client: Client, http_server: HttpServer) -> None:
    with default_tracer.trace("work") as work:
        same_trace = f"00-{work.trace_id:032x}-{work.span_id:016x}-01"
        for theirs in (
            {"traceparent": f"00-{1:032x}-{2:016x}-00"},
            {"Traceparent": same_trace},
            {"x-datadog-trace-id": "7", "x-datadog-parent-id": "8"},
        ):
            http_server.requests.clear()
            client.get(f"{http_server.url}/redirect/1", headers=dict(theirs))
            sent = [headers for _, headers in http_server.requests]
            assert len(sent) == (2 if client.library in FOLLOWING else 1)
            for headers in sent:
                found = {name: value for name, value in headers.items() if re.match("trace|x-datadog", name)}
                assert found == {name.lower(): value for name, value in theirs.items()}


def test_the_callers_headers_are_not_changed(client: Client, http_server: HttpServer) -> None:
    headers = {"x-own": "1"}
    client.get(f"{http_server.url}/ok", headers=headers)
    assert headers == {"x-own": "1"}
    assert http_server.header("x-own") == ["1"]


def test_no_credentials_and_no_query(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    credentials = "" if client.library == "urllib" else "user:hunter2@"  # which takes them for a part of the host
    url = http_server.url.replace("://", f"://{credentials}") + "/ok?token=hunter2#hunter2"
    assert client.get(url).text == "hello"
    assert http_server.requests[0][0] == "/ok?token=hunter2"
    assert recorder.take() == [client.span(http_server, "/ok")]


def test_connection_refused(client: Client, recorder: Recorder) -> None:
    port = free_port()
    with pytest.raises(REFUSED) as caught:
        client.get(f"http://[::1]:{port}/")
    [span] = recorder.take()
    assert (span["resource"], span["error"], span["tags"]["out.host"]) == (f"GET [::1]:{port}", 1, "::1")
    assert span["tags"]["http.url"] == f"http://[::1]:{port}/"
    assert span["tags"].items() >= failed(caught.value).items()


def test_timeout(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    with pytest.raises(TIMED_OUT) as caught:
        client.get(f"{http_server.url}/slow", timeout=0.05)
    assert recorder.take() == [client.span(http_server, "/slow", None, error=1, tags=failed(caught.value))]
    assert active.get() is None


def test_a_connection_that_is_dropped(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    with pytest.raises(DROPPED) as caught:
        client.get(f"{http_server.url}/drop")
    assert recorder.take() == [client.span(http_server, "/drop", None, error=1, tags=failed(caught.value))]


def test_too_many_redirects(http_server: HttpServer, recorder: Recorder) -> None:
    with requests.Session() as session:
        session.max_redirects = 1
        with pytest.raises(requests.TooManyRedirects):
            session.get(f"{http_server.url}/redirect/3")
    with httpx.Client(max_redirects=1, follow_redirects=True) as client, pytest.raises(httpx.TooManyRedirects):
        client.get(f"{http_server.url}/redirect/3")
    assert [(span["trace"], span["parent"], span["error"]) for span in recorder.take()] == [
        (1, 0, 1),
        (1, 1, 0),
        (2, 0, 1),
        (2, 3, 0),
    ]


def test_prepared_requests_that_are_sent_again(http_server: HttpServer, recorder: Recorder) -> None:
    with requests.Session() as session:
        prepared = requests.Request("GET", f"{http_server.url}/redirect/1").prepare()
        session.send(prepared, allow_redirects=False)
        response = session.send(prepared, allow_redirects=False)
        assert response.next is not None
        session.send(response.next)
    with httpx.Client() as client:
        request = client.build_request("GET", f"{http_server.url}/redirect/1")
        client.send(request)
        answered = client.send(request)
        assert answered.next_request is not None
        client.send(answered.next_request)
    assert [span["parent"] for span in recorder.take()] == [0] * 6
    assert len({header[3:35] for header in http_server.header("traceparent") if header}) == 6


def test_streams(http_server: HttpServer, recorder: Recorder) -> None:
    """The span ends with the headers, and the body arrives as it does without."""
    with requests.Session() as session, session.get(f"{http_server.url}/stream", stream=True) as response:
        assert recorder.take() == [Client("requests").span(http_server, "/stream")]
        assert [*response.iter_lines()] == [b"line"] * 3
    with httpx.Client() as client, client.stream("GET", f"{http_server.url}/stream") as answered:
        assert recorder.take() == [Client("httpx").span(http_server, "/stream")]
        assert [*answered.iter_lines()] == ["line"] * 3

    async def run() -> None:
        async with httpx.AsyncClient() as client, client.stream("GET", f"{http_server.url}/stream") as answered:
            assert recorder.take() == [Client("httpx").span(http_server, "/stream")]
            assert [line async for line in answered.aiter_lines()] == ["line"] * 3

    asyncio.run(run())
    assert recorder.take() == []


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
def test_cancelled(how: str, http_server: HttpServer, recorder: Recorder) -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            waiting = client.get(f"{http_server.url}/slow")
            if how == "wait_for":
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(waiting, 0.1)
            else:
                task = asyncio.ensure_future(waiting)
                while not http_server.requests:
                    await asyncio.sleep(0.005)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert active.get() is None

    asyncio.run(run())
    error = asyncio.CancelledError()
    [span] = recorder.take()
    assert span["tags"].pop("error.message") is not None
    expected = Client("httpx").span(http_server, "/slow", None, error=1, tags=failed(error))
    del expected["tags"]["error.message"]
    assert span == expected


def test_concurrent_requests_are_siblings(http_server: HttpServer, recorder: Recorder) -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            with default_tracer.trace("work") as work:
                await asyncio.gather(*(client.get(f"{http_server.url}/ok") for _ in range(5)))
                assert active.get() is work

    asyncio.run(run())
    assert [span["parent"] for span in recorder.take()] == [0] + [1] * 5
    assert len(set(http_server.header("x-datadog-parent-id"))) == 5


def test_hooks_and_authentication(http_server: HttpServer, recorder: Recorder) -> None:
    """A request that is sent once more for its authentication is one request."""

    class Auth(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            yield request
            request.headers["Authorization"] = "Bearer x"
            yield request

    with httpx.Client(auth=Auth(), event_hooks={"request": [lambda request: None]}) as client:
        client.get(f"{http_server.url}/ok")
    assert recorder.take() == [Client("httpx").span(http_server, "/ok")]
    assert http_server.header("authorization") == [None, "Bearer x"]


OPERATIONS: dict[str, Callable[[Client, HttpServer], Any]] = {
    "ok": lambda client, server: client.get(f"{server.url}/ok"),
    "missing": lambda client, server: client.get(f"{server.url}/status/404"),
    "redirects": lambda client, server: client.get(f"{server.url}/redirect/2"),
    "no redirect": lambda client, server: client.get(f"{server.url}/redirect/2", allow_redirects=False),
    "dropped": lambda client, server: client.get(f"{server.url}/drop"),
    "timeout": lambda client, server: client.get(f"{server.url}/slow", timeout=0.1),
    "refused": lambda client, server: client.get("http://127.0.0.1:1/"),
    "no scheme": lambda client, server: client.get("127.0.0.1/ok"),
    "bad scheme": lambda client, server: client.get("ftp://127.0.0.1/ok"),
    "bad port": lambda client, server: client.get("http://127.0.0.1:99999/ok"),
    "bad address": lambda client, server: client.get("http://[::1/ok"),
    "empty": lambda client, server: client.get(""),
    "bad header": lambda client, server: client.get(f"{server.url}/ok", headers={"x": "a\nb"}),
}


def test_same_results_with_and_without(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    def outcome(operation: Callable[[Client, HttpServer], Any]) -> Any:
        try:
            response = operation(client, http_server)
        except Exception as error:
            return raised(error)
        return response.status_code, response.text, sorted(response.headers), statuses(response), str(response.url)

    unpatch()
    without = {name: outcome(operation) for name, operation in OPERATIONS.items()}
    assert recorder.take() == []
    patch(**PATCHES)
    assert {name: outcome(operation) for name, operation in OPERATIONS.items()} == without
    recorder.take()


def test_service_from_the_environment(http_server: HttpServer, recorder: Recorder) -> None:
    from ddmiddleware.integrations import requests as ours

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(ours.integration.options, "service", "billing-api")
        Client("requests").get(f"{http_server.url}/ok")
    assert [span["service"] for span in recorder.take()] == ["billing-api"]


def test_what_remembers_headers_is_bounded(recorder: Recorder) -> None:
    from ddmiddleware.integrations import _http_client

    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
        for _ in range(_http_client._REMEMBERED_MAX + 10):
            client.get("http://test/")
    recorder.take()
    assert len(_http_client._injected) == len(_http_client._sent) == _http_client._REMEMBERED_MAX
