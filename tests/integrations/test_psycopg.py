"""psycopg 3 with a real PostgreSQL: its connections, cursors of the client and of the server, and pools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg import errors, rows, sql

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active
from tests.integrations import sql_spans
from tests.integrations.likeness import awaited_outcomes, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import Driver, awaited, numbered


@pytest.fixture(name="driver")
def _driver(postgres_port: int, recorder: Recorder) -> Driver:
    patch(psycopg=True)
    return sql_spans.psycopg(postgres_port, "psycopg")


def options(driver: Driver) -> dict[str, Any]:
    """Return what a connection needs."""
    return {"host": "127.0.0.1", "port": driver.port, "user": "postgres", "dbname": "postgres"}


@pytest.fixture(name="connection")
def _connection(driver: Driver) -> Iterator[Any]:
    with contextlib.closing(psycopg.connect(**options(driver))) as connection:
        yield connection


def test_statements(connection: Any, driver: Driver, recorder: Recorder) -> None:
    cursor = connection.cursor()
    cursor.execute("create temp table t (a int)")
    cursor.executemany("insert into t values (%s)", [(1,), (2,)])
    assert cursor.execute("select a from t where a > %(least)s", {"least": 0}).fetchall() == [(1,), (2,)]
    assert connection.execute(b"select 3").fetchone() == (3,)
    cursor.execute(sql.SQL("select a as {} from t").format(sql.Identifier("b")))
    cursor.execute(sql.SQL("select 4"))
    psycopg.ClientCursor(connection).execute("select %s", (5,))
    psycopg.RawCursor(connection).execute("select $1", (6,))
    connection.commit()
    connection.rollback()
    assert recorder.take() == numbered(
        [
            driver.query("create temp table t (a int)"),
            driver.many("insert into t values (%s)", 2),
            driver.query("select a from t where a > %(least)s", 2),
            driver.query("select 3", 1),
            driver.query('select a as "b" from t', 2),
            driver.query("select 4", 1),
            driver.query("select %s", 1),
            driver.query("select $1", 1),
            driver.ended("commit"),
            driver.ended("rollback"),
        ]
    )


def test_where_a_connection_leads_is_read_once(
    connection: Any, driver: Driver, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    info = psycopg.Connection.info
    monkeypatch.setattr(psycopg.Connection, "info", property(lambda self: reads.append(self) or info.fget(self)))
    connection.execute("select 1")
    connection.execute("select 2")
    assert reads == [connection]
    with contextlib.closing(psycopg.connect(**options(driver))) as another:
        another.execute("select 3")
    assert reads == [connection, another]
    queries = [driver.query(f"select {number}", 1) for number in (1, 2, 3)]
    assert recorder.take() == numbered(queries)


def test_a_refused_statement(connection: Any, driver: Driver, recorder: Recorder) -> None:
    with pytest.raises(errors.SyntaxError) as caught:
        connection.execute("selec")
    assert recorder.take() == [driver.query("selec", error=1, tags=failed(caught.value))]


def test_leaving_blocks(driver: Driver, recorder: Recorder) -> None:
    """A connection's ends its transaction and closes it; an inner transaction's sends what it needs by itself."""
    with psycopg.connect(**options(driver)) as connection:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.execute("select 2")
    assert recorder.names() == ["postgres.query", "postgres.query", "psycopg.connection.commit"]


def test_a_cursor_on_the_server(connection: Any, driver: Driver, recorder: Recorder) -> None:
    with connection.cursor("named") as cursor:
        cursor.itersize = 1
        cursor.execute("select generate_series(1, %s)", (3,))
        assert [row for (row,) in cursor] == [1, 2, 3]
    assert recorder.take() == [driver.query("select generate_series(1, %s)")]


def test_a_pipeline(connection: Any, recorder: Recorder) -> None:
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.execute("select 1")
        cursor.executemany("select %s", [(2,), (3,)], returning=True)
    assert recorder.names() == ["postgres.query", "postgres.query"]


def test_own_classes(driver: Driver, recorder: Recorder) -> None:
    class OwnCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            return super().execute(query + " as own", *args, **kwargs)

    with psycopg.connect(**options(driver), cursor_factory=OwnCursor, row_factory=rows.dict_row) as connection:
        assert connection.execute("select 1").fetchall() == [{"own": 1}]
    assert [span["resource"] for span in recorder.take()] == ["select 1 as own", "psycopg.connection.commit"]


def test_a_pool(driver: Driver, recorder: Recorder) -> None:
    with psycopg_pool.ConnectionPool(kwargs=options(driver), min_size=1, max_size=1, open=True) as pool:
        with pool.connection() as connection:
            connection.execute("select 1")
        with pool.connection() as again:
            assert again is connection
    assert recorder.names() == ["postgres.query", "psycopg.connection.commit", "psycopg.connection.commit"]


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda _, c: (c.execute("select 1, %s", ("a",)).fetchall(), c.rowcount, c.statusmessage),
    "a keyword": lambda _, c: c.execute(query="select 1", params=None, prepare=True, binary=True).fetchone(),
    "nothing": lambda _, c: c.execute(),
    "too many": lambda _, c: c.execute("select 1", None, 3),
    "no text": lambda _, c: c.execute(3),
    "empty": lambda _, c: c.execute("").statusmessage,
    "missing parameters": lambda _, c: c.execute("select %s, %s", (1,)),
    "percent signs": lambda _, c: c.execute("select '%'").fetchone(),
    "no adapter": lambda _, c: c.execute("select %s", (object(),)),
    "no many": lambda _, c: c.executemany("select 1", None),
    "a generator": lambda _, c: (c.executemany("select %s", ((n,) for n in range(3))), c.rowcount),
    "stream": lambda _, c: list(c.stream("select generate_series(1, 3)")),
    "copy": lambda _, c: copied(c),
    "failing": lambda conn, c: c.execute("selec"),
    "a failed transaction": lambda _, c: c.execute("select 1"),
    "rolling back": lambda conn, _: (conn.rollback(), conn.info.transaction_status),
    "timeout": lambda conn, c: (c.execute("set statement_timeout = 10"), c.execute("select pg_sleep(5)")),
    "cancel": lambda conn, _: (conn.cancel_safe(), conn.rollback()),
    "two-phase": lambda conn, _: (conn.tpc_begin("x"), conn.execute("select 1").fetchone(), conn.tpc_rollback()),
    "a cursor of nonsense": lambda conn, _: conn.cursor(nonsense=1),
    "many on the server": lambda conn, _: many_on_the_server(conn),
    "commit with arguments": lambda conn, _: conn.commit(1),
    "commit in a transaction": lambda conn, _: committed_within(conn),
    "a closed cursor": lambda _, c: (c.close(), c.execute("select 1")),
    "closed": lambda conn, _: (conn.close(), conn.closed, conn.commit()),
    "a closed connection": lambda conn, _: conn.execute("select 1"),
}


def copied(cursor: Any) -> list[Any]:
    """Return what the server copies out."""
    with cursor.copy("copy (select 1) to stdout") as copy:
        return [bytes(data) for data in copy]


def many_on_the_server(connection: Any) -> None:
    """Do what such cursors cannot."""
    with connection.cursor("n") as cursor:
        cursor.executemany("select 1", [()])


def committed_within(connection: Any) -> None:
    """Do what is forbidden."""
    with connection.transaction():
        connection.commit()


def test_same_results_with_and_without(driver: Driver) -> None:
    def found() -> dict[str, Any]:
        connection = psycopg.connect(**options(driver))
        cursor = connection.cursor()
        return outcomes(OPERATIONS, connection, cursor)

    unpatch("psycopg")
    without = found()
    patch(psycopg=True)
    assert found() == without


async def connect(driver: Driver) -> Any:
    """Open an asynchronous connection."""
    return await psycopg.AsyncConnection.connect(**options(driver))


@awaited
async def test_statements_awaited(driver: Driver, recorder: Recorder) -> None:
    async with await connect(driver) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("create temp table t (a int)")
            await cursor.executemany("insert into t values (%s)", [(1,), (2,)])
            await cursor.execute(sql.SQL("select a from t"))
            assert [row async for (row,) in cursor] == [1, 2]
        async with connection.cursor("named") as cursor:
            await cursor.execute("select 1")
            assert await cursor.fetchall() == [(1,)]
        assert active.get() is None
        await connection.rollback()
    assert recorder.take() == numbered(
        [
            driver.query("create temp table t (a int)"),
            driver.many("insert into t values (%s)", 2),
            driver.query("select a from t", 2),
            driver.query("select 1"),
            driver.ended("rollback"),
            driver.ended("commit"),
        ]
    )


@awaited
async def test_refused_and_cancelled(driver: Driver, recorder: Recorder) -> None:
    """By the server, by the clock, and by whoever waits for it."""
    connection = await connect(driver)
    with pytest.raises(errors.SyntaxError):
        await connection.execute("selec")
    await connection.rollback()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connection.execute("select pg_sleep(10)"), 0.05)
    await connection.rollback()
    task = asyncio.create_task(connection.execute("select pg_sleep(10)"))
    await sleeping(driver)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert active.get() is None
    await connection.close()
    spans = [span for span in recorder.take() if span["resource"] in ("selec", "select pg_sleep(10)")]
    kinds = [span["tags"].get("error.type") for span in spans]
    assert kinds[0] == "psycopg.errors.SyntaxError"
    assert kinds[1:] == ["asyncio.exceptions.CancelledError"] * 2


async def sleeping(driver: Driver) -> None:
    """Wait until a statement of another connection is asleep on the server."""
    async with await connect(driver) as other:
        asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        while await (await other.execute(asleep)).fetchone() != (1,):
            await asyncio.sleep(0)


@awaited
async def test_a_pool_awaited(driver: Driver, recorder: Recorder) -> None:
    async with psycopg_pool.AsyncConnectionPool(kwargs=options(driver), min_size=1, max_size=1, open=False) as pool:
        connection = await pool.getconn()
        await connection.execute("select 1")
        await connection.commit()
        await pool.putconn(connection)
    assert recorder.names() == ["postgres.query", "psycopg.connection.commit"]


AWAITED: dict[str, Callable[[Any, Driver], Awaitable[Any]]] = {
    "rows": lambda conn, _: fetched(conn.execute("select 1, %s::text", ("a",))),
    "nothing": lambda conn, _: conn.execute(),
    "syntax": lambda conn, _: conn.execute("selec"),
    "a failed transaction": lambda conn, _: conn.execute("select 1"),
    "rolling back": lambda conn, _: conn.rollback(),
    "missing parameters": lambda conn, _: conn.execute("select %s, %s", (1,)),
    "no many": lambda conn, _: conn.cursor().executemany("select 1", None),
    "timeout": lambda conn, _: conn.execute("set statement_timeout = 10; select pg_sleep(5)"),
    "after that": lambda conn, _: conn.rollback(),
    "cancelled": lambda conn, driver: cancelled_asleep(conn, driver),
    "commit": lambda conn, _: conn.commit(),
    "commit with arguments": lambda conn, _: conn.commit(1),
    "closed": lambda conn, _: conn.close(),
    "a closed connection": lambda conn, _: conn.execute("select 1"),
}


async def fetched(cursor: Awaitable[Any]) -> Any:
    """Return the rows of a cursor that is awaited."""
    return await (await cursor).fetchall()


async def cancelled_asleep(connection: Any, driver: Driver) -> Any:
    """Cancel a statement that runs: what is sent to cancel it may be ahead of one that does not yet."""
    task = asyncio.create_task(connection.execute("select pg_sleep(10)"))
    await sleeping(driver)
    task.cancel()
    return await task


def test_same_results_with_and_without_when_awaited(driver: Driver) -> None:
    async def found() -> dict[str, Any]:
        return await awaited_outcomes(AWAITED, await connect(driver), driver)

    unpatch("psycopg")
    without = asyncio.run(found())
    patch(psycopg=True)
    assert asyncio.run(found()) == without
