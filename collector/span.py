"""One span, as it is stored and shown."""

from typing import Any, NamedTuple


class Span(NamedTuple):
    """A finished span. A tuple, because msgpack writes and reads tuples fastest.

    Ids are unsigned 64-bit numbers, `parent_id` is 0 for none; times are nanoseconds (the start since the Unix epoch);
    `error` is 0 or 1. A link is a map of `trace_id` (32 hex digits), `span_id` (16), `attributes` (text to text) and,
    when sent, `tracestate` and `flags`; an event is a map of `name`, `time_ns` and `attributes` (text to text).
    """

    service: str
    name: str
    resource: str
    type: str
    span_id: int
    parent_id: int
    start_ns: int
    duration_ns: int
    error: int
    tags: dict[str, str]
    metrics: dict[str, float]
    links: list[dict[str, Any]]
    events: list[dict[str, Any]]
