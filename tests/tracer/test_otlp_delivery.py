"""From the queue to a collector of OTLP: settings, retries, answers and misbehaviour."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ddmiddleware.testing import BEHAVIOURS, HostileAgent
from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.export.http import Connection
from ddmiddleware.tracing.export.otlp import OtlpExporter, endpoint
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer
from tests.tracer.otlp_receiver import OtlpReceiver, otlp_tracer
from tests.tracer.processes import WAIT_S, start

_COMMON, _TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def _work(tracer: Tracer, spans: int = 1) -> None:
    for _ in range(spans):
        tracer.trace("a").finish()


@pytest.mark.parametrize(
    ("environ", "url", "path"),
    [
        ({}, "http://localhost:4318", "/v1/traces"),
        ({_COMMON: "http://c:1"}, "http://c:1", "/v1/traces"),
        ({_COMMON: "http://c:1/"}, "http://c:1", "/v1/traces"),
        ({_COMMON: "https://c/otlp/"}, "https://c", "/otlp/v1/traces"),
        ({_COMMON: "http://c/otlp?key=1"}, "http://c", "/otlp/v1/traces?key=1"),
        ({_TRACES: "http://c:1/my/path/", _COMMON: "http://other"}, "http://c:1", "/my/path/"),
        ({_TRACES: "http://c:1"}, "http://c:1", "/"),
        ({_TRACES: "grpc://c:1", _COMMON: "http://other"}, "http://other", "/v1/traces"),
    ],
)
def test_endpoints(environ: dict[str, str], url: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert endpoint(Settings(environ)) == (url, path)
    assert len(caplog.records) == ("grpc" in str(environ))


@pytest.mark.parametrize("kind", ["", "TRACES_"])
def test_what_the_environment_says(receiver: OtlpReceiver, make_tracer: MakeTracer, kind: str) -> None:
    environ = {
        "HEADERS": "Authorization=Bearer%20a%3D%2Cb, x-tenant = shop ,,",
        "PROTOCOL": "http/json",
        "COMPRESSION": "gzip",
        "TIMEOUT": "500",
    }
    tracer = otlp_tracer(
        make_tracer, receiver.url, **{f"OTEL_EXPORTER_OTLP_{kind}{name}": text for name, text in environ.items()}
    )
    _work(tracer)
    assert tracer.flush()
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer a=,b"
    assert request.headers["x-tenant"] == "shop"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "gzip"
    assert len(receiver.spans) == 1


def test_what_is_said_of_traces_comes_first() -> None:
    common = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    settings = Settings(
        {**common, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2"}
    )
    assert settings["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"
    assert settings["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] == 2


def test_grpc_is_warned_of_and_http_is_spoken(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert settings["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"
    (record,) = caplog.records
    assert "gRPC is not spoken" in record.getMessage()


@pytest.mark.parametrize(
    "text", ["secret", "=secret", "a b=secret", "a=secret%0d%0aX: y", "a=secret%C3%BC", "ä=secret"]
)
def test_no_header_is_said_aloud(text: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({"OTEL_EXPORTER_OTLP_HEADERS": f"good=secret,{text}"})
    found = settings["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
    assert found.values == {}
    (record,) = caplog.records
    assert "secret" not in record.getMessage()


def test_headers_are_not_shown() -> None:
    settings = Settings({"OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=secret, b=c"})
    assert str(settings["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]) == "api-key=***,b=***"


def test_a_password_in_the_address_is_not_said_aloud(make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    with HostileAgent("refused") as agent:
        tracer = otlp_tracer(make_tracer, agent.url.replace("//", "//user:secret@"))
        _work(tracer)
        assert not tracer.flush()
        tracer.shutdown(0.1)
    assert "secret" not in caplog.text
    assert agent.url in caplog.text


@pytest.mark.skipif(which("openssl") is None, reason="makes the certificate")
def test_a_certificate(tmp_path: Path, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", *names]
    command = ["openssl", "req", "-x509", "-keyout", key, "-out", certificate, *options]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with OtlpReceiver(tls=context) as receiver:
        for file, delivered in (("", False), (str(tmp_path / "missing.pem"), False), (certificate, True)):
            tracer = otlp_tracer(make_tracer, receiver.url, OTEL_EXPORTER_OTLP_CERTIFICATE=file)
            _work(tracer)
            assert tracer.flush() is delivered
            tracer.shutdown(0.1)
        assert len(receiver.spans) == 1
    assert "missing.pem" in caplog.text


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_collector_that_is_busy_gets_it_later(
    receiver: OtlpReceiver, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO, "ddmiddleware")
    tracer = otlp_tracer(make_tracer, receiver.url, DD_TRACE_WRITER_INTERVAL_SECONDS="60")
    receiver.answers.append((status, b"busy"))
    _work(tracer)
    assert not tracer.flush()
    assert tracer.flush()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert (len(receiver.spans), tracer.stats()["dropped"]) == (1, 0)


@pytest.mark.parametrize(("said", "least", "most"), [("7", 7, 10), ("99999999999", 120, 150), ("soon", 0, 1)])
def test_retry_after(receiver: OtlpReceiver, said: str, least: float, most: float) -> None:
    exporter, pause_s = _refused_until(receiver, said)
    assert least - 1 < pause_s < most
    assert not exporter.send(None)
    assert len(receiver.requests) == 1
    exporter.close()


def test_retry_after_a_date(receiver: OtlpReceiver) -> None:
    exporter, pause_s = _refused_until(receiver, formatdate(time.time() + 60, usegmt=True))
    assert 50 < pause_s < 80
    exporter.close()


def _refused_until(receiver: OtlpReceiver, said: str) -> tuple[OtlpExporter, float]:
    receiver.answers.append((503, b"busy", ("Retry-After", said)))
    exporter = OtlpExporter(Settings({_COMMON: receiver.url, "DD_SERVICE": "shop"}))
    tracer = Tracer(Settings({}))
    tracer.export = lambda chunk, _trace: exporter.add(chunk)
    tracer.trace("a").finish()
    assert not exporter.send(None)
    return exporter, exporter._retry_at - time.monotonic()


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
def test_what_is_refused_is_not_sent_again(
    receiver: OtlpReceiver, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    tracer = otlp_tracer(make_tracer, receiver.url)
    answer = Status(message="no\nsuch thing").SerializeToString()  # as google.rpc.Status, whose message is field 2 too
    receiver.answers += [(status, answer), (status, b"\xff\xff")]
    for delivered in (False, False, True):
        _work(tracer)
        assert tracer.flush() is delivered
    assert (len(receiver.spans), tracer.stats()["dropped"]) == (1, 2)
    (record,) = caplog.records
    assert f"refused 1 spans with status {status}: no such thing" in record.getMessage()


def _partial(rejected: int, message: str) -> Message:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return response


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_a_partial_success(
    receiver: OtlpReceiver, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "DD_TRACE_WRITER_INTERVAL_SECONDS": "60"}
    tracer = otlp_tracer(make_tracer, receiver.url, **environ)
    for rejected in (2, 1, 99):
        if protocol == "http/json":
            partial: Any = {"rejectedSpans": str(rejected), "errorMessage": "too\nold"}
            receiver.answers.append((200, json.dumps({"partialSuccess": partial}).encode()))
        else:
            receiver.answers.append((200, _partial(rejected, "too\nold").SerializeToString()))
        _work(tracer, 3)
        assert not tracer.flush()
    stats = tracer.stats()
    assert (stats["sent"], stats["dropped"]) == (1 + 2 + 0, 2 + 1 + 3)
    (record,) = caplog.records
    assert record.getMessage().endswith("rejected 2 of 3 spans: too old")


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"null", b"\xff\xff", b'{"partialSuccess":[1]}', b"[" * 50_000])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_an_odd_answer_is_a_success(
    receiver: OtlpReceiver, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, protocol: str, answer: bytes
) -> None:
    tracer = otlp_tracer(make_tracer, receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    receiver.answers.append((200, answer))
    _work(tracer)
    assert tracer.flush()
    assert tracer.stats()["sent"] == 1
    assert caplog.records == []


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_one_warning_however_long_it_lasts(
    behaviour: str, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    with HostileAgent(behaviour) as agent:
        tracer = otlp_tracer(make_tracer, agent.url, OTEL_EXPORTER_OTLP_TIMEOUT="100")
        for _ in range(5):
            _work(tracer, 10)
            assert tracer.flush(5) is (behaviour == "closes_idle")
        stats = tracer.stats()
        assert [record.levelname for record in caplog.records] == ["WARNING"] * agent.warns
        tracer.shutdown(0.1)
    assert stats["sent"] + stats["dropped"] + stats["pending"] == 50
    assert stats["sent"] == (0 if agent.warns else 50)


_SCRIPT = """
import sys, time
from ddmiddleware import tracer
from ddmiddleware.tracing.export.otlp import OtlpExporter

worker = tracer._worker
worker._open = lambda: worker._exporters.append(OtlpExporter(tracer.settings))
for _ in range(20):
    tracer.trace("a").finish()
print(time.monotonic(), flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_exit(behaviour: str) -> None:
    with HostileAgent(behaviour) as agent:
        process = start(_SCRIPT, "http://127.0.0.1:9", **{_COMMON: agent.url})
        out, said = process.communicate(timeout=WAIT_S)
        took = time.monotonic() - float(out)
    assert process.returncode == 3, said
    assert took < 1.8  # as tests/tracer/test_exit.py has it
    assert len(said.splitlines()) <= 1, said
    assert said.count(" are lost: ") == (0 if behaviour in ("413", "500", "closes_idle") else 1), said


def test_retry_after_is_forgotten_with_the_next_answer() -> None:
    with RecordingAgent() as agent:
        agent.answers += [(503, b"", ("Retry-After", "5")), (503, b"")]
        connection = Connection(agent.url, 2.0)
        found = []
        for _ in range(2):
            connection.request("POST", "/", {}, b"x", None)
            found.append(connection.retry_after_s)
        connection.close()
        assert found == [5.0, 0.0]
