"""What a page of profiles shows: the choices there are, and the flame graph of what was chosen."""

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from ddmiddleware.collector import values
from ddmiddleware.collector.calls import Calls, Rows, unpack, unpack_measured
from ddmiddleware.collector.flame import Flame
from ddmiddleware.collector.profile_rows import REQUESTS
from ddmiddleware.collector.window import Window

# So many calls are added up within 100 ms; of more profiles than that, every second, third, ... is looked at.
MAX_NODES = 500_000
MAX_PARTS = 100
MAX_ENDPOINTS = 100

# What the page calls the samples that belong to no endpoint.
NO_ENDPOINT = "(no endpoint)"


@dataclass(frozen=True)
class Wanted:
    """What to draw. Empty texts mean: the first service there is, any environment, all endpoints, the first value.

    at: the text of the path to look at (`paths`). spans: only what was done for these spans, which are of the service.
    """

    window: Window
    service: str = ""
    env: str = ""
    endpoint: str = ""
    value: str = ""
    search: str = ""
    at: str = ""
    spans: frozenset[int] | None = None


@dataclass(frozen=True)
class _Part:
    profile_id: int
    series_id: int
    nodes: int
    value: int


def list_profiles(connection: sqlite3.Connection, wanted: Wanted) -> dict[str, Any]:
    """Choose and draw; raises sqlite3.Error.

    The result is what `/profiles.json` answers::

        {"window": "1h", "all_services": ["shop"], "service": "shop", "envs": ["demo"], "env": "",
         "values": [{"name": "cpu-time", "label": "CPU time", "unit": "nanoseconds"}], "value": "cpu-time",
         "unit": "nanoseconds", "gauge": false,
         "endpoints": [{"endpoint": "GET /cart", "amount": 10, "share": 0.1, "requests": 5, "per_request": 2.0}],
         "endpoint": "", "profiles": 12, "drawn": 12, "processes": 2, "samplers": ["native"], "start_ns": 0,
         "end_ns": 0, "amount": 100, "search": "", "at": "", "lost": false, "found": null, "path": [...],
         "boxes": [...], "rows": 3, "shown": 100, "hidden": 0, "functions": [...]}

    From `lost` on all is as `Flame.draw` says. `drawn` is less than `profiles` where there are too many
    to add up: then every second, third, ... is drawn, while the endpoints' amounts are those of all.
    """
    services = [row[0] for row in connection.execute("SELECT DISTINCT service FROM series ORDER BY 1")]
    service = wanted.service or _busiest(connection, wanted.window) or (services[0] if services else "")
    rows = connection.execute(
        "SELECT id, env, endpoint FROM series WHERE service = ? ORDER BY endpoint", (service,)
    ).fetchall()
    series = {row[0]: row[2] for row in rows if wanted.env in ("", row[1])}
    kinds = _kinds(connection, series, wanted.window)
    kind = next((kind for kind in kinds if kind["name"] == wanted.value), kinds[0] if kinds else None)
    if kind is None:
        kind = {"id": -1, "name": wanted.value, "label": values.label(wanted.value), "unit": ""}
    uploads = _uploads(connection, replace(wanted, service=service), gauge=kind["name"] in values.GAUGES)
    parts = [part for part in _parts(connection, kind["id"], series, wanted.window) if part.profile_id in uploads]
    requests = _requests(connection, series, wanted.window)
    chosen = [part for part in parts if _is_chosen(wanted.endpoint, series[part.series_id])]
    flame, drawn = _add_up(connection, kind, chosen, wanted)
    found = [uploads[part] for part in drawn]
    return {
        "window": wanted.window.name,
        "all_services": services,
        "service": service,
        "envs": sorted({row[1] for row in rows}),
        "env": wanted.env,
        "values": [{key: kind[key] for key in ("name", "label", "unit")} for kind in kinds],
        "value": kind["name"],
        "label": kind["label"],
        "unit": kind["unit"],
        "gauge": kind["name"] in values.GAUGES,
        "endpoints": _endpoints(series, parts, requests),
        "endpoint": wanted.endpoint,
        "profiles": len({part.profile_id for part in chosen}),
        "drawn": len(drawn),
        "processes": len({upload["process"] for upload in found}),
        "samplers": sorted({upload["sampler"] for upload in found} - {""}),
        "start_ns": min((upload["start_ns"] for upload in found), default=0),
        "end_ns": max((upload["end_ns"] for upload in found), default=0),
        "amount": flame.amount,
        "search": wanted.search,
        "at": wanted.at,
        **flame.draw(),
    }


