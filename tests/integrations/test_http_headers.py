"""What HTTP clients send of a trace: to which hosts, and beside which headers of the caller."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ddmiddleware import patch
from ddmiddleware.tracing import default_settings, default_tracer, may_propagate_to
from tests.integrations.http_calls import FOLLOWING, PATCHES, Client
from tests.integrations.recorder import Recorder
from tests.integrations.servers import HttpServer
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(**PATCHES)


@pytest.fixture(params=FOLLOWING)
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


def _ours(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if re.match("trace|x-datadog|baggage", name)}


def test_a_host_that_is_not_listed_gets_nothing(client: Client, http_server: HttpServer, recorder: Recorder) -> None:
    default_settings["DD_TRACE_PROPAGATION_HOSTS"] = ("*.example.com", "10.*")
    with default_tracer.trace("work") as work:
        work.context.set_baggage_item("a", "1")
        client.get(f"{http_server.url}/redirect/1")
    assert [_ours(headers) for _, headers in http_server.requests] == [{}, {}]
    spans = [client.span(http_server, "/redirect/1"), client.span(http_server, "/ok")]
    assert recorder.take()[1:] == client.hops(spans, 1)


def test_a_redirect_takes_nothing_to_a_host_that_is_not_listed(client: Client, http_server: HttpServer) -> None:
    default_settings["DD_TRACE_PROPAGATION_HOSTS"] = ("localhost",)
    with default_tracer.trace("work") as work:
        work.context.set_baggage_item("a", "1")
        client.get(f"http://localhost:{http_server.port}/away", headers={"x-own": "1"})
    (_, first), (_, second) = http_server.requests
    assert {"traceparent", "tracestate", "x-datadog-trace-id", "baggage"} <= set(first)
    assert _ours(second) == {}
    assert second["x-own"] == "1"


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("api.example.com", True),
        ("API.Example.COM.", True),
        ("a.b.example.com", True),
        ("example.com", False),
        ("example.com.evil.org", False),
        ("api-example.com", False),
        ("10.0.0.1", True),
        ("110.0.0.1", False),
        ("web1", True),
        ("web12", False),
        ("::1", True),
        ("[::1]", True),
        ("", False),
        ("x" * 1_000_000 + ".example.com", False),
    ],
)
def test_hosts(host: str, may: bool) -> None:
    assert may_propagate_to(host)
    default_settings["DD_TRACE_PROPAGATION_HOSTS"] = ("*.example.com", "10.*", "web?", "[::1]")
    assert may_propagate_to(host) == may


def test_a_callers_baggage_stays(client: Client, http_server: HttpServer) -> None:
    with default_tracer.trace("work") as work:
        work.context.set_baggage_item("a", "1")
        client.get(f"{http_server.url}/redirect/1", headers={"Baggage": "own=1"})
        client.get(f"{http_server.url}/ok")
    assert http_server.header("baggage") == ["own=1", "own=1", "a=1"]
    assert len(set(http_server.header("traceparent"))) == (2 if client.library == "aiohttp_client" else 3)


@pytest.mark.parametrize(
    "theirs",
    [
        {"b3": "1-2-1"},
        {"X-B3-TraceId": "1", "X-B3-SpanId": "2"},
        {"tracestate": "vendor=x"},
        {"x-datadog-origin": "rum"},
    ],
)
def test_a_trace_context_of_whatever_style_stays(
    client: Client, theirs: dict[str, str], http_server: HttpServer
) -> None:
    with default_tracer.trace("work") as work:
        work.context.set_baggage_item("a", "1")
        client.get(f"{http_server.url}/ok", headers=dict(theirs))
    ((_, sent),) = http_server.requests
    found = {name: value for name, value in sent.items() if re.match("trace|x-datadog|baggage|b3|x-b3", name)}
    assert found == {name.lower(): value for name, value in theirs.items()}


SCRIPT = """
import sys
import httpx, requests
from ddmiddleware import patch, tracer
patch(requests=True, httpx=True)
with tracer.trace("work"):
    requests.get(sys.argv[1] + "/redirect/1")
    httpx.get(sys.argv[1] + "/redirect/1", follow_redirects=True)
"""


@pytest.mark.parametrize(
    ("style", "names", "parent"),
    [
        ("b3", {"b3"}, lambda headers: headers["b3"].split("-")[1]),
        ("b3multi", {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}, lambda headers: headers["x-b3-spanid"]),
        ("tracecontext", {"traceparent", "tracestate"}, lambda headers: headers["traceparent"].split("-")[2]),
        ("none", set(), None),
    ],
)
def test_styles(style: str, names: set[str], parent: Callable[[Any], str] | None, http_server: HttpServer) -> None:
    """Of each hop the headers are its own, whichever style says so."""
    with RecordingAgent() as agent:
        run(SCRIPT, agent.url, http_server.url, DD_TRACE_PROPAGATION_STYLE=style, no_proxy="*")
        spans = {f"{span['span_id']:016x}" for span in agent.spans if span["type"] == "http"}
    assert len(spans) == 4
    sent = [
        {name: value for name, value in headers.items() if re.match("trace|x-datadog|baggage|b3|x-b3", name)}
        for _, headers in http_server.requests
    ]
    assert [set(headers) for headers in sent] == [names] * 4
    if parent:
        assert {parent(headers) for headers in sent} == spans
