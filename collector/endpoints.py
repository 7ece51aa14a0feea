"""Endpoints: how many requests each had in a time window, how many failed, and how long they took."""

import sqlite3
from typing import Any

from ddmiddleware.collector.profiles import profiled_endpoints
from ddmiddleware.collector.window import Window

# The busiest are listed; a service with raw paths as resources has any number of them.
MAX_ENDPOINTS = 200

SORTS = {
    "requests": "requests",
    "errors": "errors",
    "error_rate": "error_rate",
    "p50": "p50_ns",
    "p95": "p95_ns",
    "p99": "p99_ns",
}

_PERCENTILES = (50, 95, 99)
# Up to so many requests it is cheaper to read and sort an endpoint's durations than to walk the index of all of them.
_SORTED_IN_MEMORY = 500


def list_endpoints(connection: sqlite3.Connection, window: Window, service: str, sort: str) -> dict[str, Any]:
    """Compute the endpoints of a window, by service; raises sqlite3.Error. The connection must hold one snapshot.

    service: only this one, or all when empty. sort: a key of SORTS, always descending.

    Percentiles are exact (nearest rank). The result is what `/endpoints.json` answers::

        {"window": "1h", "since_ns": 0, "until_ns": 0, "seconds": 3600.0, "sort": "requests", "hidden": 0,
         "requests": 3, "errors": 1, "all_services": ["inventory", "shop"],
         "services": [{"service": "shop", "requests": 3, "errors": 1, "endpoints": [
             {"resource": "GET /cart", "requests": 3, "errors": 1, "error_rate": 0.333, "per_second": 0.001,
              "p50_ns": 10, "p95_ns": 30, "p99_ns": 30, "profiled": false}]}]}

    `seconds` is the window's length as rates use it: it begins with the store's first request when that is later.
    `profiled` says that there are profiles of it. `hidden` counts the endpoints that are not listed, the least
    requested ones; their requests are in no sum.
    """
    first = connection.execute("SELECT min(start_ns) FROM requests").fetchone()[0]
    since_ns = max(window.since_ns, first or 0)
    seconds = max((window.until_ns - since_ns) / 1e9, 1.0)
    names = {row[0]: (row[1], row[2]) for row in connection.execute("SELECT id, service, resource FROM endpoints")}
    counts = [row for row in _counts(connection, window) if row[0] in names and service in ("", names[row[0]][0])]
    counts.sort(key=lambda row: -row[1])
    profiled = profiled_endpoints(connection, window)
    services: dict[str, list[dict[str, Any]]] = {}
    for endpoint_id, requests, errors in counts[:MAX_ENDPOINTS]:
        p50, p95, p99 = _percentiles(connection, window, endpoint_id, requests)
        name, resource = names[endpoint_id]
        services.setdefault(name, []).append(
            {
                "resource": resource,
                "requests": requests,
                "errors": errors,
                "error_rate": errors / requests,
                "per_second": requests / seconds,
                "p50_ns": p50,
                "p95_ns": p95,
                "p99_ns": p99,
                "profiled": (name, resource) in profiled,
            }
        )
    sections = [_section(name, rows, SORTS[sort]) for name, rows in sorted(services.items())]
    return {
        "window": window.name,
        "since_ns": since_ns,
        "until_ns": window.until_ns,
        "seconds": seconds,
        "sort": sort,
        "requests": sum(section["requests"] for section in sections),
        "errors": sum(section["errors"] for section in sections),
        "hidden": max(len(counts) - MAX_ENDPOINTS, 0),
        "all_services": sorted({name for name, _ in names.values()}),
        "services": sections,
    }


def _section(service: str, rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    rows.sort(key=lambda row: (-row[key], row["resource"]))
    return {
        "service": service,
        "requests": sum(row["requests"] for row in rows),
        "errors": sum(row["errors"] for row in rows),
        "endpoints": rows,
    }


def _counts(connection: sqlite3.Connection, window: Window) -> list[tuple[int, int, int]]:
    return connection.execute(
        "SELECT endpoint_id, count(*), sum(error) FROM requests INDEXED BY requests_endpoint"
        " WHERE start_ns >= ? GROUP BY endpoint_id",
        (window.since_ns,),
    ).fetchall()


def _percentiles(connection: sqlite3.Connection, window: Window, endpoint_id: int, requests: int) -> list[int]:
    """Return p50, p95 and p99 in nanoseconds by the nearest-rank rule: the smallest value that p % do not exceed."""
    ranks = [-(-requests * percent // 100) for percent in _PERCENTILES]
    arguments = (endpoint_id, window.since_ns)
    condition = "WHERE endpoint_id = ? AND start_ns >= ?"
    if requests <= _SORTED_IN_MEMORY:
        rows = connection.execute(
            f"SELECT duration_ns FROM requests INDEXED BY requests_endpoint {condition}", arguments
        )
        durations = sorted(row[0] for row in rows)
        return [durations[rank - 1] for rank in ranks]
    found = []
    for rank in ranks:
        order, offset = ("", rank - 1) if rank <= requests // 2 + 1 else ("DESC", requests - rank)
        row = connection.execute(
            f"SELECT duration_ns FROM requests INDEXED BY requests_duration {condition}"
            f" ORDER BY duration_ns {order} LIMIT 1 OFFSET {offset}",
            arguments,
        ).fetchone()
        found.append(int(row[0]))
    return found
