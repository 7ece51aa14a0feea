"""HTTP clients on top of one another, and what each does in a way of its own: retries, hand-made requests, streams."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
import urllib.request
from typing import Any

import aiohttp
import pytest
import requests
import urllib3

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_settings, default_tracer
from tests.integrations.http_calls import PATCHES, Client
from tests.integrations.recorder import Recorder, failed
from tests.integrations.servers import HttpServer
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)


def _get(url: str, **options: Any) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, **options)


@pytest.mark.parametrize(
    ("off", "name"),
    [((), "requests.request"), (("requests",), "urllib3.request"), (("requests", "urllib3"), "http.client.request")],
)
def test_the_outermost_that_is_on_has_the_span(
    off: tuple[str, ...], name: str, http_server: HttpServer, recorder: Recorder
) -> None:
    for library in off:
        unpatch(library)
    _get(f"{http_server.url}/ok")
    [span] = recorder.take()
    assert (span["name"], span["resource"]) == (name, f"GET 127.0.0.1:{http_server.port}")
    assert span["tags"]["http.url"] == f"{http_server.url}/ok"
    assert len(http_server.header("traceparent")) == 1
    assert "," not in (http_server.header("traceparent")[0] or ",")


def test_where_the_outer_one_sends_no_headers_the_inner_ones_do_not_either(
    http_server: HttpServer, recorder: Recorder
) -> None:
    from ddmiddleware.integrations import options_of

    options_of("requests").set("distributed_tracing", False)
    _get(f"{http_server.url}/ok")
    options_of("requests").set("distributed_tracing", None)
    assert recorder.names() == ["requests.request"]
    assert http_server.header("traceparent") == [None]


def test_an_outer_span_without_headers_gets_them_from_the_inner_library(
    http_server: HttpServer, recorder: Recorder
) -> None:
    """As a client of a service has it whose integration knows of no headers."""
    for library in ("requests", "urllib3", "urllib", "httplib", "httpx", "httpx async"):
        with default_tracer.trace("service.call") as outer:
            outer._wire = "http"
            Client(library).get(f"{http_server.url}/ok")
            parent = f"{outer.span_id:016x}"
        assert recorder.names() == ["service.call"]
        assert [(header or "")[36:52] for header in http_server.header("traceparent")] == [parent]
        http_server.requests.clear()


def test_each_retry_is_a_request(http_server: HttpServer, recorder: Recorder) -> None:
    retry = urllib3.Retry(2, backoff_factor=0, status_forcelist=[503], raise_on_status=False)
    with urllib3.PoolManager(retries=retry) as pool:
        assert pool.request("GET", f"{http_server.url}/status/503").status == 503
    spans = recorder.take()
    assert [(span["name"], span["parent"]) for span in spans] == [(("urllib3.request"), n) for n in (0, 1, 2)]
    assert {span["tags"]["http.status_code"] for span in spans} == {"503"}
    assert len(set(http_server.header("x-datadog-parent-id"))) == 3
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        session.trust_env = False
        assert session.get(f"{http_server.url}/status/503", headers={"x-own": "1"}).status_code == 503
    assert recorder.names() == ["requests.request", "urllib3.request", "urllib3.request"]
    assert len(set(http_server.header("x-datadog-parent-id"))) == 6
    assert http_server.header("x-own") == [None] * 3 + ["1"] * 3


def test_the_headers_of_a_pool_are_not_changed(http_server: HttpServer) -> None:
    theirs = {"x-own": "1"}
    with urllib3.HTTPConnectionPool("127.0.0.1", http_server.port, headers=theirs) as pool:
        pool.request("GET", "/ok")
        pool.urlopen("GET", "/ok")
        pool.urlopen("GET", "/ok", None, theirs)
        assert pool.headers == {"x-own": "1"}
    assert theirs == {"x-own": "1"}
    assert http_server.header("x-own") == ["1"] * 3
    assert len(set(http_server.header("traceparent"))) == 3


def test_requests_made_by_hand(http_server: HttpServer, recorder: Recorder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", http_server.port)
    with default_tracer.trace("work") as work:
        connection.putrequest("POST", "/ok?a=1", skip_accept_encoding=True)
        connection.putheader("X-Own", "1")
        assert active.get() is work
        connection.endheaders(b"")
        assert active.get() is work
        assert connection.getresponse().read() == b"hello"
    connection.close()
    tags = {"http.method": "POST"}
    resource = f"POST 127.0.0.1:{http_server.port}"
    assert recorder.take()[1:] == [Client("httplib").span(http_server, "/ok", parent=1, resource=resource, tags=tags)]
    ((path, headers),) = http_server.requests
    assert (path, headers["x-own"]) == ("/ok?a=1", "1")
    assert headers["x-datadog-trace-id"] == str(work.trace_id & (1 << 64) - 1)


@pytest.mark.parametrize("how", ["closed", "dropped", "begun anew"])
def test_a_request_whose_answer_nobody_reads(how: str, http_server: HttpServer, recorder: Recorder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", http_server.port)
    connection.request("GET", "/ok")
    connection.sock.recv(1, socket.MSG_PEEK)  # the server has noted it
    expected = [Client("httplib").span(http_server, "/ok", None)]
    if how == "closed":
        connection.close()
    elif how == "begun anew":
        with pytest.raises(http.client.CannotSendRequest):
            connection.request("GET", "/ok")
        connection.close()
        assert [span["error"] for span in recorder.take()] == [0, 1]
        return
    else:
        sock = connection.sock
        del connection
        gc.collect()
        sock.close()
    assert recorder.take() == expected


def test_errors_of_http_client_are_the_callers(recorder: Recorder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 1)
    with pytest.raises(http.client.ResponseNotReady):
        connection.getresponse()
    with pytest.raises(http.client.CannotSendHeader):
        connection.endheaders()
    with pytest.raises(http.client.InvalidURL) as caught:
        connection.request("GET", "/a b")
    assert vars(connection).keys() == vars(http.client.HTTPConnection("127.0.0.1", 1)).keys()
    [span] = recorder.take()
    assert span["tags"].items() >= failed(caught.value).items()


def test_a_request_of_urllib_that_is_opened_twice(http_server: HttpServer, recorder: Recorder) -> None:
    request = urllib.request.Request(f"{http_server.url}/ok", headers={"X-Own": "1"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(2):
        opener.open(request).close()
    assert recorder.names() == ["urllib.request"] * 2
    assert request.headers == {"X-own": "1"}
    parents = http_server.header("x-datadog-parent-id")
    assert len(set(parents)) == 2
    default_settings["DD_TRACE_PROPAGATION_HOSTS"] = ("example.com",)
    opener.open(request).close()
    assert http_server.header("x-datadog-parent-id") == [*parents, None]


def test_what_is_no_http_has_no_span(recorder: Recorder) -> None:
    with urllib.request.urlopen("data:,hello") as response:
        assert response.read() == b"hello"
    assert recorder.take() == []


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
def test_aiohttp_cancelled(how: str, http_server: HttpServer, recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            waiting = session._request("GET", f"{http_server.url}/slow")
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
    [span] = recorder.take()
    assert (span["error"], span["tags"]["error.type"]) == (1, "asyncio.exceptions.CancelledError")


def test_aiohttp_streams_and_siblings(http_server: HttpServer, recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(http_server.url) as session:
            async with session.get("/stream") as response:
                assert recorder.take() == [Client("aiohttp_client").span(http_server, "/stream")]
                assert [line async for line in response.content] == [b"line\n"] * 3

            async def get() -> None:
                async with session.get("/ok"):
                    pass

            with default_tracer.trace("work") as work:
                await asyncio.gather(*(get() for _ in range(5)))
                assert active.get() is work

    asyncio.run(run())
    assert [span["parent"] for span in recorder.take()] == [0] + [1] * 5
    assert len(set(http_server.header("x-datadog-parent-id"))) == 6


EXPORTING = """
from ddmiddleware import patch_all, tracer
patch_all()
import http.client
tracer.trace("work").finish()
tracer.flush()
tracer.trace("more").finish()
tracer.flush()
"""


def test_what_takes_the_spans_away_is_not_traced() -> None:
    with RecordingAgent() as agent:
        run(EXPORTING, agent.url)
        assert [span["name"] for span in agent.spans] == ["work", "more"]


def test_a_service_for_each_host(http_server: HttpServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddmiddleware.integrations import options_of

    for library in PATCHES:
        monkeypatch.setattr(options_of(library), "split_by_domain", True)
        Client(library).get(f"{http_server.url}/ok")
    assert [span["service"] for span in recorder.take()] == [f"127.0.0.1:{http_server.port}"] * len(PATCHES)


def test_a_service_for_each_host_by_setting() -> None:
    code = (
        "from ddmiddleware import config\n"
        "assert config.urllib3.split_by_domain is True\n"
        "assert config.requests.split_by_domain is False\n"
        "config.requests['split_by_domain'] = True\n"
        "from ddmiddleware.integrations import options_of\n"
        "assert options_of('requests').split_by_domain is True\n"
    )
    run(code, "http://127.0.0.1:1", DD_URLLIB3_SPLIT_BY_DOMAIN="true")
