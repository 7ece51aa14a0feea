"""A traced SQLite connection is like any other, and an application's own classes are as they were."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from tests.integrations.recorder import Recorder


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> None:
    patch(sqlite3=True)


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
    with contextlib.closing(sqlite3.connect(":memory:")) as other:
        assert type(other) is type(connection)


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
