"""What a Redis command looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What any client is asked for.
COMMANDS: dict[str, Callable[[Any], Any]] = {
    "set": lambda r: r.set("k", "v"),
    "get": lambda r: r.get("k"),
    "wrong type": lambda r: r.lpush("k", 1),
    "unknown": lambda r: r.execute_command("NONSENSE", "a"),
    "nothing": lambda r: r.execute_command(),
    "unencodable": lambda r: r.set("k", object()),
    "pipeline": lambda r: r.pipeline().set("k", 1).incr("k").execute(),
}


def command(port: int, resource: str, length: int | None, rows: int | None, **changes: Any) -> dict[str, Any]:
    """Return the span of one command; *library* is redis, or valkey."""
    library = changes.pop("library", "redis")
    tags = {
        "component": library,
        "span.kind": "client",
        "db.system": library,
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        f"out.{library}_db": 0,
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    if length is not None:
        tags[f"{library}.args_length"] = length
    if rows is not None:
        tags["db.row_count"] = rows
    name = f"{library}.command"
    shape = {"trace": 1, "parent": 0, "service": library, "name": name, "type": library, "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}
