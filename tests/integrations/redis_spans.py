"""What a Redis command looks like."""

from __future__ import annotations

from typing import Any


def command(port: int, resource: str, length: int | None, rows: int | None, **changes: Any) -> dict[str, Any]:
    """Return the span of one command."""
    tags = {
        "component": "redis",
        "span.kind": "client",
        "db.system": "redis",
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        "out.redis_db": 0,
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    if length is not None:
        tags["redis.args_length"] = length
    if rows is not None:
        tags["db.row_count"] = rows
    shape = {"trace": 1, "parent": 0, "service": "redis", "name": "redis.command", "type": "redis", "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}
