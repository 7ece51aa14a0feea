"""psycopg2 with a real PostgreSQL. Its classes are C types: connections are of subclasses of them."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors, extensions, extras, pool, sql

from ddmiddleware import patch, unpatch
from tests.integrations.likeness import outcome, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import Driver, numbered, psycopg


@pytest.fixture(name="driver")
def _driver(postgres_port: int, recorder: Recorder) -> Driver:
    patch(psycopg=True)
    return psycopg(postgres_port, "postgres")


def connect(driver: Driver, **options: Any) -> Any:
    """Open a connection."""
    return psycopg2.connect(host="127.0.0.1", port=driver.port, user="postgres", dbname="postgres", **options)


@pytest.fixture(name="connection")
def _connection(driver: Driver) -> Iterator[Any]:
    with contextlib.closing(connect(driver)) as connection:
        yield connection


def test_statements(connection: Any, driver: Driver, recorder: Recorder) -> None:
    cursor = connection.cursor()
    cursor.execute("create temp table t (a int)")
    cursor.executemany("insert into t values (%s)", [(1,), (2,)])
    cursor.execute("select a from t where a > %(least)s", {"least": 0})
    assert cursor.fetchall() == [(1,), (2,)]
    cursor.execute(b"select 3")
    cursor.execute(sql.SQL("select a as {} from t").format(sql.Identifier("b")))
    cursor.callproc("abs", (-1,))
    assert cursor.fetchone() == (1,)
    connection.commit()
    connection.rollback()
    assert recorder.take() == numbered(
        [
            driver.query("create temp table t (a int)"),
            driver.many("insert into t values (%s)", 2),
            driver.query("select a from t where a > %(least)s", 2),
            driver.query("select 3", 1),
            driver.query('select a as "b" from t', 2),
            driver.query("abs", 1),
            driver.ended("commit"),
            driver.ended("rollback"),
        ]
    )


def test_a_refused_statement(connection: Any, driver: Driver, recorder: Recorder) -> None:
    with pytest.raises(errors.SyntaxError) as caught:
        connection.cursor().execute("selec")
    assert recorder.take() == [driver.query("selec", error=1, tags=failed(caught.value))]


def test_leaving_blocks(connection: Any, recorder: Recorder) -> None:
    """The connection's ends its transaction; the cursor's closes it."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select 1")
    assert cursor.closed
    with pytest.raises(ZeroDivisionError), connection:
        raise ZeroDivisionError
    assert recorder.names() == ["postgres.query", "postgres.connection.commit", "postgres.connection.rollback"]


def test_a_cursor_on_the_server(connection: Any, driver: Driver, recorder: Recorder) -> None:
    with connection.cursor("named") as cursor:
        cursor.itersize = 1
        cursor.execute("select generate_series(1, 3)")
        assert [row for (row,) in cursor] == [1, 2, 3]
    assert recorder.take() == [driver.query("select generate_series(1, 3)")]


class OwnCursor(extensions.cursor):
    """Counts what it executes."""

    executed = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        self.executed += 1
        return super().execute(*args, **kwargs)


class OwnConnection(extensions.connection):
    """Has a label, and commits in its own way."""

    label = "mine"

    def commit(self) -> None:
        self.label = "committed"
        super().commit()


@pytest.mark.parametrize("how", ["keyword", "position", "attribute", "connect", "cursor"])
def test_own_classes(how: str, driver: Driver, recorder: Recorder) -> None:
    """What they override is called as ever, and what they call by ``super()`` makes the spans."""
    options = {"cursor_factory": OwnCursor} if how == "connect" else {}
    with contextlib.closing(connect(driver, connection_factory=OwnConnection, **options)) as connection:
        assert isinstance(connection, OwnConnection)
        if how == "attribute":
            connection.cursor_factory = OwnCursor
        arguments = {"keyword": {"cursor_factory": OwnCursor}, "cursor": {"cursor_factory": OwnCursor, "name": "n"}}
        cursor = connection.cursor(*((None, OwnCursor) if how == "position" else ()), **arguments.get(how, {}))
        assert isinstance(cursor, OwnCursor)
        cursor.execute("select 1")
        assert (cursor.executed, cursor.fetchone()) == (1, (1,))
        connection.commit()
        assert connection.label == "committed"
    assert recorder.names() == ["postgres.query", "postgres.connection.commit"]


