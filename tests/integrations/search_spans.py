"""What requests to Elasticsearch and its forks look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

QUERY = {"bool": {"must": [{"match": {"name": "ann"}}, {"terms": {"age": [31, 42]}}]}}
SHOWN = '{"query": {"bool": {"must": [{"match": {"name": "?"}}, {"terms": {"age": ["?"]}}]}}}'


def outcomes(operations: Mapping[str, Callable[[Any], Any]], client: Any) -> dict[str, Any]:
    """Return what each operation returns, or what it raises and from what."""
    found = {}
    for name, operation in operations.items():
        try:
            found[name] = operation(client)
        except Exception as error:
            shown = repr(error.args).partition(" at 0x")[0]
            found[name] = (type(error), shown, type(error.__cause__), type(error.__context__))
    return found


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
