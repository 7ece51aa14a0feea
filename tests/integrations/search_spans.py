"""What requests to Elasticsearch and its forks look like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUERY = {"bool": {"must": [{"match": {"name": "ann"}}, {"terms": {"age": [31, 42]}}]}}
SHOWN = '{"query": {"bool": {"must": [{"match": {"name": "?"}}, {"terms": {"age": ["?"]}}]}}}'

# What a client whose methods take bodies is asked for.
SEARCHES: dict[str, Callable[[Any], Any]] = {
    "info": lambda c: c.info(),
    "index": lambda c: c.index(index="people", id="1", body={"a": 1}),
    "get": lambda c: c.get(index="people", id="1"),
    "missing": lambda c: c.get(index="people", id="9"),
    "ignored": lambda c: c.get(index="people", id="9", ignore=404),
    "exists": lambda c: c.exists(index="people", id="1"),
    "search": lambda c: c.search(index="people", body={"query": {"match_all": {}}}),
    "bad": lambda c: c.search(index="people", body={"query": {"nonsense": {}}}),
    "broken": lambda c: c.search(index="broken"),
    "drop": lambda c: c.search(index="drop"),
    "not encodable": lambda c: c.index(index="people", body={"a": object}),
    "raw": lambda c: c.transport.perform_request("GET", "/people/_doc/1", headers={"accept": "application/json"}),
}


def request(port: int, method: str, path: str, status: int | None, **changes: Any) -> dict[str, Any]:
    """Return the span of one request."""
    component = changes.pop("component", "elasticsearch")
    tags = {
        "component": component,
        "span.kind": "client",
        "db.system": component,
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        "elasticsearch.method": method,
        "elasticsearch.url": path,
        "elasticsearch.params": "",
        "_dd.measured": 1,
        **({} if status is None else {"http.status_code": str(status)}),
        **changes.pop("tags", {}),
    }
    shape = {"trace": 1, "parent": 0, "service": "elasticsearch", "name": "elasticsearch.query", "error": 0}
    resource = changes.pop("resource", f"{method} {path}")
    return {**shape, "type": "elasticsearch", "resource": resource, "tags": tags, **changes}
