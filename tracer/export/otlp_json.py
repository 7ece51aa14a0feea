"""Spans as OTLP JSON: ids in hexadecimal, 64-bit numbers as text.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing.constants import ERROR_MSG, ERROR_STACK, SPAN_KIND
from ddmiddleware.tracing.encoding import clean
from ddmiddleware.tracing.export.otlp_mapping import (
    OPERATION,
    SCOPE,
    STATUS_ERROR,
    TYPE,
    Mapping,
    Numbers,
    Tags,
    events,
    flags,
    kind,
    links,
    tags,
)

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_json = json.JSONEncoder(separators=(",", ":")).encode


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": clean(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        if math.isfinite(value):
            return {"doubleValue": value}
        return {"doubleValue": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": clean(value)}


def _attributes(items: Any) -> list[dict[str, Any]]:
    return [{"key": clean(key), "value": _value(value)} for key, value in items]


def _attribute(key: str, value: object) -> bytes:
    return _bytes({"key": key, "value": _value(value)})


def _bytes(value: object) -> bytes:
    return _json(value).encode()


class _Heads(dict[tuple[Any, ...], tuple[bytes, bytes]]):
    """How a span begins, by name, resource, type and kind: what comes before its ids, and its first attributes."""

    def __missing__(self, texts: tuple[Any, ...]) -> tuple[bytes, bytes]:
        name, resource, span_type, span_kind = texts
        shown = clean(resource) if resource else clean(name)
        attributes = [_attribute(OPERATION, clean(name))]
        if span_type:
            attributes.append(_attribute(TYPE, clean(span_type)))
        head = b'{"name":%b,"kind":%d,' % (_bytes(shown), kind(span_kind)), b",".join(attributes)
        if all(type(item) is str or item is None for item in texts):  # as with tags
            self[texts] = head
        return head


class JsonFormat:
    """What the encoder of OTLP asks of a format."""

    content_type = "application/json"

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self.forget()

    def forget(self) -> None:
        """Let go of what is known of a payload's texts."""
        self._tag = Tags(self._mapping, _attribute).__getitem__
        self._number = Numbers(self._mapping, _attribute).__getitem__
        self._head = _Heads()

    def span(self, span: Span) -> bytes:
        """Return a ``Span``, and a comma."""
        meta = tags(span) if span._events else span._meta
        start_ns, duration_ns = span.start_ns, span.duration_ns
        if not (type(start_ns) is type(duration_ns) is int and 0 <= start_ns <= start_ns + duration_ns < 1 << 64):
            raise ValueError("no such time")
        head, first = self._head[span.name, span.resource, span.span_type, meta.get(SPAN_KIND)]
        attributes = [first, *filter(None, map(self._tag, meta.items()))]
        if span._metrics:
            number = self._number
            numbers = [number((key, value.__class__, value)) for key, value in span._metrics.items()]
            attributes += filter(None, numbers)
        parent = b'"parentSpanId":"%b",' % span.parent_id.to_bytes(8, "big").hex().encode() if span.parent_id else b""
        return (
            b'%b"traceId":"%b","spanId":"%b",%b"startTimeUnixNano":"%d","endTimeUnixNano":"%d","flags":%d,%b'
            b'"attributes":[%b]},'
        ) % (
            head,
            span.trace_id.to_bytes(16, "big").hex().encode(),
            span.span_id.to_bytes(8, "big").hex().encode(),
            parent,
            start_ns,
            start_ns + duration_ns,
            flags(span),
            _rest(span, meta),
            b",".join(attributes),
        )

    def request(self, services: dict[str, list[bytes]]) -> bytes:
        """Return an ``ExportTraceServiceRequest`` of the spans of each service."""
        scope = _bytes({"name": SCOPE[0], "version": SCOPE[1]})
        parts = []
        for service, spans in services.items():
            resource = _bytes({"attributes": _attributes(self._mapping.resource(service).items())})
            written = b"".join(spans)[:-1]
            parts.append(b'{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[%b]}]}' % (resource, scope, written))
        return b'{"resourceSpans":[' + b",".join(parts) + b"]}"


def _rest(span: Span, meta: dict[str, str]) -> bytes:
    """Return what few spans have: status, state, events and links; and a comma."""
    if not (span.error or span._events or span._links or ERROR_STACK in meta or span._trace.tracestate):
        return b""
    found: dict[str, Any] = {}
    if span._trace.tracestate:
        found["traceState"] = clean(span._trace.tracestate)
    if span.error:
        message = meta.get(ERROR_MSG)
        found["status"] = {"code": STATUS_ERROR, **({"message": clean(message)} if message else {})}
    if noted := events(span):
        found["events"] = [
            {"timeUnixNano": str(time_ns), "name": clean(name), "attributes": _attributes(attributes.items())}
            for name, time_ns, attributes in noted
        ]
    if linked := links(span):
        found["links"] = [_link(link) for link in linked]
    return _bytes(found)[1:-1] + b"," if found else b""


def _link(link: dict[str, Any]) -> dict[str, Any]:
    found = {"traceId": link["trace_id"], "spanId": link["span_id"]}
    if "tracestate" in link:
        found["traceState"] = clean(link["tracestate"])
    if "attributes" in link:
        found["attributes"] = _attributes(link["attributes"].items())
    if "flags" in link:
        found["flags"] = link["flags"] & 0xFF
    return found