def profiled_endpoints(connection: sqlite3.Connection, window: Window) -> set[tuple[str, str]]:
    """Return the services and endpoints that have samples in the window; raises sqlite3.Error."""
    found = connection.execute(
        "SELECT service, endpoint FROM series WHERE EXISTS (SELECT 1 FROM kinds JOIN profile_sums ON kind_id = kinds.id"
        " AND series_id = series.id AND profile_sums.end_ns >= ? AND nodes > 0)",
        (window.since_ns,),
    )
    return {(row[0], row[1]) for row in found}


def profiled_services(connection: sqlite3.Connection, begin_ns: int, end_ns: int) -> set[str]:
    """Return the services that have profiles of some of this time; raises sqlite3.Error."""
    found = connection.execute(
        "SELECT DISTINCT service FROM profiles WHERE end_ns >= ? AND start_ns <= ?", (begin_ns, end_ns)
    )
    return {row[0] for row in found}


def _is_chosen(endpoint: str, name: str) -> bool:
    return endpoint in ("", name) or (endpoint == NO_ENDPOINT and not name)


def _busiest(connection: sqlite3.Connection, window: Window) -> str:
    """Return the service with most profiles in the window; empty where there is none."""
    row = connection.execute(
        "SELECT service FROM profiles WHERE end_ns >= ? AND start_ns <= ? GROUP BY service"
        " ORDER BY count(*) DESC, service LIMIT 1",
        (window.since_ns, window.until_ns),
    ).fetchone()
    return "" if row is None else str(row[0])


def _kinds(connection: sqlite3.Connection, series: dict[int, str], window: Window) -> list[dict[str, Any]]:
    """Return the kinds of values that the series have in the window, the first to show first."""
    marks = ", ".join("?" * len(series))
    found = connection.execute(
        "SELECT id, name, unit FROM kinds WHERE (name, unit) != (?, '') AND EXISTS"
        f" (SELECT 1 FROM series JOIN profile_sums ON kind_id = kinds.id AND series_id = series.id AND end_ns >= ?"
        f"  WHERE series.id IN ({marks}))",
        (REQUESTS, window.since_ns, *series),
    )
    kinds = [{"id": row[0], "name": row[1], "label": values.label(row[1]), "unit": row[2]} for row in found]
    return sorted(kinds, key=lambda kind: values.rank(kind["name"]))


def _uploads(connection: sqlite3.Connection, wanted: Wanted, *, gauge: bool) -> dict[int, dict[str, Any]]:
    """Return the profiles of the service by id, the oldest first; for a gauge, the last one of each process."""
    window = wanted.window
    found = {
        row[0]: {"start_ns": row[1], "end_ns": row[2], "process": row[3], "sampler": row[4]}
        for row in connection.execute(
            "SELECT id, start_ns, end_ns, process, sampler FROM profiles"
            " WHERE service = ? AND ? IN ('', env) AND end_ns >= ? AND start_ns <= ? ORDER BY end_ns",
            (wanted.service, wanted.env, window.since_ns, window.until_ns),
        )
    }
    if not gauge:
        return found
    last = {upload["process"]: profile_id for profile_id, upload in found.items()}
    return {profile_id: found[profile_id] for profile_id in last.values()}


