"""Chunks, requests and profiles as rows: what the writer thread executes."""

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache

from ddmiddleware.collector.chunk import Chunk, Request
from ddmiddleware.collector.ids import to_signed
from ddmiddleware.collector.profile import Profile
from ddmiddleware.collector.profile_rows import ProfileRows

# Looked up for each request; services that put raw paths into resources must not fill the memory.
MAX_KNOWN_ENDPOINTS = 20_000

_INSERT_CHUNK = """
INSERT INTO chunks (trace_low, trace_high, received_ns, start_ns, end_ns, spans, errors, services, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# A tracer that saw no answer sends a payload again: the first row stays.
_INSERT_REQUEST = """
INSERT OR IGNORE INTO requests (chunk_id, trace_low, trace_high, span_id, parent_id, endpoint_id, start_ns,
    duration_ns, error, entry, name, type, status, searched)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@lru_cache(1_000)
def _services_text(services: tuple[str, ...]) -> str:
    return json.dumps(services)


class Rows:
    """The writer's connection, which it closes, and the endpoints it knows the ids of."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._endpoints: dict[tuple[str, str], int] = {}
        self._profiles = ProfileRows(connection)

    def close(self) -> None:
        """Close the connection; what is not committed is lost."""
        self.connection.close()

    def write(self, items: Sequence[Chunk | Profile], received_ns: int) -> None:
        """Write all in one transaction, or none; raises sqlite3.Error, after which only `close` may follow."""
        if not items:
            return
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        for chunk in items:
            if isinstance(chunk, Profile):
                self._profiles.write(chunk, received_ns)
                continue
            low, high = to_signed(chunk.trace_low), to_signed(chunk.trace_high)
            services = _services_text(chunk.services)
            row = (
                low, high, received_ns, chunk.start_ns, chunk.end_ns, chunk.spans, chunk.errors, services, chunk.body
            )  # fmt: skip
            chunk_id = execute(_INSERT_CHUNK, row).lastrowid
            for request in chunk.requests:
                execute(_INSERT_REQUEST, (
                    chunk_id, low, high, to_signed(request.span_id), to_signed(request.parent_id),
                    self._endpoint(request), request.start_ns, request.duration_ns, request.error,
                    self._takes_entry(low, request), request.name, request.type, request.status, request.searched,
                ))  # fmt: skip
        execute("COMMIT")

    def forget_unused_endpoints(self) -> None:
        """Remove the endpoints that no request, or no profile, has any more; raises sqlite3.Error."""
        self.connection.execute(
            "DELETE FROM endpoints WHERE NOT EXISTS (SELECT 1 FROM requests WHERE endpoint_id = endpoints.id)"
        )
        self._endpoints.clear()
        self._profiles.forget_unused_series()

    def _endpoint(self, request: Request) -> int:
        key = (request.service, request.resource)
        found = self._endpoints.get(key)
        if found is None:
            execute = self.connection.execute
            execute("INSERT OR IGNORE INTO endpoints (service, resource) VALUES (?, ?)", key)
            found = int(execute("SELECT id FROM endpoints WHERE service = ? AND resource = ?", key).fetchone()[0])
            if len(self._endpoints) >= MAX_KNOWN_ENDPOINTS:
                self._endpoints.clear()
            self._endpoints[key] = found
        return found

    def _takes_entry(self, low: int, request: Request) -> int:
        """Say whether the request is to stand for its trace: one without a parent goes first, then the earliest.

        Chunks arrive in any order, so a request that stood for the trace until now may lose that.
        """
        row = self.connection.execute(
            "SELECT id, parent_id, start_ns FROM requests WHERE trace_low = ? AND entry = 1", (low,)
        ).fetchone()
        if row is None:
            return 1
        if (request.parent_id != 0, request.start_ns) >= (row[1] != 0, row[2]):
            return 0
        self.connection.execute("UPDATE requests SET entry = 0 WHERE id = ?", (row[0],))
        return 1
