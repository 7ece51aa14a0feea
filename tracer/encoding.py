"""Chunks to the msgpack of the Datadog agent's trace protocol, v0.5 and v0.4.

v0.5: ``[strings, [[span, ...], ...]]``, a span being twelve fields whose texts are indices into *strings*, and
``strings[0]`` is empty. v0.4: ``[[{...}, ...], ...]``. Ids are unsigned 64-bit numbers in both; the high half of the
trace id is the tag ``_dd.p.tid``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgpack

from ddmiddleware.tracing.span import text

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_LOW_64 = (1 << 64) - 1
_INT64_MAX = (1 << 63) - 1
_TEXT_MAX = 25_000
_TEXT_CUT = 2_500


def clean(value: object) -> str:
    """Return *value* as text that fits and that is UTF-8: over 25,000 characters, the first 2,500 and a mark stay."""
    value = text(value)
    if len(value) > _TEXT_MAX:
        value = value[:_TEXT_CUT] + "<truncated>..."
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-8", "replace").decode()
    return value


def _number(value: Any, low: int, high: int) -> int:
    """Return an integer field within its range; what a user made of it otherwise becomes 0."""
    try:
        return min(max(int(value), low), high)
    except (TypeError, ValueError, OverflowError):
        return 0


def _clean(span: Span) -> None:
    """Give *span* dictionaries of its own, and texts where somebody put something else."""
    span.name, span.resource = clean(span.name), clean(span.resource)
    span.service = None if span.service is None else clean(span.service)
    span.span_type = None if span.span_type is None else clean(span.span_type)
    span._meta = {clean(key): clean(value) for key, value in dict(span._meta).items()}
    span._metrics = {clean(key): value for key, value in dict(span._metrics).items()}


class _Strings(dict[Any, int]):
    """The index of every string of a payload; asking for a new one adds it."""

    def __init__(self) -> None:
        super().__init__({"": 0, None: 0})
        self.ordered = [""]
        self.size = 0

    def __missing__(self, value: object) -> int:
        cleaned = clean(value)
        if not cleaned:
            return 0
        found = self.get(cleaned)
        if found is None:
            found = self[cleaned] = len(self.ordered)
            self.ordered.append(cleaned)
            self.size += len(cleaned) + 3
        if cleaned is not value and type(value) is str:
            self[value] = found
        return found


class EncoderV05:
    """Collects chunks into one v0.5 payload, with one table for the strings of all of them."""

    def __init__(self) -> None:
        self._pack = msgpack.Packer(use_bin_type=True).pack
        self._clear()

    def _clear(self) -> None:
        self._chunks: list[bytes] = []
        self.chunks = 0
        self._strings = _Strings()
        self._packed = 0
        self.spans = 0

    @property
    def size(self) -> int:
        """The payload's size in bytes, but for strings outside ASCII, which are counted by character."""
        return self._packed + self._strings.size

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* now; nothing of it is kept but bytes."""
        try:
            fields = [self._fields(span) for span in chunk]
        except Exception:  # a field set by hand that cannot be hashed, or a tag that another thread sets just now
            for span in chunk:
                _clean(span)
            fields = [self._fields(span) for span in chunk]
        try:
            packed = self._pack(fields)
        except (TypeError, ValueError, OverflowError):
            packed = self._pack([self._repaired(span) for span in fields])
        self._chunks.append(packed)
        self.chunks += 1
        self._packed += len(packed)
        self.spans += len(chunk)

    def _fields(self, span: Span) -> tuple[Any, ...]:
        index = self._strings
        if span._links:
            span._meta["_dd.span_links"] = json.dumps(span._links)
        meta = {}
        for key, value in span._meta.items():
            meta[index[key]] = index[value]
        metrics = {}
        for key, number in span._metrics.items():
            metrics[index[key]] = number
        return (
            index[span.service],
            index[span.name],
            index[span.resource],
            span.trace_id & _LOW_64,
            span.span_id,
            (span.parent_id or 0) & _LOW_64,
            span.start_ns,
            span.duration_ns,
            1 if span.error else 0,
            meta,
            metrics,
            index[span.span_type],
        )

    @staticmethod
    def _repaired(span: tuple[Any, ...]) -> tuple[Any, ...]:
        """Make a span encodable whose fields were set by hand to what the protocol has no place for."""
        service, name, resource, trace_id, span_id, parent_id, start, duration, error, meta, metrics, span_type = span
        return (
            service,
            name,
            resource,
            _number(trace_id, 0, _LOW_64),
            _number(span_id, 0, _LOW_64),
            _number(parent_id, 0, _LOW_64),
            _number(start, 0, _INT64_MAX),
            _number(duration, 0, _INT64_MAX),
            1 if error else 0,
            meta,
            {key: value for key, value in metrics.items() if isinstance(value, (int, float)) and abs(value) < 1 << 63},
            span_type,
        )

    def take(self) -> bytes:
        """Return the payload and start the next one."""
        header = msgpack.Packer()
        parts = [
            b"\x92",  # an array of two: the strings, the chunks
            self._pack(self._strings.ordered),
            header.pack_array_header(len(self._chunks)),
            *self._chunks,
        ]
        self._clear()
        return b"".join(parts)


def v04_from_v05(payload: bytes) -> bytes:
    """Return a v0.5 payload as v0.4, for an agent that turned out not to know v0.5."""
    strings, chunks = msgpack.unpackb(payload, strict_map_key=False)
    return bytes(msgpack.packb([[_v04(span, strings) for span in chunk] for chunk in chunks]))


def _v04(span: list[Any], strings: list[str]) -> dict[str, Any]:
    service, name, resource, trace_id, span_id, parent_id, start, duration, error, meta, metrics, span_type = span
    return {
        "service": strings[service],
        "name": strings[name],
        "resource": strings[resource],
        "type": strings[span_type],
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_id": parent_id,
        "start": start,
        "duration": duration,
        "error": error,
        "meta": {strings[key]: strings[value] for key, value in meta.items()},
        "metrics": {strings[key]: value for key, value in metrics.items()},
    }
