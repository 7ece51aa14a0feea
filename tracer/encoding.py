"""Chunks to the msgpack of the Datadog agent's trace protocol v0.5.

It is ``[strings, [[span, ...], ...]]``, a span being twelve fields whose texts are indices into *strings*, and
``strings[0]`` is empty. Ids are unsigned 64-bit numbers; the high half of the trace id is the tag ``_dd.p.tid``.

The bytes of a span are joined, not packed from objects: that takes half the time.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import msgpack

from ddmiddleware.tracing.accelerator import accelerator
from ddmiddleware.tracing.errors import has_failed
from ddmiddleware.tracing.text import text

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_LOW_64 = (1 << 64) - 1
_INT64_MAX = (1 << 63) - 1
_TEXT_MAX = 25_000
_TEXT_CUT = 2_500

# https://github.com/msgpack/msgpack/blob/master/spec.md
_SPAN = b"\x9c"  # an array of twelve
_UINT64, _INT64 = 0xCF, 0xD3
_number = struct.Struct(">BQ").pack
_numbers = struct.Struct(">BQBQBqBq").pack  # span and parent id, start, duration
_pack = msgpack.Packer().pack


def _header(kind: str, count: int) -> bytes:
    packer = msgpack.Packer(autoreset=False)
    (packer.pack_map_header if kind == "map" else packer.pack_array_header)(count)
    return bytes(packer.bytes())


_NO_MAP = b"\x80"
_MAPS = [_header("map", count) for count in range(64)]
_ARRAYS = [_header("array", count) for count in range(64)]


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


def _within(value: Any, low: int, high: int) -> int:
    """Return an integer field within its range; what a user made of it otherwise becomes 0."""
    try:
        return min(max(int(value), low), high)
    except (TypeError, ValueError, OverflowError):
        return 0


def repair(span: Span) -> None:
    """Give *span* dictionaries of its own, and texts and numbers where somebody put something else."""
    span.name, span.resource = clean(span.name), clean(span.resource)
    span.service = None if span.service is None else clean(span.service)
    span.span_type = None if span.span_type is None else clean(span.span_type)
    span.error = int(has_failed(span.error))
    span.trace_id = _within(span.trace_id, 0, (1 << 128) - 1)
    span.span_id = _within(span.span_id, 0, _LOW_64)
    span.parent_id = _within(span.parent_id, 0, _LOW_64)
    span.start_ns = _within(span.start_ns, 0, _INT64_MAX)
    span.duration_ns = _within(span.duration_ns, 0, _INT64_MAX)
    span._meta = {clean(key): clean(value) for key, value in dict(span._meta).items()}
    span._metrics = {
        clean(key): value
        for key, value in dict(span._metrics).items()
        if type(value) is float or (type(value) is int and abs(value) <= _INT64_MAX)
    }


def _add_links_and_events(span: Span) -> None:
    """Give *span* the tags that hold its links and events as JSON."""
    if span._links:
        span._meta["_dd.span_links"] = _json_that_fits(span._links)
    if span._events:
        events = [
            {"name": name, "time_unix_nano": time_ns, **({"attributes": attributes} if attributes else {})}
            for name, time_ns, attributes in span._events
        ]
        span._meta["events"] = _json_that_fits(events)


def _json_that_fits(items: list[dict[str, object]]) -> str:
    """Return *items* as JSON; the last ones are left out where it would be cut, and so be no JSON any more."""
    written = json.dumps(items)
    while len(written) > _TEXT_MAX:
        items = items[: len(items) // 2]
        written = json.dumps(items)
    return written


class _Strings(dict[Any, bytes]):
    """The packed index of every string of a payload; asking for a new one adds it."""

    def __init__(self) -> None:
        super().__init__({"": b"\0", None: b"\0"})
        self.ordered = [""]
        self.size = 0

    def __missing__(self, value: object) -> bytes:
        cleaned = clean(value)
        found = self.get(cleaned)
        if found is None:
            found = self[cleaned] = _pack(len(self.ordered))
            self.ordered.append(cleaned)
            self.size += len(cleaned) + 3
        if cleaned is not value and type(value) is str:
            self[value] = found
        return found


class _Tags(dict[tuple[Any, Any], bytes]):
    """The packed indices of every tag of a payload, key and value in one."""

    def __init__(self, strings: _Strings) -> None:
        super().__init__()
        self._strings = strings

    def __missing__(self, tag: tuple[Any, Any]) -> bytes:
        key, value = tag
        packed = self._strings[key] + self._strings[value]
        if type(key) is str and type(value) is str:  # what only equals a text may be another one
            self[tag] = packed
        return packed


class _Heads(dict[tuple[Any, ...], tuple[bytes, bytes]]):
    """How a span begins, by service, name, resource and type: its first four bytes or more, and its packed type."""

    def __init__(self, strings: _Strings) -> None:
        super().__init__()
        self._strings = strings

    def __missing__(self, texts: tuple[Any, ...]) -> tuple[bytes, bytes]:
        service, name, resource, span_type = (self._strings[item] for item in texts)
        head = _SPAN + service + name + resource, span_type
        if all(type(item) is str or item is None for item in texts):  # as with tags
            self[texts] = head
        return head


class EncoderV05:
    """Collects chunks into one v0.5 payload, with one table for the strings of all of them."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._encoded: list[bytes] = []
        self._strings = _Strings()
        self._tag = _Tags(self._strings).__getitem__
        self._head = _Heads(self._strings)
        self._packed = 0
        self.chunks = 0
        self.spans = 0

    @property
    def size(self) -> int:
        """The payload's size in bytes, but for strings outside ASCII, which are counted by character."""
        return self._packed + self._strings.size

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* now; nothing of it is kept but bytes."""
        encoded: bytes | None = None
        if accelerator is not None:
            encoded = accelerator.encode(chunk, self._strings, self._strings.ordered, _add_links_and_events)
        if encoded is None:
            try:
                encoded = self._encode(chunk)
            except Exception:  # a field set by hand to what it cannot be, or a tag that another thread sets just now
                for span in chunk:
                    repair(span)
                encoded = self._encode(chunk)
        self._encoded.append(encoded)
        self._packed += len(encoded)
        self.chunks += 1
        self.spans += len(chunk)

    def _encode(self, chunk: list[Span]) -> bytes:
        index, head, tag = self._strings, self._head, self._tag
        spans = len(chunk)
        parts = [_ARRAYS[spans] if spans < len(_ARRAYS) else _header("array", spans)]
        trace_id, packed_trace_id = -1, b""
        for span in chunk:
            if span.trace_id is not trace_id:
                trace_id = span.trace_id
                packed_trace_id = _number(_UINT64, trace_id & _LOW_64)
            if span._links or span._events:
                _add_links_and_events(span)
            meta, metrics = span._meta, span._metrics
            tags, numbers = len(meta), len(metrics)
            texts, span_type = head[span.service, span.name, span.resource, span.span_type]
            parts += (
                texts,
                packed_trace_id,
                _numbers(
                    _UINT64, span.span_id, _UINT64, span.parent_id or 0, _INT64, span.start_ns, _INT64, span.duration_ns
                ),
                b"\1" if span.error else b"\0",
                _MAPS[tags] if tags < len(_MAPS) else _header("map", tags),
            )
            parts.extend(map(tag, meta.items()))
            if numbers:
                parts.append(_MAPS[numbers] if numbers < len(_MAPS) else _header("map", numbers))
                for key, number in metrics.items():
                    parts.append(index[key])
                    parts.append(_pack(number))
            else:
                parts.append(_NO_MAP)
            if tags != len(meta) or numbers != len(metrics):
                raise RuntimeError("a tag was set on a finished span while it was encoded")
            parts.append(span_type)
        return b"".join(parts)

    def take(self) -> bytes:
        """Return the payload and start the next one."""
        # An array of two: the strings, the chunks.
        payload = b"".join((b"\x92", _pack(self._strings.ordered), _header("array", self.chunks), *self._encoded))
        self._clear()
        return payload
