"""One trace: all of its chunks, as the waterfall page and its JSON show it."""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ddmiddleware.collector.chunk import unpack
from ddmiddleware.collector.ids import parse_trace_id, span_hex, to_signed, to_unsigned, trace_hex
from ddmiddleware.collector.profiles import profiled_services
from ddmiddleware.collector.span import Span
from ddmiddleware.collector.waterfall import Bar, arrange

SHOWN_SPANS = 1_000
# More is not even read: a trace of a million spans is some runaway loop, and its tree would fill the memory.
MAX_SPANS = 20_000


def load_trace(connection: sqlite3.Connection, text: str, limit: int) -> dict[str, Any] | None:
    """Load the trace of an id (see `ids.parse_trace_id`); None when there is none. Raises sqlite3.Error.

    Chunks without a high half of the trace id belong to the trace as well: old tracers send none. limit: the number
    of spans to return at most, the first of the tree in reading order. The result is what `/traces/{id}.json`
    answers; durations and times are nanoseconds::

        {"trace_id": "32 hex", "start_ns": 0, "duration_ns": 0, "spans_total": 2, "spans_shown": 2, "errors": 0,
         "services": [{"service": "shop", "spans": 2}],
         "spans": [{"span_id": "16 hex", "parent_id": "16 hex or null", "depth": 0, "orphan": false,
                    "service": "shop", "name": "flask.request", "resource": "GET /cart", "type": "web",
                    "start_ns": 0, "duration_ns": 0, "offset_ns": 0, "shift_ns": 0, "error": 0,
                    "tags": {"http.method": "GET"}, "metrics": {"_dd.top_level": 1},
                    "links": [{"trace_id": "32 hex", "span_id": "16 hex", "attributes": {}}],
                    "events": [{"name": "x", "time_ns": 0, "attributes": {}}], "profiled": null}]}

    `depth` is the level in the tree, `orphan` says that the parent is not in the store, `start_ns` is as recorded,
    `offset_ns` is the distance from the trace's start after the clock was corrected by `shift_ns`, and metrics that
    JSON cannot write are the texts "nan", "inf" and "-inf". `services` counts the spans that were read, at most
    20,000. `profiled` is the service in whose profiles the span may be, null for none: that of its process, which spans
    below the first may call otherwise.
    """
    trace_id = parse_trace_id(text)
    if trace_id is None:
        return None
    rows = connection.execute(
        "SELECT id, trace_high, spans, errors FROM chunks WHERE trace_low = ? ORDER BY id", (to_signed(trace_id[1]),)
    ).fetchall()
    high = trace_id[0] or next((to_unsigned(row[1]) for row in rows if row[1]), 0)
    rows = [row for row in rows if to_unsigned(row[1]) in (high, 0)]
    if not rows:
        return None
    bars = arrange(_read(connection, rows))
    start_ns = min(bar.start_ns for bar in bars)
    profiled = profiled_services(connection, start_ns, max(bar.end_ns for bar in bars))
    services = Counter(bar.span.service for bar in bars)
    return {
        "trace_id": trace_hex(high, trace_id[1]),
        "start_ns": start_ns,
        "duration_ns": max(bar.end_ns for bar in bars) - start_ns,
        "spans_total": len(bars) if len(bars) < MAX_SPANS else sum(row[2] for row in rows),
        "spans_shown": min(limit, len(bars)),
        "errors": sum(bar.span.error for bar in bars),
        "services": [{"service": name, "spans": count} for name, count in services.most_common()],
        "spans": [
            {**_row(bar, start_ns), "profiled": service}
            for bar, service in zip(bars[:limit], _profiled(bars, profiled), strict=False)
        ],
    }


def _profiled(bars: list[Bar], services: set[str]) -> Iterator[str | None]:
    """Yield for each bar the service in whose profiles it may be."""
    known: dict[int, tuple[int, str | None]] = {}
    for bar in bars:
        service = bar.span.service if bar.span.service in services else None
        chunk, above = known.get(bar.span.parent_id, (-1, None))
        if service is None and chunk == bar.chunk:
            service = above
        known[bar.span.span_id] = (bar.chunk, service)
        yield service


def _read(connection: sqlite3.Connection, rows: list[tuple[int, int, int, int]]) -> list[list[Span]]:
    chunks: list[list[Span]] = []
    count = 0
    for chunk_id, _, _, _ in rows:
        body = connection.execute("SELECT body FROM chunks WHERE id = ?", (chunk_id,)).fetchone()[0]
        chunks.append(unpack(body)[: MAX_SPANS - count])
        count += len(chunks[-1])
        if count >= MAX_SPANS:
            break
    return chunks


def _row(bar: Bar, start_ns: int) -> dict[str, Any]:
    span = bar.span
    return {
        "span_id": span_hex(span.span_id),
        "parent_id": span_hex(span.parent_id) if span.parent_id else None,
        "depth": bar.depth,
        "orphan": bar.orphan,
        "service": span.service,
        "name": span.name,
        "resource": span.resource,
        "type": span.type,
        "start_ns": span.start_ns,
        "duration_ns": span.duration_ns,
        "offset_ns": bar.start_ns - start_ns,
        "shift_ns": bar.shift_ns,
        "error": span.error,
        "tags": span.tags,
        "metrics": {key: value if math.isfinite(value) else str(value) for key, value in span.metrics.items()},
        "links": span.links,
        "events": span.events,
    }
