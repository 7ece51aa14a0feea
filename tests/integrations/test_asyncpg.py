"""asyncpg with a real PostgreSQL: statements with and without arguments, prepared ones, cursors, pools, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active
from tests.integrations.likeness import awaited_outcomes, cancelled
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import Driver, awaited, numbered


@pytest.fixture(name="driver")
def _driver(postgres_port: int, recorder: Recorder) -> Driver:
    patch(asyncpg=True)
    return Driver("asyncpg", "postgresql", "postgres", "postgres", "", postgres_port, "postgres", "postgres")


async def connect(driver: Driver) -> Any:
    """Open a connection."""
    return await asyncpg.connect(host="127.0.0.1", port=driver.port, user="postgres", database="postgres")


def connected(driver: Driver) -> dict[str, Any]:
    """Return the span of connecting."""
    span = driver.query("postgres.connect", name="postgres.connect")
    del span["tags"]["_dd.measured"]
    return span


@awaited
async def test_statements(driver: Driver, recorder: Recorder) -> None:
    connection = await connect(driver)
    assert await connection.execute("create temp table t (a int)") == "CREATE TABLE"
    await connection.executemany("insert into t values ($1)", [(1,), (2,)])
    assert await connection.execute("insert into t values ($1)", 3) == "INSERT 0 1"
    assert [tuple(row) for row in await connection.fetch("select a from t")] == [(1,), (2,), (3,)]
    assert await connection.fetchval("select a from t where a > $1", 2) == 3
    assert await connection.fetchrow("select a from t where a > 3") is None
    assert active.get() is None
    await connection.close()
    assert recorder.take() == numbered(
        [
            connected(driver),
            driver.query("create temp table t (a int)"),
            driver.many("insert into t values ($1)"),
            driver.query("insert into t values ($1)", 1),
            driver.query("select a from t", 3),
            driver.query("select a from t where a > $1", 1),
            driver.query("select a from t where a > 3", 0),
        ]
    )


@awaited
async def test_prepared_statements_and_cursors(driver: Driver, recorder: Recorder) -> None:
    connection = await connect(driver)
    prepared = await connection.prepare("select $1::int as a")
    recorder.take()
    assert await prepared.fetchval(1) == 1
    await prepared.executemany([(1,), (2,)])
    async with connection.transaction():
        assert [row[0] async for row in connection.cursor("select generate_series(1, 3)", prefetch=2)] == [1, 2, 3]
    await connection.close()
    assert recorder.take() == numbered(
        [
            driver.query("select $1::int as a", 1),
            driver.many("select $1::int as a"),
            driver.query("BEGIN;"),
            driver.query("select generate_series(1, 3)", 2),
            driver.query("select generate_series(1, 3)", 1),
            driver.query("COMMIT;"),
        ]
    )


@awaited
async def test_refused_statements(driver: Driver, recorder: Recorder) -> None:
    """One is refused when it is prepared, the other when it is executed."""
    connection = await connect(driver)
    recorder.take()
    with pytest.raises(asyncpg.PostgresSyntaxError) as unprepared:
        await connection.fetch("selec")
    with pytest.raises(asyncpg.DivisionByZeroError) as executed:
        await connection.fetch("select 1 / $1", 0)
    await connection.close()
    assert recorder.take() == numbered(
        [
            driver.query("selec", error=1, tags=failed(unprepared.value)),
            driver.query("select 1 / $1", error=1, tags=failed(executed.value)),
        ]
    )


@awaited
async def test_cancelled_and_out_of_time(driver: Driver, recorder: Recorder) -> None:
    connection, other = await connect(driver), await connect(driver)
    recorder.take()
    with pytest.raises(asyncio.TimeoutError):
        await connection.fetch("select pg_sleep(10)", timeout=0.05)
    task = asyncio.create_task(connection.execute("select pg_sleep(20)"))
    while not await other.fetchval("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert active.get() is None
    await asyncio.gather(connection.close(), other.close())
    spans = {span["resource"]: span["tags"].get("error.type") for span in recorder.take()}
    assert spans["select pg_sleep(10)"] in ("TimeoutError", "asyncio.exceptions.TimeoutError", "builtins.TimeoutError")
    assert spans["select pg_sleep(20)"] == "asyncio.exceptions.CancelledError"


@awaited
async def test_refused_connections(driver: Driver, recorder: Recorder) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(host="127.0.0.1", port=1, user="postgres", database="d")
    [span] = recorder.take()
    assert (span["name"], span["error"]) == ("postgres.connect", 1)
    assert {"db.name": "d", "out.host": "127.0.0.1", "network.destination.port": 1}.items() <= span["tags"].items()


@awaited
async def test_a_pool(driver: Driver, recorder: Recorder) -> None:
    """Its connections are cleaned when they come back."""
    options: dict[str, Any] = {"host": "127.0.0.1", "port": driver.port, "user": "postgres"}
    async with asyncpg.create_pool(**options, min_size=1, max_size=1) as pool:
        assert await pool.fetchval("select 1") == 1
    names = [span["resource"].partition("\n")[0] for span in recorder.take()]
    assert names[:2] == ["postgres.connect", "select 1"]


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "rows": lambda c: c.fetch("select 1 as a, $1::text as b", "b"),
    "nothing": lambda c: c.fetch(),
    "too many": lambda c: c.fetch("select 1", 2),
    "too few": lambda c: c.fetch("select $1::int"),
    "wrong type": lambda c: c.fetch("select $1::int", "a"),
    "a keyword": lambda c: c.execute(query="select 1", timeout=5),
    "several": lambda c: c.execute("select 1; select 2"),
    "syntax": lambda c: c.execute("selec"),
    "no text": lambda c: c.execute(3),
    "many": lambda c: c.executemany("select $1::int", [(1,), ("a",)]),
    "many of nothing": lambda c: c.executemany("select $1::int", []),
    "reset": lambda c: c.reset(),
    "copy": lambda c: c.copy_from_query("select 1", output="/dev/null"),
    "copy records": lambda c: c.copy_records_to_table("nonsense", records=[(1,)]),
    "types": lambda c: c.set_type_codec("json", encoder=str, decoder=str, schema="pg_catalog"),
    "timeout": lambda c: c.fetch("select pg_sleep(5)", timeout=0.05),
    "out of time": lambda c: asyncio.wait_for(c.fetch("select pg_sleep(1)"), 0.05),
    "cancelled": lambda c: cancelled(c.fetch("select pg_sleep(1)")),
    "not harmed": lambda c: c.fetchval("select 1"),
    "closed": lambda c: c.close(),
    "after that": lambda c: c.fetch("select 1"),
}


def test_same_results_with_and_without(driver: Driver) -> None:
    async def found() -> dict[str, Any]:
        return await awaited_outcomes(OPERATIONS, await connect(driver))

    unpatch("asyncpg")
    without = asyncio.run(found())
    patch(asyncpg=True)
    assert asyncio.run(found()) == without
