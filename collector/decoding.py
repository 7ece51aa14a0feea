"""A strict decoder of the trace payloads v0.3, v0.4 and v0.5 (Datadog trace agent protocol, msgpack).

It refuses the whole payload at the first thing that is wrong and says where that is. A tracer whose bug a tolerant
agent hides is better told. What tracers do send is accepted: an absent or nil service, resource, type, parent, meta or
metrics, unknown keys, and text that is not valid UTF-8, where a replacement character stands for each bad byte.
"""

from collections.abc import Iterator
from typing import Any

import msgpack

from ddmiddleware.collector import events, links
from ddmiddleware.collector.ids import I64_MAX, I64_MIN, U64_MAX, high_half
from ddmiddleware.collector.span import Span

# A few bytes can announce huge containers inside each other, and msgpack reserves the memory at once.
MAX_ITEMS_IN_SPAN = 65_536

# In wire order.
_V05_FIELDS = (
    "service", "name", "resource", "trace_id", "span_id", "parent_id",
    "start", "duration", "error", "meta", "metrics", "type",
)  # fmt: skip


class PayloadError(ValueError):
    """The body is no trace payload; the message says what is wrong and where, without quoting the values."""


class Trace:
    """The spans of one trace in one payload: at least one. The halves of the trace id are unsigned."""

    __slots__ = ("high", "low", "spans")

    def __init__(self, low: int) -> None:
        self.low = low
        self.high = 0
        self.spans: list[Span] = []


def decode_v04(body: bytes) -> Iterator[Trace]:
    """Yield the traces of a v0.3 or v0.4 body; raise PayloadError. Empty traces are left out."""
    return _Reader(body, text_keys=True).traces(_map_fields)


def decode_v05(body: bytes) -> Iterator[Trace]:
    """Yield the traces of a v0.5 body; raise PayloadError. Empty traces are left out."""
    reader = _Reader(body, text_keys=False)
    if reader.array("payload") != 2:
        raise PayloadError("payload: must be an array of 2, the string table and the traces")
    table = [reader.value(f"string table, entry {index}") for index in range(reader.array("string table"))]
    for index, entry in enumerate(table):
        if type(entry) is not str:
            raise PayloadError(f"string table, entry {index}: must be text")
    return reader.traces(lambda item: _array_fields(item, table))


class _Reader:
    """msgpack read item by item, so that an error has a place and one span at a time is held twice."""

    def __init__(self, body: bytes, *, text_keys: bool) -> None:
        self._size = len(body)
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="replace",
            strict_map_key=text_keys,
            max_buffer_size=max(len(body), 1),
            max_array_len=MAX_ITEMS_IN_SPAN,
            max_map_len=MAX_ITEMS_IN_SPAN,
        )
        self._unpacker.feed(body)

    def array(self, place: str) -> int:
        try:
            length: int = self._unpacker.read_array_header()
        except msgpack.OutOfData:
            raise PayloadError(f"{place}: the body ends here, an array is missing") from None
        except ValueError:
            raise PayloadError(f"{place}: must be an array") from None
        return length

    def value(self, place: str) -> Any:
        try:
            return self._unpacker.unpack()
        except msgpack.OutOfData:
            raise PayloadError(f"{place}: the body ends too early") from None
        # TypeError: a map has an array or a map as a key.
        except (ValueError, TypeError) as error:
            raise PayloadError(f"{place}: not readable as msgpack ({str(error) or type(error).__name__})") from None

    def traces(self, fields_of: Any) -> Iterator[Trace]:
        for trace_index in range(self.array("payload")):
            trace = None
            for span_index in range(self.array(f"trace {trace_index}")):
                place = f"trace {trace_index}, span {span_index}"
                item = self.value(place)
                try:
                    trace_id, span = _span(fields_of(item))
                except ValueError as error:
                    raise PayloadError(f"{place}: {error}") from None
                if trace is None:
                    trace = Trace(trace_id)
                elif trace_id != trace.low:
                    raise PayloadError(f"{place}: 'trace_id' differs from the one of the trace's first span")
                if not trace.high:
                    trace.high = high_half(span.tags.get("_dd.p.tid", ""))
                trace.spans.append(span)
            if trace is not None:
                yield trace
        if self._unpacker.tell() != self._size:
            raise PayloadError("payload: something follows its end")


