"""SQLite, of the Python that runs."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(sqlite3=True)


@pytest.fixture
def connection(recorder: Recorder) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (a, b)")
        recorder.take()
        yield connection


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
    return query(f"sqlite.connection.{how}", trace, name=f"sqlite.connection.{how}", **changes)


def test_a_connections_shortcuts(connection: sqlite3.Connection, recorder: Recorder) -> None:
    with default_tracer.trace("work"):
        connection.execute("insert into t values (?, ?)", ("secret", 1))
        connection.executemany("insert into t values (?, ?)", [(2, 3), (4, 5)])
        connection.executescript("create table u (a); create table v (a)")
        assert connection.execute("select a from t").fetchall() == [("secret",), (2,), (4,)]
    spans = recorder.take()
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
    assert recorder.take() == [
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
    with contextlib.closing(sqlite3.connect(path)) as first, contextlib.closing(sqlite3.connect(path, 0)) as second:
        first.execute("create table t (a)")
        second.execute("select * from t").fetchone()
        first.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError) as caught:
            second.execute("insert into t values (1)")
        first.rollback()
    spans = recorder.take()
    assert spans[-2] == query("insert into t values (1)", 4, error=1, tags=failed(caught.value))
    assert spans[-1] == ended("rollback", 5)


class OwnCursor(sqlite3.Cursor):
    """Counts what it executes."""

    executed = 0

    def execute(self, sql: str, *args: Any) -> Any:
        self.executed += 1
        return super().execute(sql + " ", *args)


class OwnConnection(sqlite3.Connection):
    """Has a cursor method without an argument, and state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label = "mine"

    def cursor(self) -> Any:  # type: ignore[override]
        return super().cursor(OwnCursor)


@pytest.mark.filterwarnings("ignore:Passing more than 1 positional argument")
@pytest.mark.parametrize("positional", [False, True])
def test_own_classes(positional: bool, recorder: Recorder) -> None:
    """What they override is called as ever, and what they call by ``super()`` makes the spans."""
    if positional:
        connection = sqlite3.connect(":memory:", 5.0, 0, None, True, OwnConnection)
    else:
        connection = sqlite3.connect(":memory:", factory=OwnConnection)
    with contextlib.closing(connection):
        assert isinstance(connection, OwnConnection)
        assert connection.label == "mine"
        cursor = connection.cursor()
        assert isinstance(cursor, OwnCursor)
        assert cursor.execute("select 1").fetchone() == (1,)
        assert cursor.executed == 1
        connection.execute("select 2")
    assert [span["resource"].strip() for span in recorder.take()] == ["select 1", "select 2"]


