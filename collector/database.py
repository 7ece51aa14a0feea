"""The SQLite file: its tables, how it is opened, and what to tell the user when SQLite refuses."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# "ddmw" as a number: tells our files from those of other programs.
APPLICATION_ID = 0x64646D77
VERSION = 2

# Ids are signed here (`ids.to_signed`), times are nanoseconds. `chunks.body` comes last, so that summing over chunks
# never reads it. `entry` is 1 on the request that stands for its trace in an unfiltered list. The indices hold all
# that filters and percentiles need: requests_recent and requests_endpoint serve lists, newest first;
# requests_duration yields the durations of an endpoint in order.
_SCHEMA = """
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    trace_low INTEGER NOT NULL,
    trace_high INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    services TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX chunks_trace ON chunks (trace_low);
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    resource TEXT NOT NULL,
    UNIQUE (service, resource)
);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    chunk_id INTEGER NOT NULL,
    trace_low INTEGER NOT NULL,
    trace_high INTEGER NOT NULL,
    span_id INTEGER NOT NULL,
    parent_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    error INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    searched TEXT NOT NULL
);
CREATE UNIQUE INDEX requests_span ON requests (trace_low, span_id);
CREATE UNIQUE INDEX requests_entry ON requests (trace_low) WHERE entry = 1;
CREATE INDEX requests_chunk ON requests (chunk_id);
CREATE INDEX requests_recent ON requests (start_ns, duration_ns, error, entry, endpoint_id);
CREATE INDEX requests_endpoint ON requests (endpoint_id, start_ns, duration_ns, error);
CREATE INDEX requests_duration ON requests (endpoint_id, duration_ns, start_ns);
"""

# A series is what profiles of an endpoint are drawn from; its endpoint is empty for what belongs to none. A part holds
# the calls of one upload and series, `profile_values` what was measured in them, and `profile_sums` how much that is in
# all: that alone is read for choosing what to draw. `nodes` says what drawing a part costs. The kind without a unit
# named 'requests' counts those.
_PROFILES = """
CREATE TABLE profiles (
    id INTEGER PRIMARY KEY,
    received_ns INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    service TEXT NOT NULL,
    env TEXT NOT NULL,
    process TEXT NOT NULL,
    sampler TEXT NOT NULL
);
CREATE UNIQUE INDEX profiles_upload ON profiles (service, env, end_ns, start_ns, process, sampler);
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    env TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    UNIQUE (service, env, endpoint)
);
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (name, unit)
);
CREATE TABLE profile_sums (
    kind_id INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    profile_id INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (kind_id, series_id, end_ns, profile_id)
) WITHOUT ROWID;
CREATE INDEX profile_sums_profile ON profile_sums (profile_id);
CREATE TABLE profile_parts (
    id INTEGER PRIMARY KEY,
    profile_id INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    structure BLOB NOT NULL,
    spans BLOB
);
CREATE UNIQUE INDEX profile_parts_profile ON profile_parts (profile_id, series_id);
CREATE TABLE profile_values (
    id INTEGER PRIMARY KEY,
    profile_id INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    kind_id INTEGER NOT NULL,
    measured BLOB NOT NULL
);
CREATE UNIQUE INDEX profile_values_profile ON profile_values (profile_id, series_id, kind_id);
"""


class StoreError(Exception):
    """The store cannot work just now, or at all; the message names the file, the reason and what to do."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; {_advice(str(error))}") from error


def _advice(message: str) -> str:
    if "full" in message:
        return "free space on that disk, or choose another file with --store"
    if "readonly" in message or "unable to open" in message:
        return "make the file and its folder writable, or choose another file with --store"
    if "locked" in message:
        return "another program holds the file; choose another one with --store"
    if "not a database" in message or "malformed" in message or "no such" in message:
        return "the file is damaged: stop the collector and move the file away, or choose another one with --store"
    return "check that disk, or choose another file with --store"


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing store; raise sqlite3.Error. The connection may be used by one thread at a time."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        # In pages: with the usual 1,000 most of the writer's time goes into copying index pages to the file.
        connection.execute("PRAGMA wal_autocheckpoint = 8000")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def create(path: Path) -> None:
    """Make sure that the path is a writable store of this version; raise StoreError. Folders are made."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Traces may hold personal data: nobody else reads them.
        path.touch(mode=0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{path}: {reason}; choose another file with --store") from error
    with explained(path):
        connection = connect(path)
        try:
            _prepare(connection, path)
        finally:
            connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id == APPLICATION_ID and version == 1:
        # Of before there were profiles.
        connection.executescript(f"BEGIN IMMEDIATE; {_PROFILES} PRAGMA user_version = {VERSION}; COMMIT;")
        return
    if application_id == APPLICATION_ID and version != VERSION:
        raise StoreError(
            f"{path}: written by another version of the collector; remove it or choose another file with --store"
        )
    if application_id == APPLICATION_ID:
        # Proves that the file can be written, which opening does not.
        connection.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {VERSION}; COMMIT;")
        return
    if application_id or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path}: belongs to another program; choose another file with --store")
    # The first may only be set while the file is empty.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} {_PROFILES} PRAGMA application_id = {APPLICATION_ID};"
        f" PRAGMA user_version = {VERSION}; COMMIT;"
    )
