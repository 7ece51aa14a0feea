"""aiomysql, and the asyncio half of MySQL Connector, with a real MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiomysql
import mysql.connector.aio
import pymysql
import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active
from tests.integrations.likeness import awaited_outcomes, cancelled
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import Driver, awaited, numbered

pytestmark = pytest.mark.filterwarnings("ignore:Table:Warning")


@pytest.fixture(name="driver")
def _driver(mariadb_port: int, recorder: Recorder) -> Driver:
    patch(aiomysql=True, mysql=True)
    return Driver("aiomysql", "mysql", "mysql", "mysql", "mysql", mariadb_port, "test", "root")


async def connect(driver: Driver) -> Any:
    """Open a connection."""
    return await aiomysql.connect(host="127.0.0.1", port=driver.port, user="root", db="test")


@awaited
async def test_statements(driver: Driver, recorder: Recorder) -> None:
    async with await connect(driver) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("create or replace table u (a int)")
            await cursor.executemany("insert into u values (%s)", [(1,), (2,)])
            await cursor.execute("select a from u where a > %s", (0,))
            assert [row async for (row,) in cursor] == [1, 2]
        async with connection.cursor(aiomysql.SSDictCursor) as cursor:
            await cursor.execute("select 3 as a")
            assert await cursor.fetchall() == [{"a": 3}]
        await connection.commit()
        await connection.rollback()
    assert active.get() is None
    [*first, unbuffered, committed, rolled_back] = recorder.take()
    assert unbuffered["resource"] == "select 3 as a"
    assert [*first, {**committed, "trace": 4}, {**rolled_back, "trace": 5}] == numbered(
        [
            driver.query("create or replace table u (a int)", 0),
            driver.many("insert into u values (%s)", 2),
            driver.query("select a from u where a > %s", 2),
            driver.ended("commit"),
            driver.ended("rollback"),
        ]
    )


@awaited
async def test_refused_and_cancelled(driver: Driver, recorder: Recorder) -> None:
    connection, other = await connect(driver), await connect(driver)
    cursor, watching = await connection.cursor(), await other.cursor()
    with pytest.raises(pymysql.err.ProgrammingError) as refused:
        await cursor.execute("selec")
    assert recorder.take() == [driver.query("selec", error=1, tags=failed(refused.value))]
    task = asyncio.create_task(cursor.execute("select sleep(10)"))
    while not await watching.execute("select 1 from information_schema.processlist where state = 'User sleep'"):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert active.get() is None
    connection.close()
    other.close()
    [span] = [span for span in recorder.take() if span["resource"] == "select sleep(10)"]
    assert span["tags"]["error.type"] == "asyncio.exceptions.CancelledError"


@awaited
async def test_a_pool(driver: Driver, recorder: Recorder) -> None:
    async with aiomysql.create_pool(host="127.0.0.1", port=driver.port, user="root", minsize=1, maxsize=1) as pool:
        connection = await pool.acquire()
        await (await connection.cursor()).execute("select 1")
        pool.release(connection)
    assert recorder.names() == ["mysql.query"]


OPERATIONS: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "rows": lambda _, c: c.execute("select 1, %s", ("a",)),
    "nothing": lambda _, c: c.execute(),
    "syntax": lambda _, c: c.execute("selec"),
    "missing parameters": lambda _, c: c.execute("select %s, %s", (1,)),
    "percent signs": lambda _, c: c.execute("select '%'"),
    "many of nothing": lambda _, c: c.executemany("insert into u values (%s)", []),
    "no such procedure": lambda _, c: c.callproc("nonsense"),
    "rolling back": lambda conn, _: conn.rollback(),
    "timeout": lambda _, c: c.execute("set statement max_statement_time = 0.01 for select sleep(5)"),
    "a closed cursor": lambda _, c: closed(c),
    "cancelled": lambda conn, _: cancelled(conn.query("select sleep(5)")),
    "after that": lambda conn, _: conn.query("select 1"),
}


async def closed(cursor: Any) -> None:
    """Use a cursor that is closed."""
    await cursor.close()
    await cursor.execute("select 1")


def test_same_results_with_and_without(driver: Driver) -> None:
    async def found() -> dict[str, Any]:
        async with await connect(driver) as connection:
            return await awaited_outcomes(OPERATIONS, connection, await connection.cursor())

    unpatch("aiomysql")
    without = asyncio.run(found())
    patch(aiomysql=True)
    assert asyncio.run(found()) == without


def test_same_results_of_the_connector_with_and_without(driver: Driver) -> None:
    operations: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
        **OPERATIONS,
        "cancelled": lambda conn, _: cancelled(conn.cmd_query("select sleep(1)")),
    }
    del operations["after that"]  # it is lost then

    async def found() -> dict[str, Any]:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": driver.port, "user": "root", "ssl_disabled": True}
        connection = await mysql.connector.aio.connect(**options, database="test")
        results = await awaited_outcomes(operations, connection, await connection.cursor(buffered=True))
        await connection.shutdown()
        return results

    unpatch("mysql")
    without = asyncio.run(found())
    patch(mysql=True)
    assert asyncio.run(found()) == without


@awaited
async def test_the_connectors(driver: Driver, recorder: Recorder) -> None:
    driver = driver._replace(component="mysql")
    # Without TLS, which this server does not offer, and that is more than it expects.
    options: dict[str, Any] = {"user": "root", "database": "test", "ssl_disabled": True}
    options |= {"host": "127.0.0.1", "port": driver.port}
    async with await mysql.connector.aio.connect(**options) as connection:
        recorder.take()
        async with await connection.cursor() as cursor:
            await cursor.execute("create or replace table w (a int)")
            await cursor.executemany("insert into w values (%s)", [(1,), (2,)])
        async with await connection.cursor(prepared=True) as cursor:
            await cursor.execute("select a from w where a > %s", (1,))
            assert await cursor.fetchall() == [(2,)]
        await connection.commit()
    found = recorder.take()
    assert found[:2] == numbered(
        [driver.query("create or replace table w (a int)", 0), driver.many("insert into w values (%s)", 2)]
    )
    assert [span["resource"] for span in found[2:4]] == ["select a from w where a > %s", "mysql.connection.commit"]