def test_a_factory_that_is_a_function(recorder: Recorder) -> None:
    made = []

    def factory(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made.append(sqlite3.Connection(*args, **kwargs))
        return made[-1]

    with contextlib.closing(sqlite3.connect(":memory:", factory=factory)) as connection:  # type: ignore[call-overload]
        assert connection is made[0]
        connection.execute("select 1")
    assert recorder.take() == []


def test_types_and_classes(connection: sqlite3.Connection) -> None:
    cursor = connection.cursor()
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(cursor, sqlite3.Cursor)
    for made, kind in ((connection, sqlite3.Connection), (cursor, sqlite3.Cursor)):
        assert (type(made).__name__, type(made).__module__, type(made).__qualname__) == (
            kind.__name__,
            kind.__module__,
            kind.__qualname__,
        )
        assert type(made).__doc__ == kind.__doc__
        assert not hasattr(made, "__dict__")
        with pytest.raises(TypeError):
            pickle.dumps(made)
        with pytest.raises(TypeError):
            copy.copy(made)
        assert [name for name in dir(kind) if not hasattr(made, name)] == []
        for name in ("cursor", "execute", "executemany", "executescript", "commit", "rollback", "__exit__"):
            if hasattr(kind, name):
                assert getattr(type(made), name).__name__ == name
                assert getattr(type(made), name).__doc__ == getattr(kind, name).__doc__
    assert cursor.connection is connection
    assert type(connection.cursor(sqlite3.Cursor)) is type(connection.cursor(factory=sqlite3.Cursor)) is type(cursor)
    assert type(sqlite3.connect(":memory:")) is type(connection)


def test_a_factory_is_traced_once_only(recorder: Recorder) -> None:
    """A class that comes from a traced connection is as good as its own base."""
    first = sqlite3.connect(":memory:")
    second = sqlite3.connect(":memory:", factory=type(first))
    with contextlib.closing(first), contextlib.closing(second):
        assert second.cursor(type(first.cursor())).execute("select 1").fetchone() == (1,)
    assert recorder.names() == ["sqlite.query"]


def test_as_an_attribute_of_a_class() -> None:
    class Database:
        connect: Any = sqlite3.connect

    with contextlib.closing(Database().connect(":memory:")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert pickle.loads(pickle.dumps(sqlite3.connect)) is sqlite3.connect
    assert copy.deepcopy(sqlite3.connect) is sqlite3.connect


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


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "select": lambda c: c.execute("select 1, ?", (2,)).fetchall(),
    "named": lambda c: c.execute("select :a", {"a": 1}).fetchall(),
    "syntax": lambda c: c.execute("selec"),
    "nothing": lambda c: c.execute(),
    "too many": lambda c: c.execute("select 1", (), 3),
    "keyword": lambda c: c.execute(sql="select 1"),
    "no text": lambda c: c.execute(b"select 1"),
    "null": lambda c: c.execute("select '\0'").fetchall(),
    "surrogate": lambda c: c.execute("select '\ud800'"),
    "bindings": lambda c: c.execute("select ?", ()),
    "two statements": lambda c: c.execute("select 1; select 2"),
    "many of nothing": lambda c: c.executemany("insert into t values (?)", ()).rowcount,
    "many of a select": lambda c: c.executemany("select ?", [(1,)]),
    "many without": lambda c: c.executemany("select 1"),
    "script": lambda c: c.executescript("create table if not exists s (a); insert into s values (1)").rowcount,
    "bad script": lambda c: c.executescript("nonsense"),
    "script of bytes": lambda c: c.executescript(b"select 1"),
    "cursor": lambda c: c.cursor().execute("select 1").fetchone(),
    "cursor of nonsense": lambda c: c.cursor(int),
    "cursor of too much": lambda c: c.cursor(sqlite3.Cursor, 1),
    "cursor by a wrong name": lambda c: c.cursor(facto=1),
    "cursor of None": lambda c: c.cursor(None),
    "setting an attribute": lambda c: setattr(c, "own", 1),
    "changes": lambda c: (c.execute("insert into t values (1)").rowcount, c.total_changes, c.in_transaction),
    "commit with arguments": lambda c: c.commit(1),
    "commit": lambda c: (c.commit(), c.in_transaction),
    "callback error": lambda c: (c.create_function("f", 0, lambda: 1 / 0), c.execute("select f()")),
    "trace": lambda c: trace(c),
    "leaving": lambda c: c.__exit__(None),
    "closed": lambda c: (c.close(), c.execute("select 1")),
    "closed cursor": lambda c: c.cursor(),
    "leaving the closed": lambda c: c.__exit__(None, None, None),
    "committing the closed": lambda c: c.commit(),
}


def trace(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite itself says was executed."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    with connection:
        connection.execute("insert into t values (2)")
        connection.cursor().execute("select 1").fetchone()
    connection.set_trace_callback(None)
    return statements


def test_same_results_with_and_without() -> None:
    def outcomes() -> dict[str, Any]:
        connection = sqlite3.connect(":memory:")
        connection.execute("create table t (a)")
        found: dict[str, Any] = {}
        for name, operation in OPERATIONS.items():
            try:
                found[name] = operation(connection)
            except Exception as error:
                text = str(error).replace("'sqlite3.Connection'", "'Connection'")  # a subclass's name has no module
                found[name] = (type(error), text, type(error.__context__), type(error.__cause__))
        connection.close()
        return found

    unpatch("sqlite3")
    without = outcomes()
    patch(sqlite3=True)
    assert outcomes() == without


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit is new in 3.12")
def test_autocommit(recorder: Recorder) -> None:
    options: dict[str, Any] = {"autocommit": True}
    with contextlib.closing(sqlite3.connect(":memory:", **options)) as connection:
        with connection:
            connection.execute("begin")
        assert connection.in_transaction
        connection.close()
        with connection:
            pass
    assert recorder.names() == ["sqlite.query"]
