"""What statements, commits and rollbacks look like."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple


class Driver(NamedTuple):
    """What the spans of one driver have in common."""

    component: str
    system: str
    service: str
    prefix: str
    endings: str
    port: int
    database: str
    user: str

    def query(self, resource: str, rows: int | None = None, **changes: Any) -> dict[str, Any]:
        """Return the span of a statement."""
        tags = {**self._tags(), "_dd.measured": 1, **changes.pop("tags", {})}
        if rows is not None:
            tags["db.row_count"] = rows
        return {**self._span(f"{self.prefix}.query", "sql"), "resource": resource, "tags": tags, **changes}

    def many(self, resource: str, rows: int | None = None, **changes: Any) -> dict[str, Any]:
        """Return the span of a statement that is executed with several sets of parameters."""
        tags = {"sql.executemany": "true", **changes.pop("tags", {})}
        return self.query(resource, rows, tags=tags, **changes)

    def ended(self, how: str, **changes: Any) -> dict[str, Any]:
        """Return the span of a commit or rollback."""
        name = f"{self.endings}.connection.{how}"
        return {**self._span(name, None), "resource": name, "tags": self._tags(), **changes}

    def _span(self, name: str, kind: str | None) -> dict[str, Any]:
        return {"trace": 1, "parent": 0, "service": self.service, "name": name, "type": kind, "error": 0}

    def _tags(self) -> dict[str, Any]:
        return {
            "component": self.component,
            "span.kind": "client",
            "db.system": self.system,
            "db.name": self.database,
            "db.user": self.user,
            "out.host": "127.0.0.1",
            "server.address": "127.0.0.1",
            "network.destination.port": self.port,
        }


def psycopg(port: int, endings: str) -> Driver:
    """Return what the spans of psycopg 2 and 3 have."""
    return Driver("psycopg", "postgresql", "postgres", "postgres", endings, port, "postgres", "postgres")


def numbered(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return expected spans as those of traces of their own."""
    return [{**span, "trace": number} for number, span in enumerate(spans, 1)]


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that awaits in a loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run
