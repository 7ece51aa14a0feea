"""Spans as OTLP protobuf: the bytes of each are joined, what repeats within a payload is encoded once.

https://github.com/open-telemetry/opentelemetry-proto, ``trace.proto`` and ``common.proto``: the numbers of the fields.
"""

from __future__ import annotations

import struct
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
from ddmiddleware.tracing.protobuf import (
    field_bytes,
    field_double,
    field_fixed32,
    field_fixed64,
    field_number,
    field_text,
    varint,
)

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_ids = struct.Struct(">16sHQ").pack  # the trace's id, then the next field's first bytes and the span's id
_parent = struct.Struct(">HQ").pack
_times = struct.Struct("<BQBQ").pack
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", 0x1208, 0x2208  # fields 1, 2 and 4 with their lengths
_START, _END = 0x39, 0x41  # fields 7 and 8, both fixed64
_FLAGS = {number: field_fixed32(16, number) for number in (0x100, 0x101, 0x300, 0x301)}


def _value(value: object) -> bytes:
    """Return an ``AnyValue``."""
    if isinstance(value, str):
        return field_text(1, clean(value))
    if isinstance(value, bool):
        return field_number(2, value)
    if isinstance(value, int):
        return field_number(3, value)
    if isinstance(value, float):
        return field_double(4, value)
    if isinstance(value, list):
        return field_bytes(5, b"".join(field_bytes(1, _value(item)) for item in value))
    return field_text(1, clean(value))


def attribute(field: int, key: str, value: object) -> bytes:
    """Return one ``KeyValue`` as the field *field*."""
    return field_bytes(field, field_text(1, clean(key)) + field_bytes(2, _value(value)))


def _span_attribute(key: str, value: object) -> bytes:
    return attribute(9, key, value)


class _Heads(dict[tuple[Any, ...], bytes]):
    """How a span begins, by name, resource, type and kind."""

    def __missing__(self, texts: tuple[Any, ...]) -> bytes:
        name, resource, span_type, span_kind = texts
        packed = field_text(5, clean(resource) if resource else clean(name)) + field_number(6, kind(span_kind))
        packed += _span_attribute(OPERATION, clean(name))
        if span_type:
            packed += _span_attribute(TYPE, clean(span_type))
        if all(type(item) is str or item is None for item in texts):  # as with tags
            self[texts] = packed
        return packed


class ProtobufFormat:
    """What the encoder of OTLP asks of a format."""

    content_type = "application/x-protobuf"

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self.forget()

    def forget(self) -> None:
        """Let go of what is known of a payload's texts."""
        self._tag = Tags(self._mapping, _span_attribute).__getitem__
        self._number = Numbers(self._mapping, _span_attribute).__getitem__
        self._head = _Heads()

    def span(self, span: Span) -> bytes:
        """Return a ``Span``."""
        meta = tags(span) if span._events else span._meta
        start_ns, duration_ns = span.start_ns, span.duration_ns
        if not duration_ns >= 0:  # type: ignore[operator]  # it is finished; what packs the sum refuses all else
            raise ValueError("no such time")
        parts = [
            _TRACE_ID,
            _ids(span.trace_id.to_bytes(16, "big"), _SPAN_ID, span.span_id),
            _parent(_PARENT_ID, span.parent_id) if span.parent_id else b"",
            self._head[span.name, span.resource, span.span_type, meta.get(SPAN_KIND)],
            _times(_START, start_ns, _END, start_ns + duration_ns),  # type: ignore[operator]
            _FLAGS[flags(span)],
        ]
        parts.extend(map(self._tag, meta.items()))
        if span._metrics:
            number = self._number
            parts += [number((key, value.__class__, value)) for key, value in span._metrics.items()]
        if span.error:
            parts.append(_status(meta))
        if span._events or span._links or ERROR_STACK in meta or span._trace.tracestate:
            parts.append(_rest(span))
        body = b"".join(parts)
        return b"\x12" + varint(len(body)) + body

    def request(self, services: dict[str, list[bytes]]) -> bytes:
        """Return an ``ExportTraceServiceRequest`` of the spans of each service."""
        scope = field_bytes(1, field_text(1, SCOPE[0]) + field_text(2, SCOPE[1]))
        parts: list[bytes] = []
        for service, spans in services.items():
            attributes = self._mapping.resource(service).items()
            resource = field_bytes(1, b"".join(attribute(1, key, value) for key, value in attributes))
            size = len(scope) + sum(map(len, spans))
            head = resource + b"\x12" + varint(size) + scope
            # Joined once: the spans are most of it, and are not to be copied at each level.
            parts += (b"\x0a", varint(len(head) - len(scope) + size), head, *spans)
        return b"".join(parts)


def _status(meta: dict[str, str]) -> bytes:
    message = meta.get(ERROR_MSG)
    said = field_text(2, clean(message)) if message else b""
    return field_bytes(15, said + field_number(3, STATUS_ERROR))


def _rest(span: Span) -> bytes:
    """Return what few spans have: state, events and links."""
    parts = []
    if span._trace.tracestate:
        parts.append(field_text(3, clean(span._trace.tracestate)))
    for name, time_ns, attributes in events(span):
        event = field_fixed64(1, time_ns) + field_text(2, clean(name))
        parts.append(field_bytes(11, event + b"".join(attribute(3, *item) for item in attributes.items())))
    parts += [field_bytes(13, _link(link)) for link in links(span)]
    return b"".join(parts)


def _link(link: dict[str, Any]) -> bytes:
    packed = field_bytes(1, bytes.fromhex(link["trace_id"])) + field_bytes(2, bytes.fromhex(link["span_id"]))
    if "tracestate" in link:
        packed += field_text(3, clean(link["tracestate"]))
    packed += b"".join(attribute(4, *item) for item in link.get("attributes", {}).items())
    if "flags" in link:
        packed += field_fixed32(6, link["flags"] & 0xFF)
    return packed