@pytest.mark.parametrize(
    ("factory", "row"),
    [
        (extras.DictCursor, [1]),
        (extras.RealDictCursor, {"a": 1}),
        (extras.NamedTupleCursor, (1,)),
    ],
)
def test_the_librarys_own_cursors(factory: Any, row: Any, connection: Any, recorder: Recorder) -> None:
    with connection.cursor(cursor_factory=factory) as cursor:
        cursor.execute("select 1 as a")
        assert isinstance(cursor, factory)
        assert cursor.fetchone() == row
    assert recorder.names() == ["postgres.query"]


def test_the_librarys_own_connections(driver: Driver, recorder: Recorder) -> None:
    with contextlib.closing(connect(driver, connection_factory=extras.RealDictConnection)) as connection:
        assert isinstance(connection, extras.RealDictConnection)
        cursor = connection.cursor()
        cursor.execute("select 1 as a")
        assert cursor.fetchall() == [{"a": 1}]
    assert recorder.names() == ["postgres.query"]


def test_a_factory_that_is_a_function(driver: Driver, recorder: Recorder) -> None:
    made: list[Any] = []

    def factory(dsn: str, *args: Any, **kwargs: Any) -> Any:
        made.append(extensions.connection(dsn, *args, **kwargs))
        return made[-1]

    with contextlib.closing(connect(driver, connection_factory=factory)) as connection:
        assert connection is made[0]
        connection.cursor().execute("select 1")
    assert recorder.take() == []


def test_what_c_code_checks(connection: Any) -> None:
    """Types, adapters and quoting are given to the connection and to the cursor itself."""
    cursor = connection.cursor()
    upper = extensions.new_type((25,), "UPPER", lambda value, _cursor: value and value.upper())
    extensions.register_type(upper, cursor)
    cursor.execute("select 'text'::text, %s", (extras.Json({"a": 1}),))
    assert cursor.fetchone() == ("TEXT", '{"A": 1}')
    extras.register_default_jsonb(connection)
    extras.register_uuid(conn_or_curs=connection)
    extensions.register_type(extensions.UNICODEARRAY, connection)
    assert extensions.quote_ident('a"b', connection) == extensions.quote_ident('a"b', cursor) == '"a""b"'
    assert sql.Identifier("a").as_string(connection) == '"a"'
    binary = extensions.Binary(b"a")
    binary.prepare(connection)
    assert binary.getquoted() == b"'\\x61'::bytea"
    assert extras.execute_values(cursor, "select * from (values %s) v", [(1,), (2,)], fetch=True) == [(1,), (2,)]
    extras.execute_batch(cursor, "select %s", [(1,), (2,)])
    assert cursor.mogrify("select %s", (1,)) == b"select 1"


def test_types_and_classes(connection: Any) -> None:
    cursor = connection.cursor()
    assert isinstance(connection, extensions.connection)
    assert isinstance(cursor, extensions.cursor)
    for made, kind in ((connection, extensions.connection), (cursor, extensions.cursor)):
        assert (type(made).__name__, type(made).__module__, type(made).__doc__) == (
            kind.__name__,
            kind.__module__,
            kind.__doc__,
        )
        assert not hasattr(made, "__dict__")
        with pytest.raises(TypeError):
            pickle.dumps(made)
        with pytest.raises(TypeError):
            copy.copy(made)
        assert [name for name in dir(kind) if not hasattr(type(made), name)] == []
    assert cursor.connection is connection
    assert connection.cursor_factory is None


