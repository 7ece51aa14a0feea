"""The comment that tells a database who asks: as the server itself saw it, driver by driver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg2.sql as psycopg2_sql
import pytest
import sqlalchemy

from ddmiddleware import patch, tracer
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.mysql_drivers import LIBRARIES
from tests.integrations.recorder import Recorder

Mode = Callable[[str], None]
_POSTGRES = "select query from pg_stat_activity where pid = pg_backend_pid()"
_MYSQL = "select info from information_schema.processlist where id = connection_id()"


@pytest.fixture(name="mode")
def _mode(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> Mode:
    """Return what sets the mode, in a service whose name has to be quoted."""
    monkeypatch.setattr(default_tracer, "service", "shop, 100%")
    environ = {"DD_ENV": "prod", "DD_VERSION": "1/2"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    default_settings._values.clear()
    return lambda mode: monkeypatch.setitem(default_settings._values, "DD_DBM_PROPAGATION_MODE", mode)


def comment(database: str, service: str, traceparent: str = "") -> str:
    """Return what is expected."""
    tail = f",traceparent='{traceparent}'" if traceparent else ""
    return (
        f"/*dddb='{database}',dddbs='{service}',dde='prod',ddh='127.0.0.1',ddps='shop%2C%20100%25',ddpv='1/2'{tail}*/ "
    )


def test_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, read in (("", "disabled"), ("FULL", "full"), ("dynamic_service", "service"), ("nonsense", "disabled")):
        monkeypatch.setenv("DD_DBM_PROPAGATION_MODE", given)
        default_settings._values.clear()
        assert default_settings["DD_DBM_PROPAGATION_MODE"] == read


def seen(execute: Callable[..., Any], statement: Any, *parameters: Any) -> str:
    """Return what the server was sent."""
    return str(execute(statement, *parameters)[0])


@pytest.fixture(name="postgres", params=["psycopg2", "psycopg", "client"])
def _postgres(request: pytest.FixtureRequest, postgres_port: int) -> Iterator[Any]:
    """Return what executes with a cursor, and returns the row."""
    patch(psycopg=True)
    options: dict[str, Any] = {"host": "127.0.0.1", "port": postgres_port, "user": "postgres", "dbname": "postgres"}
    connect: Any = psycopg2.connect if request.param == "psycopg2" else psycopg.connect
    with contextlib.closing(connect(**options)) as connection:
        connection.autocommit = True

        def execute(*args: Any) -> Any:
            cursor = psycopg.ClientCursor(connection) if request.param == "client" else connection.cursor()
            with contextlib.closing(cursor):
                cursor.execute(*args)
                return cursor.fetchone()

        yield execute


def test_postgres(postgres: Any, mode: Mode, recorder: Recorder) -> None:
    for statement in (_POSTGRES, _POSTGRES.encode()):
        for parameters in ((), (None,), ((),)):
            mode("disabled")
            assert "/*" not in seen(postgres, statement, *parameters)
            mode("service")
            sent = seen(postgres, statement, *parameters)
            assert sent == comment("postgres", "postgres") + _POSTGRES
            assert not any("_dd.dbm_trace_injected" in span["tags"] for span in recorder.take())


def test_full_postgres(postgres: Any, mode: Mode, recorder: Recorder) -> None:
    """The comment has the ids of the statement's span, and percent signs that parameters do not make double."""
    mode("full")
    with tracer.trace("request"):
        sent = seen(postgres, f"{_POSTGRES} and 1 = %s and '%%' <> ''", (1,))
    [found] = [span for span in recorder if span.type == "sql"]
    traceparent = f"00-{found.trace_id:032x}-{found.span_id:016x}-01"
    assert comment("postgres", "postgres", traceparent) + _POSTGRES in sent
    assert found.tags["_dd.dbm_trace_injected"] == "true"
    assert found.resource.startswith("select query")


@pytest.mark.parametrize("library", [psycopg, psycopg2])
def test_cursors_on_the_server(library: Any, postgres_port: int, mode: Mode) -> None:
    patch(psycopg=True)
    mode("service")
    options = {"host": "127.0.0.1", "port": postgres_port, "user": "postgres", "dbname": "postgres"}
    with contextlib.closing(library.connect(**options)) as connection, connection.cursor("named") as cursor:
        cursor.execute("select 1 where %s = 1", (1,))
        assert cursor.fetchone() == (1,)
        other = connection.cursor()
        other.execute("select statement from pg_cursors")
        assert comment("postgres", "postgres") + "select 1 where" in other.fetchone()[0]


def test_composed_statements(postgres: Any, mode: Mode, request: pytest.FixtureRequest) -> None:
    mode("service")
    library: Any = psycopg2_sql if "psycopg2" in request.node.name else psycopg.sql
    plain = library.SQL(_POSTGRES)
    composed = library.SQL("select {} from pg_stat_activity where pid = pg_backend_pid()")
    for statement in (plain, composed.format(library.Identifier("query"))):
        assert comment("postgres", "postgres") + "select" in seen(postgres, statement)