def _map_fields(item: Any) -> dict[str, Any]:
    if type(item) is not dict:
        raise ValueError("must be a map")
    return item


def _array_fields(item: Any, table: list[Any]) -> dict[str, Any]:
    if type(item) is not list:
        raise ValueError("must be an array")
    if len(item) != len(_V05_FIELDS):
        raise ValueError(f"must have 12 fields, not {len(item)}")
    fields = dict(zip(_V05_FIELDS, item, strict=True))
    meta, metrics = fields["meta"], fields["metrics"]
    if type(meta) is not dict or type(metrics) is not dict:
        raise ValueError("'meta' and 'metrics' must be maps")
    for key in ("service", "name", "resource", "type"):
        fields[key] = _entry(table, fields[key], key)
    fields["meta"] = {_entry(table, key, "meta"): _entry(table, value, "meta") for key, value in meta.items()}
    fields["metrics"] = {_entry(table, key, "metrics"): value for key, value in metrics.items()}
    return fields


def _entry(table: list[Any], index: Any, field: str) -> Any:
    if type(index) is not int or not 0 <= index < len(table):
        raise ValueError(f"{field!r} must be an index into the string table, which has {len(table)} entries")
    return table[index]


def _span(fields: dict[str, Any]) -> tuple[int, Span]:
    get = fields.get
    trace_id = _id("trace_id", get("trace_id"))
    start_ns = _integer("start", get("start"))
    if start_ns < 0:
        raise ValueError("'start' must be nanoseconds since 1970, not negative")
    span = Span(
        service=_text("service", get("service") or ""),
        name=_text("name", get("name")),
        resource=_text("resource", get("resource") or ""),
        type=_text("type", get("type") or ""),
        span_id=_id("span_id", get("span_id")),
        parent_id=_id("parent_id", parent) if (parent := get("parent_id")) else 0,
        start_ns=start_ns,
        # Negative ones do exist: tracers that measure by the wall clock send them when it is set back.
        duration_ns=_integer("duration", get("duration")),
        error=int(_integer("error", get("error") or 0) != 0),
        tags=_tags(get("meta") or {}),
        metrics=_metrics(get("metrics") or {}),
        links=links.links_of_list(listed) if (listed := get("span_links")) else [],
        events=events.events_of_list(listed) if (listed := get("span_events")) else [],
    )
    if links.TAG in span.tags or events.TAG in span.tags:
        span = _with_tagged_extras(span)
    return trace_id, span


def _id(key: str, value: Any) -> int:
    if type(value) is not int or not 0 < value <= U64_MAX:
        raise ValueError(f"{key!r} must be an unsigned 64-bit integer other than 0")
    return value


def _integer(key: str, value: Any) -> int:
    if type(value) is not int or not I64_MIN <= value <= I64_MAX:
        raise ValueError(f"{key!r} must be an integer of 64 bits")
    return value


def _text(key: str, value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{key!r} must be text")
    return value


def _tags(meta: Any) -> dict[str, str]:
    if type(meta) is not dict:
        raise ValueError("'meta' must be a map")
    for key, value in meta.items():
        if type(key) is not str or type(value) is not str:
            raise ValueError("'meta' must map text to text")
    return meta


def _metrics(metrics: Any) -> dict[str, float]:
    if type(metrics) is not dict:
        raise ValueError("'metrics' must be a map")
    for key, value in metrics.items():
        if type(key) is not str or (type(value) is not float and type(value) is not int):
            raise ValueError("'metrics' must map text to numbers")
    return metrics


def _with_tagged_extras(span: Span) -> Span:
    """Move the links and events that are written as tags to where they belong."""
    tags = span.tags
    if links.TAG in tags and (found := links.links_of_tag(tags[links.TAG])) is not None:
        del tags[links.TAG]
        span = span._replace(links=span.links + found)
    if events.TAG in tags and (found := events.events_of_tag(tags[events.TAG])) is not None:
        del tags[events.TAG]
        span = span._replace(events=span.events + found)
    return span
