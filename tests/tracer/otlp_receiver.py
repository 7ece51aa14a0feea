"""A collector of OTLP that reads strictly, with Google's protobuf, and tracers that send to it."""

from __future__ import annotations

import gzip
import os
import socket
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ddmiddleware.tracing import Tracer, __version__
from ddmiddleware.tracing.export.otlp import OtlpExporter
from ddmiddleware.tracing.process import process
from tests.recording_agent import RecordingAgent, Request, Spans
from tests.tracer.conftest import MakeTracer

TYPES = {"http/protobuf": "application/x-protobuf", "http/json": "application/json"}


class OtlpReceiver(RecordingAgent):
    """Keeps what was sent as messages; ``spans`` are those of all of them as dictionaries."""

    answer = b""

    def _read(self, request: Request) -> list[Spans]:
        message = decode(request)
        assert request.headers["user-agent"].startswith("ddmiddleware/"), request.headers
        return [[span for resource in message.resource_spans for span in spans_of(resource)]]


def decode(request: Request) -> Any:
    """Return the message of a request."""
    body = request.body
    if "content-encoding" in request.headers:
        assert request.headers["content-encoding"] == "gzip"
        body = gzip.decompress(body)
    return read(request.headers["content-type"], body)


def read(content_type: str, body: bytes) -> Any:
    """Return the message of a body; unknown fields are an error."""
    assert content_type in TYPES.values(), content_type
    message = ExportTraceServiceRequest()
    if content_type == "application/json":
        return json_format.Parse(_bytes_of_ids(body), message)
    message.ParseFromString(body)
    assert ExportTraceServiceRequest.FromString(message.SerializeToString()) == message
    # What Google's JSON cannot say, our bytes must not hold either.
    return json_format.ParseDict(json_format.MessageToDict(message), ExportTraceServiceRequest())


def _bytes_of_ids(body: bytes) -> str:
    """OTLP has ids in hexadecimal where protobuf's JSON has base64."""
    import base64
    import json

    def changed(found: dict[str, Any]) -> dict[str, Any]:
        for key in found.keys() & {"traceId", "spanId", "parentSpanId"}:
            assert found[key] == found[key].lower()
            found[key] = base64.b64encode(bytes.fromhex(found[key])).decode()
        return found

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.dumps(json.loads(body, object_hook=changed, parse_constant=refuse))


def value(any_value: AnyValue) -> Any:
    """Return what an ``AnyValue`` holds."""
    field = any_value.WhichOneof("value")
    assert field, "an attribute has no value"
    found = getattr(any_value, field)
    return [value(item) for item in found.values] if field == "array_value" else found


def attributes(pairs: Any) -> dict[str, Any]:
    """Return attributes as a dictionary; none may be there twice."""
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), f"repeated: {[pair.key for pair in pairs]}"
    return found


def spans_of(resource: Any) -> Spans:
    """Return the spans of one ``ResourceSpans``, whole."""
    (scoped,) = resource.scope_spans
    assert (scoped.scope.name, scoped.scope.version) == ("ddmiddleware", __version__)
    service = attributes(resource.resource.attributes)["service.name"]
    return [{"service": service, **_span(span)} for span in scoped.spans]


def _span(span: Any) -> dict[str, Any]:
    assert (len(span.trace_id), len(span.span_id), len(span.parent_span_id)) in ((16, 8, 0), (16, 8, 8))
    assert 1_600_000_000_000_000_000 < span.start_time_unix_nano <= span.end_time_unix_nano
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "duration": span.end_time_unix_nano - span.start_time_unix_nano,
        "attributes": attributes(span.attributes),
        "events": [
            {"name": event.name, "time": event.time_unix_nano, "attributes": attributes(event.attributes)}
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "trace_state": link.trace_state,
                "flags": link.flags,
                "attributes": attributes(link.attributes),
            }
            for link in span.links
        ],
        "status": (span.status.code, span.status.message),
    }


def expected_resource(**changes: str) -> dict[str, Any]:
    """Return the attributes of a resource of this process."""
    return {
        "service.name": "shop",
        "service.instance.id": process.runtime_id,
        "process.pid": os.getpid(),
        "host.name": socket.gethostname(),
        "telemetry.sdk.name": "ddmiddleware",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
        **changes,
    }


def otlp_tracer(make_tracer: MakeTracer, url: str, **environ: str) -> Tracer:
    """Return a tracer that sends by OTLP alone."""
    tracer = make_tracer("http://127.0.0.1:9", **{"OTEL_EXPORTER_OTLP_ENDPOINT": url, **environ})
    worker = tracer._worker
    worker._open = lambda: worker._exporters.append(OtlpExporter(tracer.settings))  # type: ignore[method-assign]
    return tracer