@pytest.mark.parametrize("statement", ["from psycopg2 import connect", "import psycopg2\nconnect = psycopg2.connect"])
def test_names_in_other_modules(statement: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    unpatch("psycopg")
    application = ModuleType("application")
    exec(statement, application.__dict__)
    monkeypatch.setitem(sys.modules, "application", application)
    original = application.connect
    patch(psycopg=True)
    assert application.connect is psycopg2.connect is not original
    unpatch("psycopg")
    assert application.connect is psycopg2.connect is original


def test_a_connection_that_outlives_the_patch(connection: Any, recorder: Recorder) -> None:
    unpatch("psycopg")
    connection.cursor().execute("select 1")
    connection.commit()
    assert recorder.take() == []


def test_a_pool(driver: Driver, recorder: Recorder) -> None:
    connections = pool.ThreadedConnectionPool(1, 2, host="127.0.0.1", port=driver.port, user="postgres")
    connection = connections.getconn()
    connection.cursor().execute("select 1")
    connections.putconn(connection)
    assert connections.getconn() is connection
    connections.closeall()
    assert recorder.names() == ["postgres.query", "postgres.connection.rollback"]


def test_a_connection_that_does_not_wait(driver: Driver, recorder: Recorder) -> None:
    """Its ``execute`` has only begun when it returns."""
    with contextlib.closing(connect(driver, async_=1)) as connection:
        extras.wait_select(connection)
        cursor = connection.cursor()
        cursor.execute("select 1")
        extras.wait_select(connection)
        assert cursor.fetchone() == (1,)
    assert recorder.names() == ["postgres.query"]


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda _, c: (c.execute("select 1, %s", ("a",)), c.fetchall(), c.rowcount, c.query),
    "description": lambda _, c: (c.execute("select 1 as a"), c.description, c.statusmessage),
    "nothing": lambda _, c: c.execute(),
    "too many": lambda _, c: c.execute("select 1", None, 3),
    "a keyword": lambda _, c: (c.execute(query="select 1", vars=None), c.fetchone()),
    "no text": lambda _, c: c.execute(3),
    "empty": lambda _, c: c.execute(""),
    "missing parameters": lambda _, c: c.execute("select %s, %s", (1,)),
    "percent signs": lambda _, c: (c.execute("select '%'"), c.fetchone()),
    "no adapter": lambda _, c: c.execute("select %s", (object,)),
    "no many": lambda _, c: c.executemany("select 1", None),
    "a generator": lambda _, c: (c.executemany("select %s", ((n,) for n in range(3))), c.rowcount),
    "copy to": lambda _, c: copied(c),
    "copy from": lambda _, c: (
        c.execute("create temp table s (a int)"),
        c.copy_from(io.StringIO("1\n2\n"), "s"),
        c.rowcount,
    ),
    "no such procedure": lambda _, c: c.callproc("nonsense"),
    "a failed transaction": lambda _, c: c.execute("select 1"),
    "rolling back": lambda conn, _: (conn.rollback(), conn.status),
    "timeout": lambda conn, c: (c.execute("set statement_timeout = 10"), c.execute("select pg_sleep(5)")),
    "status": lambda conn, _: (conn.get_transaction_status(), conn.rollback()),
    "cancel": lambda conn, _: (conn.cancel(), conn.rollback()),
    "two-phase": lambda conn, _: (conn.tpc_begin(conn.xid(1, "a", "b")), conn.tpc_rollback()),
    "a cursor by a wrong name": lambda conn, _: conn.cursor(nonsense=1),
    "a cursor of nonsense": lambda conn, _: conn.cursor(cursor_factory=int),
    "a named cursor": lambda conn, _: (
        conn.cursor("n", withhold=True).withhold,
        conn.cursor("n", scrollable=True).name,
    ),
    "commit with arguments": lambda conn, _: conn.commit(1),
    "autocommit": lambda conn, c: (setattr(conn, "autocommit", True), c.execute("select 1"), conn.status),
    "iterated": lambda _, c: (c.execute("select generate_series(1, 2)"), list(c)),
    "scrolled": lambda _, c: (c.execute("select generate_series(1, 2)"), c.scroll(1), c.fetchone()),
    "a closed cursor": lambda _, c: (c.close(), c.execute("select 1")),
    "closed": lambda conn, _: (conn.close(), conn.closed, conn.commit()),
    "a closed connection's cursor": lambda conn, _: conn.cursor(),
}


def copied(cursor: Any) -> str:
    """Return what the server copies out."""
    out = io.StringIO()
    cursor.copy_expert("copy (select 1) to stdout", out)
    return out.getvalue()


def test_same_results_with_and_without(driver: Driver) -> None:
    def found() -> dict[str, Any]:
        connection = connect(driver)
        cursor = connection.cursor()
        return outcomes(OPERATIONS, connection, cursor)

    unpatch("psycopg")
    without = found()
    patch(psycopg=True)
    assert found() == without


def test_connecting_fails_as_before() -> None:
    def refused() -> list[Any]:
        return [
            outcome(lambda: psycopg2.connect(host="127.0.0.1", port=1, connect_timeout=1)),
            outcome(lambda: psycopg2.connect()),
            outcome(lambda: psycopg2.connect(nonsense=1)),
            outcome(lambda: psycopg2.connect("host=127.0.0.1 port=1", int)),
        ]

    without = refused()
    patch(psycopg=True)
    assert refused() == without
