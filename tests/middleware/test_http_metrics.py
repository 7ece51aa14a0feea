"""Metrics of the requests that are served."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ddmiddleware import _metrics
from ddmiddleware._metrics import HttpMetrics, Measurement, http_metrics
from ddmiddleware._rules import rules
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Interface, put
from tests.recording_agent import RecordingAgent, Request, Spans
from tests.tracer.metrics_server import Line, MetricsServer
from tests.tracer.processes import WAIT_S, run, start

SERVE = """
from ddmiddleware import patch_all
import flask
from tests.middleware.requests_by_hand import ask_wsgi
patch_all(logging=False)
app = flask.Flask("app")

@app.get("/users/<int:number>")
def user(number):
    return "x" * number

@app.get("/broken")
def broken():
    return "sorry", 503

ask_wsgi(app, "/users/3", CONTENT_LENGTH="7")
ask_wsgi(app, "/users/300")
ask_wsgi(app, "/nowhere")
ask_wsgi(app, "/broken")
"""
AWAY = "http://127.0.0.1:9"
SERVED = "http.request.method:GET", "url.scheme:http"


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    http_metrics._forget()
    yield
    http_metrics._forget()


def seen(measurement: Measurement) -> dict[str, Any]:
    assert measurement.duration_s is not None
    assert 0 <= measurement.duration_s < WAIT_S
    names = ("method", "scheme", "route", "status", "error", "request_size", "response_size")
    return {name: getattr(measurement, name) for name in names}


def test_what_is_measured(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_HTTP_METRICS_ENABLED", "true")
    put("DD_TRACE_EXCLUDED_URLS", "/health")
    active: list[dict[tuple[str, str], int]] = []

    def look() -> None:
        assert http_metrics.take() == []
        active.append(dict(http_metrics.active))

    interface.ask(headers=[("Content-Length", "7")], answered=[("Content-Length", "4")], work=look)
    interface.ask(headers=[("Content-Length", "-7")], answered=[("Content-Length", "many")], status=404)
    interface.ask("/health")
    interface.ask("/late", excluded_urls="/late")
    with pytest.raises(LookupError):
        interface.ask(work=lambda: {}["missing"])
    interface.ask(status=503)
    usual = {
        "method": "GET",
        "scheme": "http",
        "route": None,
        "error": None,
        "request_size": None,
        "response_size": None,
    }
    assert list(map(seen, http_metrics.take())) == [
        {**usual, "status": 200, "request_size": 7, "response_size": 4},
        {**usual, "status": 404},
        {**usual, "status": 500, "error": "builtins.KeyError"},
        {**usual, "status": 503, "error": "503"},
    ]
    assert active == [{("GET", "http"): 1}]
    assert http_metrics.active == {("GET", "http"): 0}


def test_off(recorder: Recorder, interface: Interface) -> None:
    interface.ask()
    assert (rules.metrics, http_metrics.take(), http_metrics.active) == (None, [], {})
    put("DD_TRACE_HTTP_METRICS_ENABLED", "true")
    interface.ask(work=lambda: put("DD_TRACE_HTTP_METRICS_ENABLED", "false"))
    interface.ask()
    assert len(http_metrics.take()) == 1
    assert http_metrics.active == {("GET", "http"): 0}


def test_what_waits_has_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_metrics, "_WAITING_MAX", 3)
    metrics = HttpMetrics()
    begun = [metrics.began("GET", "http", None) for _ in range(4)]
    assert begun[3] is None
    for measurement in begun[:3]:
        assert measurement is not None
        metrics.ended(measurement, None)
    assert metrics.take() == []
    assert metrics.active == {("GET", "http"): 0}
    assert metrics.began("GET", "http", None) is not None


def test_a_child_process_leaves_requests_to_its_parent() -> None:
    measurement = http_metrics.began("GET", "http", None)
    assert measurement is not None
    child = os.fork()
    if not child:
        http_metrics.ended(measurement, None)
        os._exit(int(http_metrics.take() != [] or http_metrics.active != {}))
    assert os.waitpid(child, 0)[1] == 0
    assert http_metrics.take() == []
    assert http_metrics.active == {("GET", "http"): 1}


def of(lines: list[Line], name: str) -> list[tuple[float, tuple[str, ...]]]:
    found = [
        (line.value, tuple(sorted(tag for tag in line.tags if "." in tag.partition(":")[0])))
        for line in lines
        if line.name == name
    ]
    assert {line.kind for line in lines if line.name == name} <= {"d"}
    return sorted(found)


def test_dogstatsd() -> None:
    """What was served since the last report goes out at the end."""
    with MetricsServer() as server, RecordingAgent() as agent:
        run(SERVE, agent.url, DD_TRACE_HTTP_METRICS_ENABLED="true", DD_DOGSTATSD_URL=server.url)
        lines = server.until("http.server.active_requests")
    served = (
        "http.request.method:GET",
        "http.response.status_code:200",
        "http.route:/users/<int:number>",
        "url.scheme:http",
    )
    missed = ("http.request.method:GET", "http.response.status_code:404", "url.scheme:http")
    failed = (
        "error.type:503",
        "http.request.method:GET",
        "http.response.status_code:503",
        "http.route:/broken",
        "url.scheme:http",
    )
    assert sorted(tags for _, tags in of(lines, "http.server.request.duration")) == [failed, served, served, missed]
    assert of(lines, "http.server.request.body.size") == [(7, served)]
    sizes = of(lines, "http.server.response.body.size")
    assert [size for size in sizes if size[1] == served] == [(3, served), (300, served)]
    assert of(lines, "http.server.active_requests") == [(0, SERVED)]
    assert all("service:shop" in line.tags for line in lines)


def test_dogstatsd_while_it_serves() -> None:
    script = SERVE + "print('served', flush=True); input()"
    settings = {
        "DD_TRACE_HTTP_METRICS_ENABLED": "true",
        "DD_RUNTIME_METRICS_INTERVAL_SECONDS": "0.02",
    }
    with MetricsServer() as server:
        process = start(script, AWAY, DD_DOGSTATSD_URL=server.url, **settings)
        assert process.stdout
        assert process.stdout.readline() == "served\n"
        lines: list[Line] = []
        while len(of(lines, "http.server.request.duration")) < 4:
            lines += server.datagram()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=WAIT_S)


class OtlpReceiver(RecordingAgent):
    """Takes metrics."""

    def _read(self, request: Request) -> list[Spans]:
        return []


def test_otlp() -> None:
    with OtlpReceiver() as receiver, RecordingAgent() as agent:
        run(
            SERVE,
            agent.url,
            OTEL_METRICS_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-key=secret",
        )
        (request,) = [found for found in receiver.requests if found.path == "/v1/metrics"]
    assert (request.headers["content-type"], request.headers["x-key"]) == ("application/x-protobuf", "secret")
    message = ExportMetricsServiceRequest.FromString(request.body)
    assert message.SerializeToString() == request.body
    (resource,) = message.resource_metrics
    names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert names["service.name"] == "shop"
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert {name: metric.unit for name, metric in metrics.items()} == {
        "http.server.request.duration": "s",
        "http.server.active_requests": "{request}",
        "http.server.request.body.size": "By",
        "http.server.response.body.size": "By",
    }
    durations = metrics["http.server.request.duration"].histogram
    assert durations.aggregation_temporality == 2
    assert [point.count for point in durations.data_points] == [2, 1, 1]
    failed = {pair.key: pair.value.string_value for pair in durations.data_points[2].attributes}
    assert failed["error.type"] == "503"
    served = durations.data_points[0]
    assert {pair.key: pair.value.string_value or pair.value.int_value for pair in served.attributes} == {
        "http.request.method": "GET",
        "http.route": "/users/<int:number>",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert 0 < served.start_time_unix_nano < served.time_unix_nano
    assert sum(served.bucket_counts) == 2
    assert len(served.bucket_counts) == len(served.explicit_bounds) + 1
    assert 0 < served.sum < WAIT_S
    sizes = metrics["http.server.response.body.size"].histogram.data_points[0]
    assert (sizes.count, sizes.sum) == (2, 303.0)
    buckets = dict(zip([*sizes.explicit_bounds, float("inf")], sizes.bucket_counts, strict=True))
    assert {bound: count for bound, count in buckets.items() if count} == {64.0: 1, 1024.0: 1}
    active = metrics["http.server.active_requests"].sum
    assert not active.is_monotonic
    assert active.aggregation_temporality == 2
    assert [point.as_int for point in active.data_points] == [0]


def test_a_collector_that_is_away_is_said_once_and_delays_no_exit() -> None:
    script = SERVE + "ask_wsgi(app, '/users/3')"
    process = start(script, AWAY, OTEL_METRICS_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=AWAY)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert err.count("metrics cannot be sent to http://127.0.0.1:9/v1/metrics: Connection refused") == 1