def _parts(connection: sqlite3.Connection, kind_id: int, series: dict[int, str], window: Window) -> list[_Part]:
    found = []
    for series_id in series:
        rows = connection.execute(
            "SELECT profile_id, nodes, value FROM profile_sums WHERE kind_id = ? AND series_id = ? AND end_ns >= ?",
            (kind_id, series_id, window.since_ns),
        )
        found += [_Part(row[0], series_id, row[1], row[2]) for row in rows]
    return found


def _requests(connection: sqlite3.Connection, series: dict[int, str], window: Window) -> dict[str, int]:
    row = connection.execute("SELECT id FROM kinds WHERE name = ? AND unit = ''", (REQUESTS,)).fetchone()
    counts: dict[str, int] = {}
    for part in _parts(connection, row[0], series, window) if row else ():
        endpoint = series[part.series_id]
        counts[endpoint] = counts.get(endpoint, 0) + part.value
    return counts


def _endpoints(series: dict[int, str], parts: list[_Part], requests: dict[str, int]) -> list[dict[str, Any]]:
    amounts: dict[str, int] = {}
    for part in parts:
        endpoint = series[part.series_id]
        amounts[endpoint] = amounts.get(endpoint, 0) + part.value
    whole = max(sum(amounts.values()), 1)
    ordered = sorted(amounts, key=lambda endpoint: (-amounts[endpoint], endpoint))
    return [
        {
            "endpoint": endpoint or NO_ENDPOINT,
            "amount": amounts[endpoint],
            "share": amounts[endpoint] / whole,
            "requests": (count := requests.get(endpoint, 0)),
            "per_request": amounts[endpoint] / count if count and endpoint else None,
        }
        for endpoint in ordered[:MAX_ENDPOINTS]
    ]


def _add_up(
    connection: sqlite3.Connection, kind: dict[str, Any], parts: list[_Part], wanted: Wanted
) -> tuple[Flame, list[int]]:
    """Add the parts up; return that and the ids of the profiles that were."""
    by_profile: dict[int, list[_Part]] = {}
    for part in parts:
        by_profile.setdefault(part.profile_id, []).append(part)
    nodes = sum(part.nodes for part in parts)
    # Evenly over the window, so that what is drawn is like what is not. Few are of a span, and each may be.
    step = 1 if wanted.spans is not None else max(-(-nodes // MAX_NODES), -(-len(parts) // MAX_PARTS), 1)
    flame = Flame(wanted.at, wanted.search)
    drawn = []
    for profile_id in sorted(by_profile)[::-step]:
        added = sum(_add(connection, kind, part, wanted.spans, flame, len(parts)) for part in by_profile[profile_id])
        if added:
            drawn.append(profile_id)
    return flame, drawn


def _add(
    connection: sqlite3.Connection,
    kind: dict[str, Any],
    part: _Part,
    spans: frozenset[int] | None,
    flame: Flame,
    of: int,
) -> bool:
    """Add a part; return whether there was something to add."""
    key = (part.profile_id, part.series_id)
    if spans is None:
        measured = connection.execute(
            "SELECT measured FROM profile_values WHERE profile_id = ? AND series_id = ? AND kind_id = ?",
            (*key, kind["id"]),
        ).fetchone()[0]
        rows = unpack_measured(measured)
    else:
        of_spans = connection.execute(
            "SELECT spans FROM profile_parts WHERE profile_id = ? AND series_id = ?", key
        ).fetchone()[0]
        rows = _of_spans(unpack(of_spans) if of_spans else [], kind["name"], spans)
    if not rows:
        return False
    structure = connection.execute(
        "SELECT structure FROM profile_parts WHERE profile_id = ? AND series_id = ?", key
    ).fetchone()[0]
    flame.add(Calls(structure, rows), of)
    return True


def _of_spans(rows: list[Any], kind: str, spans: frozenset[int]) -> Rows:
    """Return what was measured for the spans, which may be local roots: then for all of their request."""
    return [
        (node, line, measured[kind])
        for node, line, root, span, measured in rows
        if (span in spans or root in spans) and kind in measured
    ]
