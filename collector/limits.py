"""How much the store keeps, and the removal of what is too old or too much."""

import sqlite3
from dataclasses import dataclass

# A slice of removal is one transaction, so that new chunks never wait long for it.
SLICE_CHUNKS = 2_000


@dataclass(frozen=True)
class Limits:
    """Caps of the store: the age of a chunk since its receipt in nanoseconds, and the file's size in bytes."""

    max_age_ns: int
    max_size: int


def trim(connection: sqlite3.Connection, limits: Limits, now_ns: int) -> int:
    """Remove the oldest chunks until both caps hold; return how many were removed.

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
    if _used_size(connection) > limits.max_size:
        while _used_size(connection) > limits.max_size * 0.9 and (newest := _slice_end(connection)) is not None:
            removed += _remove(connection, newest)
    if _pragma(connection, "page_count") * _pragma(connection, "page_size") > limits.max_size:
        # A script, because each step of the first statement frees one page, and `execute` makes one step.
        connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
    return removed


def _oldest_received(connection: sqlite3.Connection) -> float:
    row = connection.execute("SELECT received_ns FROM chunks ORDER BY id LIMIT 1").fetchone()
    return float("inf") if row is None else int(row[0])


def _slice_end(connection: sqlite3.Connection) -> int | None:
    """Return the id up to which a slice of the oldest chunks reaches: a fiftieth of them, at most SLICE_CHUNKS."""
    count = connection.execute("SELECT max(id) - min(id) + 1 FROM chunks").fetchone()[0]
    if count is None:
        return None
    size = min(max(count // 50, 1), SLICE_CHUNKS)
    oldest = "SELECT id FROM chunks ORDER BY id LIMIT ?"
    newest: int = connection.execute(f"SELECT max(id) FROM ({oldest})", (size,)).fetchone()[0]
    return newest


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
