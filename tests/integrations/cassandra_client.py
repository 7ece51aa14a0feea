"""A client of the Cassandra server here, and what its queries look like."""

from __future__ import annotations

import threading
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import FallthroughRetryPolicy, RoundRobinPolicy


def connect(port: int, version: int | None, **options: Any) -> Cluster:
    """Return a cluster whose requests are tried once; with no *version* it finds one that both sides speak."""
    if version is not None:
        options["protocol_version"] = version
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), retry_policy=FallthroughRetryPolicy())
    return Cluster(
        ["127.0.0.1"],
        port=port,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        **options,
    )


def query(port: int, resource: str, rows: int | None, **changes: Any) -> dict[str, Any]:
    """Return the span of one page."""
    tags = {
        "component": "cassandra",
        "span.kind": "client",
        "db.system": "cassandra",
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        "cassandra.cluster": "shop",
        "cassandra.keyspace": "shop",
        "cassandra.consistency_level": "LOCAL_ONE",
        "_dd.measured": 1,
        **({} if rows is None else {"cassandra.paginated": "False", "db.row_count": rows}),
        **changes.pop("tags", {}),
    }
    shape = {"trace": 1, "parent": 0, "service": "cassandra", "name": "cassandra.query", "type": "cassandra"}
    return {**shape, "error": 0, "resource": resource, "tags": tags, **changes}


class Outcome:
    """What a future called back with, once it did."""

    def __init__(self, future: Any) -> None:
        self._done = threading.Event()
        self.value: Any = None
        future.add_callbacks(self._end, self._end)

    def _end(self, value: Any) -> None:
        self.value = value
        self._done.set()

    def wait(self) -> Any:
        """Return the result or the error."""
        assert self._done.wait(10)
        return self.value
