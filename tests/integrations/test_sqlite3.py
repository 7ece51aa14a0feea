"""SQLite, of the Python that runs."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(sqlite3=True)


def query(resource: str, trace: int = 1, rows: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return the span of one statement."""
    tags = {"component": "sqlite3", "span.kind": "client", "db.system": "sqlite", **changes.pop("tags", {})}
    if changes.get("name", "sqlite.query") == "sqlite.query":
        tags["_dd.measured"] = 1
    if rows is not None:
        tags["db.row_count"] = rows
    shape = {"parent": 0, "service": "sqlite", "name": "sqlite.query", "type": "sql", "error": 0}
    return {"trace": trace, **shape, "resource": resource, "tags": tags, **changes}


def ended(how: str, trace: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the span of a commit or rollback."""
    return query(f"sqlite.connection.{how}", trace, name=f"sqlite.connection.{how}", type=None, **changes)


def without_commits_of_scripts(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Python 3.10 calls the connection's ``commit`` in ``executescript``; later ones commit in C."""
    if sys.version_info >= (3, 11):
        return spans
    return [span for span in spans if span["name"] != "sqlite.connection.commit"]


def test_a_connections_shortcuts(connection: sqlite3.Connection, recorder: Recorder) -> None:
    with default_tracer.trace("work"):
        connection.execute("insert into t values (?, ?)", ("secret", 1))
        connection.executemany("insert into t values (?, ?)", [(2, 3), (4, 5)])
        connection.executescript("create table u (a); create table v (a)")
        assert connection.execute("select a from t").fetchall() == [("secret",), (2,), (4,)]
    spans = without_commits_of_scripts(recorder.take())
    assert spans[1:] == [
        query("insert into t values (?, ?)", rows=1, parent=1),
        query("insert into t values (?, ?)", rows=2, parent=1),
        query("create table u (a); create table v (a)", parent=1),
        query("select a from t", parent=1),
    ]
    assert "secret" not in repr(spans)


def test_a_cursors_methods(connection: sqlite3.Connection, recorder: Recorder) -> None:
    cursor = connection.cursor()
    assert cursor.execute("select 1 as one") is cursor
    assert cursor.description[0][0] == "one"
    assert [*cursor] == [(1,)]
    cursor.executemany("insert into t values (?, ?)", iter([(1, 2)]))
    assert cursor.lastrowid is None or isinstance(cursor.lastrowid, int)
    cursor.executescript("select 1; select 2")
    assert without_commits_of_scripts(recorder.take()) == [
        query("select 1 as one"),
        query("insert into t values (?, ?)", 2, rows=1),
        query("select 1; select 2", 3),
    ]


def test_errors(connection: sqlite3.Connection, recorder: Recorder) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("select * from nowhere")
    assert caught.value.__context__ is None
    connection.execute("create table w (a unique)")
    with pytest.raises(sqlite3.IntegrityError) as twice:
        connection.executemany("insert into w values (?)", [(1,), (1,)])
    assert recorder.take() == [
        query("select * from nowhere", error=1, tags=failed(caught.value)),
        query("create table w (a unique)", 2),
        query("insert into w values (?)", 3, error=1, tags=failed(twice.value)),
    ]


def test_commit_and_rollback(connection: sqlite3.Connection, recorder: Recorder) -> None:
    connection.execute("insert into t values (1, 1)")
    connection.commit()
    connection.execute("insert into t values (2, 2)")
    connection.rollback()
    assert connection.execute("select count(*) from t").fetchone() == (1,)
    assert recorder.take() == [
        query("insert into t values (1, 1)", rows=1),
        ended("commit", 2),
        query("insert into t values (2, 2)", 3, rows=1),
        ended("rollback", 4),
        query("select count(*) from t", 5),
    ]


def test_as_a_context_manager(connection: sqlite3.Connection, recorder: Recorder) -> None:
    with connection as same:
        assert same is connection
        connection.execute("insert into t values (1, 1)")
    error = ValueError("theirs")

    def fail() -> None:
        with connection:
            connection.execute("insert into t values (2, 2)")
            raise error

    with pytest.raises(ValueError, match="theirs") as caught:
        fail()
    assert caught.value is error
    assert error.__context__ is None
    with connection:
        assert connection.execute("select count(*) from t").fetchone() == (1,)
    assert recorder.take() == [
        query("insert into t values (1, 1)", rows=1),
        ended("commit", 2),
        query("insert into t values (2, 2)", 3, rows=1),
        ended("rollback", 4),
        query("select count(*) from t", 5),
    ]


def test_a_commit_that_fails(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "file"
    with (
        contextlib.closing(sqlite3.connect(path)) as first,
        contextlib.closing(sqlite3.connect(path, timeout=0)) as second,
    ):
        first.execute("create table t (a)")
        second.execute("select * from t").fetchone()
        first.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError) as caught:
            second.execute("insert into t values (1)")
        first.rollback()
    spans = recorder.take()
    assert spans[-2] == query("insert into t values (1)", 4, error=1, tags=failed(caught.value))
    assert spans[-1] == ended("rollback", 5)


def test_a_connection_outlives_the_patch(connection: sqlite3.Connection, recorder: Recorder) -> None:
    cursor = connection.cursor()
    unpatch("sqlite3")
    assert cursor.execute("select 1").fetchone() == connection.execute("select 1").fetchone() == (1,)
    with connection:
        connection.execute("insert into t values (1, 1)")
    assert recorder.take() == []
    patch(sqlite3=True)
    cursor.execute("select 1")
    assert recorder.names() == ["sqlite.query"]


def test_rows_backup_and_dump(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("insert into t values (1, 'two')")
    [row] = connection.execute("select * from t").fetchall()
    assert isinstance(row, sqlite3.Row)
    assert dict(row) == {"a": 1, "b": "two"}
    assert sqlite3.Row(connection.cursor().execute("select 1 as x"), (1,))["x"] == 1
    connection.row_factory = lambda cursor, row: (type(cursor).__name__, row)
    assert connection.cursor().execute("select 1").fetchone() == ("Cursor", (1,))
    connection.row_factory = None
    connection.commit()
    with contextlib.closing(sqlite3.connect(":memory:")) as target:
        connection.backup(target)
        assert target.execute("select * from t").fetchall() == [(1, "two")]
        assert [*target.iterdump()] == [*connection.iterdump()]
    assert "INSERT INTO \"t\" VALUES(1,'two');" in [*connection.iterdump()]


def test_threads(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "file"
    found: list[Any] = []
    with contextlib.closing(sqlite3.connect(path)) as connection:

        def use() -> None:
            with contextlib.closing(sqlite3.connect(path)) as own:
                found.append(own.execute("select 1").fetchone())
            with pytest.raises(sqlite3.ProgrammingError) as caught:
                connection.execute("select 1")
            found.append(caught.type)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert found == [(1,), sqlite3.ProgrammingError]
    assert [span["error"] for span in recorder.take()] in ([0, 1], [0])  # the cursor is refused already, or not


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit is new in 3.12")
def test_autocommit(recorder: Recorder) -> None:
    options: dict[str, Any] = {"autocommit": True}
    with contextlib.closing(sqlite3.connect(":memory:", **options)) as connection:
        with connection:
            connection.execute("begin")
        assert connection.in_transaction
    assert recorder.names() == ["sqlite.query"]
