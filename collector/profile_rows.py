"""Profiles as rows: what the writer thread executes."""

import sqlite3

from ddmiddleware.collector.profile import Profile

# Looked up for each part; services that put raw paths into resources must not fill the memory.
MAX_KNOWN = 20_000

# The name of the kind that counts an endpoint's requests, which has no unit.
REQUESTS = "requests"

_INSERT_SUM = """
INSERT OR IGNORE INTO profile_sums (kind_id, series_id, end_ns, profile_id, nodes, value) VALUES (?, ?, ?, ?, ?, ?)
"""


class ProfileRows:
    """Writes profiles by the writer's connection, and knows the ids of series and kinds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._known: dict[tuple[str, ...], int] = {}

    def write(self, profile: Profile, received_ns: int) -> None:
        """Write a profile inside of the transaction that is open; raises sqlite3.Error."""
        # A tracer that saw no answer sends an upload again: the first stays.
        added = self._execute(
            "INSERT OR IGNORE INTO profiles (received_ns, start_ns, end_ns, service, env, process, sampler)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                received_ns, profile.start_ns, profile.end_ns, profile.service, profile.env, profile.process,
                profile.sampler,
            ),
        )  # fmt: skip
        if not added.rowcount:
            return
        profile_id = added.lastrowid
        for part in profile.parts:
            series_id = self._series(profile, part.endpoint)
            self._execute(
                "INSERT INTO profile_parts (profile_id, series_id, structure, spans) VALUES (?, ?, ?, ?)",
                (profile_id, series_id, part.structure, part.spans),
            )
            for name, value in part.sums.items():
                kind_id = self._kind(name, profile.units[name])
                self._execute(_INSERT_SUM, (kind_id, series_id, profile.end_ns, profile_id, part.nodes, value))
                self._execute(
                    "INSERT INTO profile_values (profile_id, series_id, kind_id, measured) VALUES (?, ?, ?, ?)",
                    (profile_id, series_id, kind_id, part.measured[name]),
                )
        for endpoint, count in profile.requests.items():
            series_id = self._series(profile, endpoint)
            self._execute(_INSERT_SUM, (self._kind(REQUESTS, ""), series_id, profile.end_ns, profile_id, 0, count))

    def forget_unused_series(self) -> None:
        """Remove the series that no profile has any more; raises sqlite3.Error."""
        self._execute("DELETE FROM series WHERE id NOT IN (SELECT series_id FROM profile_sums)")
        self._known.clear()

    def _series(self, profile: Profile, endpoint: str) -> int:
        return self._id("series", ("service", "env", "endpoint"), (profile.service, profile.env, endpoint))

    def _kind(self, name: str, unit: str) -> int:
        return self._id("kinds", ("name", "unit"), (name, unit))

    def _id(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int:
        """Return the id of a row, which is made where it is not there."""
        key = (table, *values)
        found = self._known.get(key)
        if found is None:
            marks = ", ".join("?" * len(values))
            self._execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
            condition = " AND ".join(f"{column} = ?" for column in columns)
            found = int(self._execute(f"SELECT id FROM {table} WHERE {condition}", values).fetchone()[0])
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found
