"""Datadog's own test agent accepts what we send, with all of its checks on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.tracing import Context
from tests.tracer.conftest import MakeTracer
from tests.tracer.otlp_receiver import otlp_tracer

CHECKS = (
    "trace_count_header,meta_tracer_version_header,trace_content_length,trace_stall,trace_peer_service,"
    "trace_dd_service,meta_events_is_valid_json"
)
COMMAND = shutil.which("ddapm-test-agent", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def _free_ports(count: int) -> list[str]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class _Agent(str):
    """The agent's address; *otlp* is the other one that it listens at."""

    otlp: str


@pytest.fixture(scope="module")
def test_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Agent]:
    if COMMAND is None:
        pytest.skip("ddapm-test-agent is not installed")
    port, http, grpc = _free_ports(3)
    environ = {"PORT": port, "OTLP_HTTP_PORT": http, "OTLP_GRPC_PORT": grpc, "ENABLED_CHECKS": CHECKS}
    environ |= {"DD_POOL_TRACE_CHECK_FAILURES": "true", "SNAPSHOT_DIR": str(tmp_path_factory.mktemp("snapshots"))}
    with open(tmp_path_factory.mktemp("log") / "agent.log", "wb") as log:
        command = [COMMAND, "--host", "127.0.0.1"]
        process = subprocess.Popen(command, env=os.environ | environ, stdout=log, stderr=log)
    try:
        url = _Agent(f"http://127.0.0.1:{port}")
        url.otlp = f"http://127.0.0.1:{http}"
        deadline = time.monotonic() + 30
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return bool(_get(url + "/info"))
    except urllib.error.URLError:
        return False


@pytest.mark.parametrize("version", ["v0.4", "v0.5"])
def test_it_accepts_what_we_send(test_agent: str, make_tracer: MakeTracer, version: str) -> None:
    tracer = make_tracer(test_agent, DD_TRACE_API_VERSION=version, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="5")
    with tracer.trace("web.request", resource="GET /", span_type="web") as span:
        span.set_tags({"text": "é\0", "number": 2**63 - 1, "half": 0.5})
        span.link_span(Context(2**128 - 1, 2**64 - 1))
        span.add_event("ready", {"n": 1})
        for _ in range(12):
            tracer.trace("sql.query", span_type="sql").finish()
    with pytest.raises(ValueError, match="no"), tracer.trace("fails"):
        raise ValueError("no")
    assert tracer.flush()
    assert tracer.stats()["sent"] == 14
    names = [span["name"] for trace in _get(test_agent + "/test/traces") for span in trace]
    assert names.count("sql.query") % 12 == 0
    assert {"web.request", "fails"} <= set(names)
    with urllib.request.urlopen(test_agent + "/test/trace_check/failures?return_all=true", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"200: OK")
    summary = _get(test_agent + "/test/trace_check/summary?return_all=true")
    assert {name for name, counts in summary.items() if counts["Passed_Checks"]} >= {
        "trace_count_header",
        "meta_tracer_version_header",
    }
    assert not [name for name, counts in summary.items() if counts["Failed_Checks"]]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_it_accepts_otlp(test_agent: _Agent, make_tracer: MakeTracer, protocol: str, compression: str) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}
    tracer = otlp_tracer(make_tracer, test_agent.otlp, **environ)
    span = tracer.trace("web.request", resource=f"{protocol} {compression}")
    span.set_tags({"text": "é\0", "number": 2**63 - 1, "half": 0.5})
    span.link_span(Context(2**128 - 1, 2**64 - 1))
    span.add_event("ready", {"n": 1})
    with pytest.raises(ValueError, match="no"), span:
        raise ValueError("no")
    assert tracer.flush()
    assert tracer.stats()["sent"] == 1
    assert f"{protocol} {compression}" in json.dumps(_get(test_agent.otlp + "/test/session/traces"))


def test_it_accepts_our_statistics(test_agent: str, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(test_agent, DD_TRACE_STATS_COMPUTATION_ENABLED="true", DD_ENV="test")
    counts = ("Hits", "Errors", "TopLevelHits", "Duration")
    durations = {"GET /": 0, "GET /fails": 0}
    for number in range(60):
        resource = "GET /" if number % 3 else "GET /fails"
        with tracer.trace("counted.request", resource=resource, span_type="web") as span:
            span.set_tags({"http.status_code": "500" if resource == "GET /fails" else "200", "span.kind": "server"})
            span.error = int(resource == "GET /fails")
            tracer.trace("inner").finish()
        durations[resource] += span.duration_ns or 0
        if number == 30:
            assert tracer.flush_stats()  # the agent adds up
    assert tracer.flush_stats()
    found: dict[str, dict[str, Any]] = {}
    for payload in _get(test_agent + "/test/session/stats"):
        assert payload["Env"] == "test"
        for bucket in payload["Stats"]:
            assert (bucket["Start"] % 10**10, bucket["Duration"]) == (0, 10**10)
            for group in bucket["Stats"]:
                total = found.setdefault(group["Resource"], dict.fromkeys(counts, 0))
                for name in total:
                    total[name] += group[name]
                rest = {name: group[name] for name in ("Name", "Service", "Type", "HTTPStatusCode", "Synthetics")}
                assert rest == {
                    "Name": "counted.request",
                    "Service": "shop",
                    "Type": "web",
                    "HTTPStatusCode": 500 if group["Resource"] == "GET /fails" else 200,
                    "Synthetics": False,
                }
    assert found == {
        "GET /": {"Hits": 40, "Errors": 0, "TopLevelHits": 40, "Duration": durations["GET /"]},
        "GET /fails": {"Hits": 20, "Errors": 20, "TopLevelHits": 20, "Duration": durations["GET /fails"]},
    }
