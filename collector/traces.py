"""The list of traces: filters, search and paging over requests."""

import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from ddmiddleware.collector.ids import I64_MAX, parse_trace_id, span_hex, to_signed, trace_hex
from ddmiddleware.collector.window import Window

PAGE = 50
MAX_PAGE = 500
# The text search reads rows, not an index: one page looks at so many and says how far back that was.
MAX_SEARCHED_ROWS = 30_000

_CURSOR = re.compile(r"(\d{1,19}):(\d{1,19})")


@dataclass(frozen=True)
class Filter:
    """Which requests to list; empty text, False and None filter nothing. Durations are nanoseconds.

    search: a trace id (32 or 16 hexadecimal digits, or a long decimal number) of any time, or text that occurs,
    whatever the case of its ASCII letters, in the names, tags and errors that the store keeps for searching. cursor:
    the `next` of another page.
    """

    window: Window
    service: str = ""
    resource: str = ""
    errors_only: bool = False
    min_ns: int | None = None
    max_ns: int | None = None
    search: str = ""
    cursor: str = ""
    limit: int = PAGE


def list_traces(connection: sqlite3.Connection, wanted: Filter) -> dict[str, Any]:
    """List the newest requests that pass the filter; raises sqlite3.Error, and ValueError for a malformed cursor.

    Without service and resource each trace is listed once, by the request that began it; otherwise each request that
    passes is. The result is what `/traces.json` answers::

        {"traces": [{"trace_id": "32 hex", "span_id": "16 hex", "service": "shop", "resource": "GET /cart",
                     "name": "flask.request", "type": "web", "start_ns": 0, "duration_ns": 0, "error": 0,
                     "status": "200", "spans": 12, "span_errors": 0, "services": ["inventory", "shop"]}],
         "window": "1h", "all_services": ["inventory", "shop"], "next": null, "searched_to_ns": null}

    `spans`, `span_errors` and `services` are those of the whole trace. `next` is the cursor of older requests, null at
    the end; `searched_to_ns` is set when a text search stopped at that time, with `next` continuing it.
    """
    trace_id = _searched_id(wanted.search)
    index, conditions, arguments = _conditions(connection, wanted, by_id=trace_id is not None)
    floor_ns = None
    if wanted.search and trace_id is None:
        floor_ns = _floor(connection, index, conditions, arguments)
        if floor_ns is not None:
            conditions.append("start_ns >= ?")
            arguments.append(floor_ns)
        conditions.append("searched LIKE ? ESCAPE '!'")
        arguments.append("%" + re.sub("[!%_]", r"!\g<0>", wanted.search) + "%")
    elif trace_id is not None:
        index = "requests_span"
        conditions.append("trace_low = ?")
        arguments.append(to_signed(trace_id[1]))
        if trace_id[0]:
            conditions.append("trace_high IN (?, 0)")
            arguments.append(to_signed(trace_id[0]))
    rows = connection.execute(
        "SELECT requests.id, trace_low, trace_high, span_id, service, resource, name, type, start_ns, duration_ns,"
        f" error, status FROM requests INDEXED BY {index} CROSS JOIN endpoints ON endpoints.id = endpoint_id"
        f" WHERE {' AND '.join(conditions)} ORDER BY start_ns DESC, requests.id DESC LIMIT ?",
        (*arguments, wanted.limit + 1),
    ).fetchall()
    more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
    cursor = f"{rows[-1][8]}:{rows[-1][0]}" if more else None
    if not more and floor_ns is not None:
        cursor = f"{floor_ns}:0"
    totals = _totals(connection, {row[1] for row in rows})
    return {
        "traces": [_trace(row, totals) for row in rows],
        "window": wanted.window.name,
        "all_services": [row[0] for row in connection.execute("SELECT DISTINCT service FROM endpoints ORDER BY 1")],
        "next": cursor,
        "searched_to_ns": None if more else floor_ns,
    }


def _searched_id(search: str) -> tuple[int, int] | None:
    # Shorter numbers are more likely a status, a port or a user's id.
    return parse_trace_id(search) if len(search) >= 16 else None


def _conditions(connection: sqlite3.Connection, wanted: Filter, *, by_id: bool) -> tuple[str, list[str], list[Any]]:
    """Return the index to walk, and the conditions that it alone can decide with their arguments."""
    index = "requests_recent"
    conditions: list[str] = ["start_ns >= ?"]
    # Whoever has an id wants that trace, however old it is.
    arguments: list[Any] = [0 if by_id else wanted.window.since_ns]
    if wanted.service or wanted.resource:
        found = connection.execute(
            "SELECT id FROM endpoints WHERE ? IN ('', service) AND ? IN ('', resource)",
            (wanted.service, wanted.resource),
        ).fetchall()
        ids = [str(row[0]) for row in found]
        conditions.append(f"endpoint_id IN ({', '.join(ids)})" if len(ids) != 1 else f"endpoint_id = {ids[0]}")
        if len(ids) == 1:
            index = "requests_endpoint"
    elif not by_id:
        conditions.append("entry = 1")
    if wanted.errors_only:
        conditions.append("error = 1")
    if wanted.min_ns is not None:
        conditions.append("duration_ns >= ?")
        arguments.append(wanted.min_ns)
    if wanted.max_ns is not None:
        conditions.append("duration_ns <= ?")
        arguments.append(wanted.max_ns)
    if wanted.cursor:
        match = _CURSOR.fullmatch(wanted.cursor)
        if match is None or max(numbers := [int(part) for part in match.groups()]) > I64_MAX:
            raise ValueError("'before' must be the cursor of another page")
        conditions.append("(start_ns, requests.id) < (?, ?)")
        arguments += numbers
    return index, conditions, arguments


def _floor(connection: sqlite3.Connection, index: str, conditions: list[str], arguments: list[Any]) -> int | None:
    row = connection.execute(
        f"SELECT start_ns FROM requests INDEXED BY {index} WHERE {' AND '.join(conditions)}"
        f" ORDER BY start_ns DESC LIMIT 1 OFFSET {MAX_SEARCHED_ROWS}",
        arguments,
    ).fetchone()
    return None if row is None else int(row[0])


def _totals(connection: sqlite3.Connection, lows: set[int]) -> dict[int, tuple[int, int, set[str]]]:
    """Return the spans, failed spans and services of whole traces, by the low half of the trace id."""
    totals: dict[int, tuple[int, int, set[str]]] = {}
    marks = ", ".join("?" * len(lows))
    for low, spans, errors, services in connection.execute(
        "SELECT trace_low, sum(spans), sum(errors), services FROM chunks"
        f" WHERE trace_low IN ({marks}) GROUP BY trace_low, services",
        tuple(lows),
    ):
        known = totals.get(low, (0, 0, set()))
        totals[low] = (known[0] + spans, known[1] + errors, known[2] | set(json.loads(services)))
    return totals


def _trace(row: tuple[Any, ...], totals: dict[int, tuple[int, int, set[str]]]) -> dict[str, Any]:
    _, low, high, span_id, service, resource, name, kind, start_ns, duration_ns, error, status = row
    spans, span_errors, services = totals[low]
    return {
        "trace_id": trace_hex(high, low),
        "span_id": span_hex(span_id),
        "service": service,
        "resource": resource,
        "name": name,
        "type": kind,
        "start_ns": start_ns,
        "duration_ns": duration_ns,
        "error": error,
        "status": status,
        "spans": spans,
        "span_errors": span_errors,
        "services": sorted(services),
    }
