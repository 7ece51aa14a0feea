"""Four drivers with a real MariaDB: PyMySQL, mysqlclient, MySQL Connector and MariaDB Connector."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from tests.integrations.likeness import outcome, outcomes
from tests.integrations.mysql_drivers import LIBRARIES, Library
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import Driver, numbered

# The connector makes what it warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(name="library", params=LIBRARIES)
def _library(request: pytest.FixtureRequest, recorder: Recorder) -> Library:
    library = LIBRARIES[request.param]
    library.load()
    patch(**{library.name: True})
    return library


@pytest.fixture(name="connection")
def _connection(library: Library, mariadb_port: int, recorder: Recorder) -> Iterator[Any]:
    with contextlib.closing(library.connect(mariadb_port)) as connection:
        cursor = connection.cursor()
        cursor.execute("create or replace table t (a int)")
        cursor.execute("create or replace procedure one() select 1")
        connection.commit()
        recorder.take()
        yield connection


@pytest.fixture(name="driver")
def _driver(library: Library, mariadb_port: int) -> Driver:
    return library.driver(mariadb_port)


def test_statements(library: Library, connection: Any, driver: Driver, recorder: Recorder) -> None:
    cursor = connection.cursor()
    cursor.executemany("insert into t values (%s)", [(1,), (2,)])
    cursor.execute("select a from t where a > %s", (0,))
    assert list(cursor.fetchall()) == [(1,), (2,)]
    cursor.execute("update t set a = 3")
    cursor.close()
    connection.commit()
    connection.rollback()
    # The connector counts rows as they are fetched.
    rows = None if library.name == "mysql" else 2
    assert recorder.take() == numbered(
        [
            driver.many("insert into t values (%s)", 2),
            driver.query("select a from t where a > %s", rows),
            driver.query("update t set a = 3", 2),
            driver.ended("commit"),
            driver.ended("rollback"),
        ]
    )


def test_many_that_are_no_insert(library: Library, connection: Any, driver: Driver, recorder: Recorder) -> None:
    """A statement is sent for each; they are one span."""
    cursor = connection.cursor()
    cursor.executemany("delete from t where a = %s", [(1,), (2,)])
    assert recorder.take() == [driver.many("delete from t where a = %s", 0)]


def test_a_refused_statement(connection: Any, driver: Driver, recorder: Recorder) -> None:
    with pytest.raises(Exception, match="You have an error in your SQL syntax") as caught:
        connection.cursor().execute("selec")
    assert recorder.take() == [driver.query("selec", error=1, tags=failed(caught.value))]


def test_a_procedure(connection: Any, driver: Driver, recorder: Recorder) -> None:
    cursor = connection.cursor()
    cursor.callproc("one", ())
    [span] = recorder.take()
    assert (span["name"], span["resource"], span["error"]) == (f"{driver.prefix}.query", "one", 0)


def test_own_cursors(library: Library, connection: Any, recorder: Recorder) -> None:
    base = type(connection.cursor())

    class OwnCursor(base):  # type: ignore[misc]
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            self.own = True
            return super().execute(*args, **kwargs)

    name = {"mysql": "cursor_class", "mariadb": "cursorclass"}.get(library.name)
    cursor = connection.cursor(**{name: OwnCursor}) if name else connection.cursor(OwnCursor)
    cursor.execute("select 1")
    assert (cursor.own, list(cursor.fetchall())) == (True, [(1,)])
    assert len(recorder.take()) == 1


KINDS: dict[str, list[Any]] = {
    "pymysql": ["DictCursor", "SSCursor", "SSDictCursor"],
    "mysqldb": ["DictCursor", "SSCursor", "SSDictCursor"],
    "mysql": [{"dictionary": True}, {"buffered": True}, {"raw": True}, {"prepared": True}],
    "mariadb": [{"dictionary": True}, {"buffered": False}, {"named_tuple": True}, {"prepared": True}],
}


def test_kinds_of_cursors(library: Library, connection: Any, recorder: Recorder) -> None:
    for kind in KINDS[library.name]:
        if isinstance(kind, dict):
            cursor = connection.cursor(**kind)
        else:
            cursor = connection.cursor(getattr(__import__(f"{library.module}.cursors").cursors, kind))
        cursor.execute("select %s as a", ("1",))
        assert len(list(cursor.fetchall())) == 1
        cursor.close()
        assert len(recorder.take()) == 1, kind


def test_a_connection_that_is_older_than_the_patch(
    library: Library, mariadb_port: int, driver: Driver, recorder: Recorder
) -> None:
    unpatch()
    with contextlib.closing(library.connect(mariadb_port)) as connection:
        patch(**{library.name: True})
        connection.cursor().execute("select 1")
        unpatch()
        [span] = recorder.take()
        assert (span["name"], span["resource"]) == (f"{driver.prefix}.query", "select 1")


def raw(cursor: Any) -> Any:
    """Execute with too few parameters."""
    return cursor.execute("select %s, %s", (1,))


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda _, c: (c.execute("select 1, %s", ("a",)), list(c.fetchall()), c.rowcount, c.description),
    "nothing": lambda _, c: c.execute(),
    "too many": lambda _, c: c.execute("select 1", None, 3, 4, 5),
    "no text": lambda _, c: c.execute(3),
    "empty": lambda _, c: c.execute(""),
    "syntax": lambda _, c: c.execute("selec"),
    "missing parameters": lambda _, c: raw(c),
    "percent signs": lambda _, c: (c.execute("select '%'"), list(c.fetchall())),
    "inserted": lambda _, c: (c.execute("insert into t values (1)"), c.rowcount, c.lastrowid),
    "many": lambda _, c: (c.executemany("insert into t values (%s)", [(1,), (2,)]), c.rowcount),
    "many by a keyword": lambda _, c: c.executemany(nonsense=1),
    "many of nothing": lambda _, c: c.executemany("insert into t values (%s)", []),
    "no such procedure": lambda _, c: c.callproc("nonsense"),
    "iterated": lambda _, c: (c.execute("select 1 union select 2"), list(c)),
    "timeout": lambda _, c: c.execute("set statement max_statement_time = 0.01 for select sleep(5)"),
    "ended": lambda conn, _: (conn.rollback(), conn.commit()),
    "commit with arguments": lambda conn, _: isinstance(outcome(lambda: conn.commit(1))[0], type(TypeError)),
    "a cursor of nonsense": lambda conn, _: conn.cursor(nonsense=1),
    "a closed cursor": lambda _, c: (c.close(), c.execute("select 1")),
    "closed": lambda conn, _: (conn.close(), conn.commit()),
}


@pytest.mark.usefixtures("connection")  # makes the table
def test_same_results_with_and_without(library: Library, mariadb_port: int) -> None:
    def found() -> dict[str, Any]:
        connection = library.connect(mariadb_port)
        cursor = connection.cursor()
        results = outcomes(OPERATIONS, connection, cursor)
        with contextlib.suppress(Exception):
            connection.close()
        return results

    unpatch()
    without = found()
    patch(**{library.name: True})
    assert found() == without