def test_what_is_prepared_is_left_alone(postgres_port: int, mode: Mode) -> None:
    patch(psycopg=True, asyncpg=True)
    mode("full")
    options: dict[str, Any] = {"host": "127.0.0.1", "port": postgres_port, "user": "postgres"}
    with psycopg.connect(**options, autocommit=True) as connection:
        assert connection.execute(_POSTGRES, prepare=True).fetchall() == [(_POSTGRES,)]
        cursor = connection.cursor()
        cursor.executemany(f"{_POSTGRES} and 1 = %s", [(1,), (1,)], returning=True)
        assert cursor.fetchall() == [(f"{_POSTGRES} and 1 = $1",)]

    async def run() -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=postgres_port, user="postgres")
        assert await connection.fetchval(_POSTGRES) == _POSTGRES
        assert await (await connection.prepare(_POSTGRES)).fetchval() == _POSTGRES
        assert await connection.execute("select 1 where $1", True) == "SELECT 1"
        await connection.close()

    asyncio.run(run())


def test_asyncpg_without_arguments(postgres_port: int, mode: Mode, recorder: Recorder) -> None:
    patch(asyncpg=True)
    mode("service")

    async def run() -> Any:
        connection = await asyncpg.connect(host="127.0.0.1", port=postgres_port, user="postgres", database="postgres")
        await connection.execute(f"create temp table seen as {_POSTGRES}")
        row = await connection.fetchval("select query from seen")
        await connection.close()
        return row

    assert asyncio.run(run()) == comment("postgres", "postgres") + f"create temp table seen as {_POSTGRES}"


def test_many_of_psycopg2(postgres_port: int, mode: Mode, recorder: Recorder) -> None:
    patch(psycopg=True)
    mode("service")
    with contextlib.closing(psycopg2.connect(host="127.0.0.1", port=postgres_port, user="postgres")) as connection:
        cursor = connection.cursor()
        cursor.executemany(f"{_POSTGRES} and 1 = %s", [(1,), (1,)])
        assert cursor.query.startswith(b"/*dddb='postgres'")
    assert len(recorder.take()) == 1


@pytest.mark.parametrize("name", ["pymysql", "mysqldb", "mysql"])
def test_mysql(name: str, mariadb_port: int, mode: Mode, recorder: Recorder) -> None:
    library = LIBRARIES[name]
    library.load()
    patch(**{name: True})
    with contextlib.closing(library.connect(mariadb_port)) as connection:
        cursor = connection.cursor()

        def execute(*args: Any) -> Any:
            cursor.execute(*args)
            return cursor.fetchall()[0]

        assert seen(execute, _MYSQL) == _MYSQL
        mode("service")
        expected = comment("test", library.service)
        assert seen(execute, _MYSQL) == expected + _MYSQL
        assert seen(execute, f"{_MYSQL} and 1 = %s", (1,)) == f"{expected}{_MYSQL} and 1 = 1"
        mode("full")
        recorder.clear()
        sent = seen(execute, _MYSQL)
        [span] = recorder
        assert sent == comment("test", library.service, f"00-{span.trace_id:032x}-{span.span_id:016x}-01") + _MYSQL


@pytest.mark.parametrize("name", ["pymysql", "mysqldb", "mysql"])
def test_many_rows_are_still_one_statement(name: str, mariadb_port: int, mode: Mode, recorder: Recorder) -> None:
    """The drivers know an insert by how it begins, so that the comment comes later."""
    library = LIBRARIES[name]
    library.load()
    patch(**{name: True})
    with contextlib.closing(library.connect(mariadb_port)) as connection:
        cursor = connection.cursor()
        cursor.execute("create or replace table x (a int)")
        recorder.take()
        mode("full")
        cursor.executemany("insert into x (a) values (%s)", [(1,), (2,), (3,)])
        sent = getattr(cursor, "_executed", None) or cursor.statement
        sent = sent.decode() if isinstance(sent, bytes) else sent
        connection.commit()
    [query, _] = recorder.take()
    assert sent.startswith("/*dddb='test'")
    assert sent.count("(") == 4
    assert query["resource"] == "insert into x (a) values (%s)"
    assert query["tags"]["_dd.dbm_trace_injected"] == "true"


def test_prepared_cursors_of_the_connector(mariadb_port: int, mode: Mode) -> None:
    patch(mysql=True)
    mode("full")
    with contextlib.closing(LIBRARIES["mysql"].connect(mariadb_port)) as connection:
        cursor = connection.cursor(prepared=True)
        cursor.execute(f"{_MYSQL} and 1 = %s", (1,))
        assert "/*" not in str(cursor.fetchall())


def test_below_sqlalchemy(postgres_port: int, mode: Mode, recorder: Recorder) -> None:
    """The driver comments, with the ids of the span that stands for the statement."""
    patch(sqlalchemy=True, psycopg=True)
    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{postgres_port}/postgres")
    with engine.connect() as connection:
        recorder.clear()
        mode("full")
        sent = connection.execute(sqlalchemy.text(_POSTGRES)).scalar()
        [span] = recorder
    engine.dispose()
    assert span.tags["component"] == "sqlalchemy"
    assert sent == comment("postgres", "postgres", f"00-{span.trace_id:032x}-{span.span_id:016x}-01") + _POSTGRES
