"""What requests to Elasticsearch and its forks look like."""

from __future__ import annotations

from typing import Any

QUERY = {"bool": {"must": [{"match": {"name": "ann"}}, {"terms": {"age": [31, 42]}}]}}
SHOWN = '{"query": {"bool": {"must": [{"match": {"name": "?"}}, {"terms": {"age": ["?"]}}]}}}'


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
