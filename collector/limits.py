"""How much the store keeps, and the removal of what is too old or too much."""

import sqlite3
from dataclasses import dataclass

# A slice of removal is one transaction, so that new chunks never wait long for it.
SLICE_CHUNKS = 2_000


@dataclass(frozen=True)
class Limits:
    """Caps of the store: how long after its receipt a chunk or profile is kept, and the file's size in bytes."""

    max_age_ns: int
    max_size: int


def trim(connection: sqlite3.Connection, limits: Limits, now_ns: int) -> int:
    """Remove the oldest chunks and profiles until both caps hold; return how many were removed.

    Raises sqlite3.Error, after which the connection must be closed: a transaction may be open.
    Over the size cap a tenth more goes than needed, so that the next chunks do not trigger it again.
    """
    removed = 0
    while _oldest_received(connection) < now_ns - limits.max_age_ns:
        newest = connection.execute(
            "SELECT max(id) FROM (SELECT id, received_ns FROM chunks ORDER BY id LIMIT ?) WHERE received_ns < ?",
            (SLICE_CHUNKS, now_ns - limits.max_age_ns),
        ).fetchone()[0]
        removed += _remove(connection, newest)
    removed += remove_profiles(connection, "received_ns < ?", now_ns - limits.max_age_ns)
    if _used_size(connection) > limits.max_size:
        while _used_size(connection) > limits.max_size * 0.9 and (count := _remove_slice(connection)):
            removed += count
    if _pragma(connection, "page_count") * _pragma(connection, "page_size") > limits.max_size:
        # A script, because each step of the first statement frees one page, and `execute` makes one step.
        connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
    return removed


def remove_profiles(connection: sqlite3.Connection, condition: str, argument: int) -> int:
    """Remove the profiles that a condition of SQL with one argument is true of; return how many; raises sqlite3.Error.

    There are few: one for each process and minute.
    """
    # Whoever has nothing to remove waits for no other writer.
    if connection.execute(f"SELECT 1 FROM profiles WHERE {condition} LIMIT 1", (argument,)).fetchone() is None:
        return 0
    connection.execute("BEGIN IMMEDIATE")
    for table in ("profile_sums", "profile_values", "profile_parts"):
        connection.execute(
            f"DELETE FROM {table} WHERE profile_id IN (SELECT id FROM profiles WHERE {condition})", (argument,)
        )
    removed = connection.execute(f"DELETE FROM profiles WHERE {condition}", (argument,)).rowcount
    connection.execute("COMMIT")
    return removed


def _remove_slice(connection: sqlite3.Connection) -> int:
    """Remove a slice of the oldest chunks or of the oldest profiles, whichever are older; return how many."""
    oldest = {table: _slice(connection, table) for table in ("chunks", "profiles")}
    ends = {table: end for table, end in oldest.items() if end is not None}
    if not ends:
        return 0
    table = min(ends, key=lambda name: ends[name][1])
    newest = ends[table][0]
    return _remove(connection, newest) if table == "chunks" else remove_profiles(connection, "id <= ?", newest)


def _oldest_received(connection: sqlite3.Connection) -> float:
    row = connection.execute("SELECT received_ns FROM chunks ORDER BY id LIMIT 1").fetchone()
    return float("inf") if row is None else int(row[0])


def _slice(connection: sqlite3.Connection, table: str) -> tuple[int, int] | None:
    """Return the id up to which a slice of the oldest rows reaches, and when the first of them was received.

    It is a fiftieth of them, at most SLICE_CHUNKS.
    """
    first, count = connection.execute(f"SELECT min(id), max(id) - min(id) + 1 FROM {table}").fetchone()
    if count is None:
        return None
    size = min(max(count // 50, 1), SLICE_CHUNKS)
    newest = connection.execute(
        f"SELECT max(id) FROM (SELECT id FROM {table} ORDER BY id LIMIT ?)", (size,)
    ).fetchone()[0]
    received_ns = connection.execute(f"SELECT received_ns FROM {table} WHERE id = ?", (first,)).fetchone()[0]
    return newest, received_ns


def _remove(connection: sqlite3.Connection, newest: int) -> int:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM requests WHERE chunk_id <= ?", (newest,))
    removed = connection.execute("DELETE FROM chunks WHERE id <= ?", (newest,)).rowcount
    connection.execute("COMMIT")
    return removed


def _used_size(connection: sqlite3.Connection) -> int:
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    number: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return number
