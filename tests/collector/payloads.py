"""Trace payloads as tracers send them."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgpack

SECOND = 10**9

_numbers = itertools.count(1)


def span(trace_id: int, **fields: Any) -> dict[str, Any]:
    """Return a span map of v0.4 with a new id, one second long, of now."""
    return {
        "trace_id": trace_id,
        "span_id": next(_numbers),
        "parent_id": 0,
        "service": "shop",
        "name": "flask.request",
        "resource": "GET /cart",
        "type": "web",
        "start": time.time_ns(),
        "duration": SECOND,
        "error": 0,
        "meta": {},
        "metrics": {},
        **fields,
    }


def new_trace_id() -> int:
    """Return a low half of a trace id that no other test uses."""
    return 2**63 + next(_numbers)


def v04(traces: list[list[dict[str, Any]]]) -> bytes:
    """Encode for v0.3 and v0.4."""
    body: bytes = msgpack.packb(traces)
    return body


def v05(traces: list[list[dict[str, Any]]]) -> bytes:
    """Encode for v0.5."""
    table: dict[str, int] = {"": 0}

    def index(text: str) -> int:
        return table.setdefault(text, len(table))

    rows = [[_row(item, index) for item in trace] for trace in traces]
    body: bytes = msgpack.packb([list(table), rows])
    return body


def _row(item: dict[str, Any], index: Any) -> list[Any]:
    return [
        *(index(item[key]) for key in ("service", "name", "resource")),
        *(item[key] for key in ("trace_id", "span_id", "parent_id", "start", "duration", "error")),
        {index(key): index(value) for key, value in item["meta"].items()},
        {index(key): value for key, value in item["metrics"].items()},
        index(item["type"]),
    ]
