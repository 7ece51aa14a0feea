"""Delivery by OpenTelemetry's protocol over HTTP, as protobuf or JSON.

https://opentelemetry.io/docs/specs/otlp/ and https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ddmiddleware.tracing.constants import SAMPLING_PRIORITY
from ddmiddleware.tracing.encoding import clean, repair
from ddmiddleware.tracing.export.delivery import Delivery, Payload, one_line
from ddmiddleware.tracing.export.http import Connection
from ddmiddleware.tracing.export.otlp_json import JsonFormat
from ddmiddleware.tracing.export.otlp_mapping import Mapping
from ddmiddleware.tracing.export.otlp_protobuf import ProtobufFormat
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.protobuf import read_fields
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_GZIP_LEVEL, _GZIP_WINDOW = 1, 31  # fast; with gzip's header
_RESOURCE_BYTES = 300
_SINGLE_SPAN_SAMPLED = "_dd.span_sampling.mechanism"


class Format(Protocol):
    """How a span and a request are written."""

    content_type: str

    def forget(self) -> None:
        """Let go of what is known of a payload's texts."""

    def span(self, span: Span) -> bytes:
        """Return one span, so that those of one service can be joined."""

    def request(self, services: dict[str, list[bytes]]) -> bytes:
        """Return an ``ExportTraceServiceRequest`` of the spans of each service."""


class _Services(dict[Any, "list[bytes]"]):
    """The encoded spans of a payload, by service."""

    def __init__(self, default: str) -> None:
        super().__init__()
        self._default = default

    def __missing__(self, service: object) -> list[bytes]:
        if not service:
            return self[self._default]
        cleaned = clean(service)
        if service != cleaned or type(service) is not str:
            return self[cleaned]
        found = self[service] = []
        return found


class OtlpEncoder:
    """Collects chunks into one request; a trace that sampling rejected is left out, as no agent follows to do it."""

    def __init__(self, format: Format, service: str, gzip: bool) -> None:
        self._format = format
        self._service = service
        self._gzip = gzip
        self._clear()

    def _clear(self) -> None:
        self._services = _Services(self._service)
        self._format.forget()
        self._packed = self.chunks = self.spans = 0

    @property
    def size(self) -> int:
        """The payload's size in bytes, before it is compressed; resources are estimated."""
        return self._packed + _RESOURCE_BYTES * len(self._services)

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* now; nothing of it is kept but bytes."""
        if chunk[0]._metrics.get(SAMPLING_PRIORITY, 1) <= 0:
            chunk = [span for span in chunk if _SINGLE_SPAN_SAMPLED in span._metrics]
        for span in chunk:
            try:
                encoded = self._format.span(span)
                spans = self._services[span.service]
            except Exception:  # a field set by hand to what it cannot be, or a tag that another thread sets just now
                repair(span)
                encoded = self._format.span(span)
                spans = self._services[span.service]
            spans.append(encoded)
            self._packed += len(encoded)
            self.spans += 1
        self.chunks += 1

    def take(self) -> bytes:
        """Return the payload and start the next one."""
        payload = self._format.request(self._services)
        self._clear()
        if self._gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            payload = packer.compress(payload) + packer.flush()
        return payload


class OtlpExporter(Delivery):
    """Sends to ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``, or to ``/v1/traces`` below ``OTEL_EXPORTER_OTLP_ENDPOINT``."""

    retried = frozenset((429, 502, 503, 504))  # OTLP, "Retryable Response Codes"; all else MUST NOT be sent again

    def __init__(self, settings: Settings) -> None:
        mapping = Mapping(settings)
        self._json = settings["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/json"
        gzip = settings["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] == "gzip"
        format = JsonFormat(mapping) if self._json else ProtobufFormat(mapping)
        headers = {
            "user-agent": f"ddmiddleware/{__version__}",
            **settings["OTEL_EXPORTER_OTLP_TRACES_HEADERS"].values,
            "content-type": format.content_type,
        }
        if gzip:
            headers["content-encoding"] = "gzip"
        self._partial = False
        url, path = endpoint(settings)
        timeout_s = settings["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] / 1000
        connection = Connection(url, timeout_s, settings["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"])
        encoder = OtlpEncoder(format, mapping.service, gzip)
        super().__init__(connection, path, headers, encoder, settings["DD_TRACE_WRITER_BUFFER_SIZE_BYTES"])

    def accepted(self, payload: Payload, answer: bytes, deadline: float | None) -> int:
        """Return how many spans an ``ExportTracePartialSuccess`` rejects; say so once."""
        try:
            rejected, message = _partial_json(answer) if self._json else _partial_protobuf(answer)
        except (ValueError, TypeError, AttributeError, RecursionError):  # 200 is 200, whatever else it says
            return 0
        rejected = min(max(rejected, 0), payload.spans)
        if (rejected or message) and not self._partial:
            self._partial = True
            said = one_line(message) or "no reason given"
            warn("%s rejected %d of %d spans: %s", self.connection.address, rejected, payload.spans, said)
        return rejected

    def explained(self, answer: bytes) -> str:
        """Return the message of a ``google.rpc.Status``, or else the answer itself."""
        try:
            found = json.loads(answer)["message"] if self._json else dict(read_fields(answer))[2]
        except (ValueError, TypeError, KeyError, RecursionError):
            return super().explained(answer)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def endpoint(settings: Settings) -> tuple[str, str]:
    """Return the address to connect to, and the path of requests: as it is given for traces, or below the common one.

    OTLP exporter specification, "Endpoint URLs for OTLP/HTTP".
    """
    url: str = settings["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
    parts = urlsplit(url or settings["OTEL_EXPORTER_OTLP_ENDPOINT"])
    path = parts.path or "/"
    if not url:
        path = path.rstrip("/") + "/v1/traces"
    if parts.query:
        path += "?" + parts.query
    return f"{parts.scheme}://{parts.netloc}", path


def _partial_protobuf(answer: bytes) -> tuple[int, str]:
    partial = dict(read_fields(answer)).get(1, b"")
    fields = dict(read_fields(partial)) if isinstance(partial, bytes) else {}
    rejected, message = fields.get(1, 0), fields.get(2, b"")
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else ""
    return rejected if isinstance(rejected, int) else 0, text


def _partial_json(answer: bytes) -> tuple[int, str]:
    partial = json.loads(answer or b"{}").get("partialSuccess") or {}
    return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")
