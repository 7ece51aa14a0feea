"""A chunk (the finished spans of one trace in one process) as the store keeps it: a summary and a packed body.

The summary holds a request for each local root; all that pages list and compute is read from requests.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import msgpack

from ddmiddleware.collector.decoding import Trace
from ddmiddleware.collector.span import Span

# The Datadog agent cuts a resource at 5,000 bytes; an endpoint's name stands in tables, addresses and an index.
MAX_RESOURCE = 1_000
MAX_SEARCHED = 2_000
# Starting zlib costs more time than a small body is worth.
MIN_COMPRESSED = 1_024

# The first byte of a zlib stream (RFC 1950 with a window of 32 KiB), which no msgpack array begins with.
_ZLIB = 0x78

_I64 = 2**63


@dataclass(slots=True)
class Request:
    """A local root: a process's first span of a trace. Ids are unsigned, times nanoseconds."""

    service: str
    resource: str
    name: str
    type: str
    span_id: int
    parent_id: int
    start_ns: int
    duration_ns: int
    error: int
    status: str
    searched: str


@dataclass(slots=True)
class Chunk:
    """One row of the store, with its requests. The halves of the trace id are unsigned, times nanoseconds."""

    trace_high: int
    trace_low: int
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    services: tuple[str, ...]
    requests: list[Request]
    body: bytes

    @property
    def size(self) -> int:
        """Roughly the bytes of memory that this takes."""
        return len(self.body) + 1_000 + sum(1_000 + len(request.searched) for request in self.requests)


def pack(trace: Trace) -> Chunk:
    """Summarise and pack the spans of a decoded trace."""
    spans = trace.spans
    body: bytes = msgpack.packb(spans)
    shared = _searched_in(spans)
    return Chunk(
        trace_high=trace.high,
        trace_low=trace.low,
        start_ns=min([span.start_ns for span in spans]),
        end_ns=min(max([span.start_ns + span.duration_ns for span in spans]), _I64 - 1),
        spans=len(spans),
        errors=sum([span.error for span in spans]),
        services=tuple(sorted({span.service for span in spans})),
        requests=[_request(root, shared) for root in local_roots(spans)],
        body=body if len(body) < MIN_COMPRESSED else zlib.compress(body, 1),
    )


def unpack(body: bytes) -> list[Span]:
    """Return the spans of a packed body."""
    fields: list[Any] = msgpack.unpackb(zlib.decompress(body) if body[0] == _ZLIB else body)
    return [Span(*field) for field in fields]


def local_roots(spans: list[Span]) -> list[Span]:
    """Return the chunk's local roots; none when the chunk is an early part of an unfinished one.

    A span without a parent is one. So is a span whose parent another process owns, which the chunk cannot show: in a
    whole chunk that is a parent from outside the chunk, unless the tracer marks top-level spans (`_dd.top_level`) and
    this is none. In a part of a chunk (`_dd.py.partial_flush`) the parent may just be unfinished, so only the marks
    that tracers set on a local root count: the metric `process_id`, or a kind that receives.
    """
    own = {span.span_id for span in spans}
    roots, foreign = [], []
    for span in spans:
        if not span.parent_id:
            roots.append(span)
        elif span.parent_id not in own:
            foreign.append(span)
    if not foreign:
        return roots
    if any("_dd.py.partial_flush" in span.metrics for span in spans):
        return roots + [
            span
            for span in foreign
            if "process_id" in span.metrics or span.tags.get("span.kind") in ("server", "consumer")
        ]
    marked = any("_dd.top_level" in span.metrics for span in spans)
    return roots + [span for span in foreign if not marked or span.metrics.get("_dd.top_level")]


def _request(root: Span, shared: list[str]) -> Request:
    return Request(
        service=root.service[:MAX_RESOURCE],
        resource=(root.resource or root.name)[:MAX_RESOURCE],
        name=root.name[:MAX_RESOURCE],
        type=root.type[:MAX_RESOURCE],
        span_id=root.span_id,
        parent_id=root.parent_id,
        start_ns=root.start_ns,
        duration_ns=root.duration_ns,
        error=root.error,
        status=_status(root),
        searched=_searched(root, shared),
    )


def _status(root: Span) -> str:
    # A tag by the agent's rules, a metric in some tracers.
    status = root.tags.get("http.status_code")
    if status is None and (number := root.metrics.get("http.status_code")) is not None:
        status = f"{number:g}"
    return (status or "")[:16]


def _searched(root: Span, shared: list[str]) -> str:
    """Collect what the text search of the traces page looks at, the most telling first."""
    lines = [root.service, root.resource, root.name]
    lines += [f"{key}:{value}" for key, value in root.tags.items() if not key.startswith("_dd.")]
    return "\n".join(dict.fromkeys(lines + shared))[:MAX_SEARCHED]


def _searched_in(spans: list[Span]) -> list[str]:
    """Collect what all requests of a chunk are found by, its errors and resources, as far as there is room."""
    lines: dict[str, None] = {}
    room = MAX_SEARCHED
    errors = [span.tags.get(key, "") for span in spans if span.error for key in ("error.type", "error.message")]
    for line in (*errors, *(span.resource for span in spans)):
        if line not in lines:
            lines[line] = None
            room -= len(line)
            if room <= 0:
                break
    return list(lines)
