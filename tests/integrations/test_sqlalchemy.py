"""SQLAlchemy over real drivers and servers, alone and with the driver's own integration on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc, orm

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.integrations import is_on
from ddmiddleware.tracing import active, default_settings
from tests.integrations.likeness import awaited_outcomes, cancelled, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.sql_spans import numbered

Engines = Callable[..., Any]
SECOND = pytest.mark.skipif(sqlalchemy.__version__ < "2", reason="SQLAlchemy knows psycopg 3 from 2.0 on")
_text = sqlalchemy.text


@pytest.fixture(name="engine")
def _engine(recorder: Recorder) -> Iterator[Engines]:
    """Return what makes an engine of a URL, which has been connected already."""
    made = []

    def engine(url: str, **options: Any) -> Any:
        made.append(sqlalchemy.create_engine(url, future=True, **options))  # in 1.4 what is the only way in 2
        made[-1].connect().close()  # asks the server what it is
        recorder.take()
        return made[-1]

    yield engine
    for each in made:
        each.dispose()


def query(vendor: str, system: str, resource: str, rows: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return the span of a statement."""
    tags = {"component": "sqlalchemy", "span.kind": "client", "db.system": system, "_dd.measured": 1}
    tags |= changes.pop("tags", {})
    if rows is not None:
        tags["db.row_count"] = rows
    shape = {"trace": 1, "parent": 0, "service": vendor, "name": f"{vendor}.query", "type": "sql", "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}


def located(port: int, database: str, user: str) -> dict[str, Any]:
    """Return the tags that say where an engine leads."""
    return {
        "out.host": "127.0.0.1",
        "server.address": "127.0.0.1",
        "network.destination.port": port,
        "db.name": database,
        "sql.db": database,
        "db.user": user,
    }


def test_off_by_default() -> None:
    patch_all()
    assert not is_on("sqlalchemy")


def test_statements(engine: Engines, recorder: Recorder) -> None:
    patch(sqlalchemy=True)
    memory = engine("sqlite://")
    with memory.begin() as connection:
        connection.execute(_text("create table t (a integer primary key)"))
        connection.execute(_text("insert into t values (:a)"), [{"a": 1}, {"a": 2}])
        assert connection.execute(_text("select a from t where a > :a"), {"a": 1}).scalar() == 2
        connection.exec_driver_sql("select 3")
        with pytest.raises(exc.OperationalError) as caught:
            connection.execute(_text("selec"))
    assert recorder.take() == numbered(
        [
            query("sqlite", "sqlite", "create table t (a integer primary key)"),
            query("sqlite", "sqlite", "insert into t values (?)", 2),
            query("sqlite", "sqlite", "select a from t where a > ?"),
            query("sqlite", "sqlite", "select 3"),
            query("sqlite", "sqlite", "selec", error=1, tags=failed(caught.value.orig)),
        ]
    )


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=SECOND)])
def test_postgres(driver: str, postgres_port: int, engine: Engines, recorder: Recorder) -> None:
    """With the driver traced as well there is still one span for each statement, SQLAlchemy's."""
    patch(sqlalchemy=True, psycopg=True)
    tags = located(postgres_port, "postgres", "postgres")
    with engine(f"postgresql+{driver}://postgres@127.0.0.1:{postgres_port}/postgres").connect() as connection:
        connection.execute(_text("select 1 where 1 = :a"), {"a": 1})
        connection.execute(_text("create temp table t (a int)"))
        connection.execute(_text("insert into t values (:a)"), [{"a": 1}, {"a": 2}])
        connection.commit()
    found = [span for span in recorder.take() if span["name"] == "postgres.query"]
    assert [{**span, "trace": 1} for span in found] == [
        query("postgres", "postgresql", "select 1 where 1 = %(a)s", 1, tags=tags),
        query("postgres", "postgresql", "create temp table t (a int)", tags=tags),
        query("postgres", "postgresql", "insert into t values (%(a)s)", 2, tags=tags),
    ]


@pytest.mark.parametrize("driver", ["pymysql", "mysqldb", "mysqlconnector"])
def test_mysql(driver: str, mariadb_port: int, engine: Engines, recorder: Recorder) -> None:
    if driver == "mysqldb":
        pytest.importorskip("MySQLdb")
    patch(sqlalchemy=True, pymysql=True, mysql=True, mysqldb=True)
    tags = located(mariadb_port, "test", "root")
    with engine(f"mysql+{driver}://root@127.0.0.1:{mariadb_port}/test").connect() as connection:
        connection.execute(_text("create or replace table v (a int)"))
        connection.execute(_text("insert into v values (:a)"), [{"a": 1}, {"a": 2}])
    found = [span for span in recorder.take() if span["name"] == "mysql.query"]
    assert [{**span, "trace": 1} for span in found] == [
        query("mysql", "mysql", "create or replace table v (a int)", 0, tags=tags),
        query(
            "mysql", "mysql", "insert into v values (%(a)s)".replace("%(a)s", found[1]["resource"][22:-1]), 2, tags=tags
        ),
    ]


def test_the_drivers_spans_where_it_is_off(postgres_port: int, engine: Engines, recorder: Recorder) -> None:
    patch_all()
    with engine(f"postgresql+psycopg2://postgres@127.0.0.1:{postgres_port}/postgres").connect() as connection:
        connection.execute(_text("select 1"))
    spans = recorder.take()
    assert [span["name"] for span in spans] == ["postgres.query", "postgres.connection.rollback"]
    assert {span["tags"]["component"] for span in spans} == {"psycopg"}


@pytest.mark.parametrize("url", ["postgresql+asyncpg://postgres@127.0.0.1:{postgres}/postgres", "sqlite+aiosqlite://"])
def test_awaited(url: str, postgres_port: int, recorder: Recorder) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    patch(sqlalchemy=True, asyncpg=True)

    async def run() -> None:
        engine = create_async_engine(url.format(postgres=postgres_port))
        async with engine.connect() as connection:
            recorder.take()
            assert (await connection.execute(_text("select 1 where 1 = :a"), {"a": 1})).scalar() == 1
            with pytest.raises(exc.DBAPIError):
                await connection.execute(_text("selec"))
            assert active.get() is None
        await engine.dispose()

    asyncio.run(run())
    spans = [span for span in recorder.take() if span["resource"].startswith("sel")]
    assert [(span["tags"]["component"], span["error"]) for span in spans] == [("sqlalchemy", 0), ("sqlalchemy", 1)]
    assert all(span["parent"] == 0 for span in spans)


def test_the_orm(engine: Engines, recorder: Recorder) -> None:
    """An engine and classes that are older than the patch."""
    base: Any = orm.declarative_base()

    class Thing(base):  # type: ignore[misc]
        __tablename__ = "things"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        name = sqlalchemy.Column(sqlalchemy.String)

    memory = engine("sqlite://")
    base.metadata.create_all(memory)
    patch(sqlalchemy=True)
    with orm.Session(memory) as session:
        session.add_all([Thing(name="a"), Thing(name="b")])
        session.commit()
        assert session.query(Thing).filter(Thing.name.in_(["a", "b"])).count() == 2
    resources = [span["resource"] for span in recorder.take()]
    assert resources[-1].startswith("SELECT count(*)")
    assert all(resource.startswith("INSERT INTO things") for resource in resources[:-1])


def test_the_applications_own_service(engine: Engines, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    patch(sqlalchemy=True)
    memory = engine("sqlite://")
    monkeypatch.setitem(default_settings._values, "DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED", True)
    with memory.connect() as connection:
        connection.execute(_text("select 1"))
    assert [span["service"] for span in recorder.take()] == ["shop"]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda c: c.execute(_text("select 1, :a"), {"a": 2}).fetchall(),
    "many": lambda c: c.execute(_text("insert into t values (:a)"), [{"a": 1}, {"a": 2}]).rowcount,
    "syntax": lambda c: c.execute(_text("selec")),
    "missing": lambda c: c.execute(_text("select :a")),
    "a broken rule": lambda c: c.execute(_text("insert into t values (1)")),
    "driver": lambda c: c.exec_driver_sql("select ?", (1,)).scalar(),
    "nested": lambda c: c.begin_nested().rollback(),
    "closed": lambda c: (c.close(), c.execute(_text("select 1"))),
}


def test_same_results_with_and_without(engine: Engines) -> None:
    def found() -> dict[str, Any]:
        with engine("sqlite://").connect() as connection:
            connection.execute(_text("create table t (a integer primary key)"))
            return outcomes(OPERATIONS, connection)

    without = found()
    patch(sqlalchemy=True, sqlite3=True)
    assert found() == without
    unpatch()


AWAITED: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "rows": lambda c: rows(c.execute(_text("select 1, :a"), {"a": "2"})),
    "many": lambda c: count(c.execute(_text("insert into t values (:a)"), [{"a": 1}, {"a": 2}])),
    "missing": lambda c: c.execute(_text("select :a")),
    "a broken rule": lambda c: c.execute(_text("insert into t values (1)")),
    "rolling back": lambda c: c.rollback(),
    "syntax": lambda c: c.execute(_text("selec")),
    "after that": lambda c: c.rollback(),
    "streamed": lambda c: streamed(c),
    "driver": lambda c: rows(c.exec_driver_sql("select 1")),
    "closed": lambda c: c.close(),
    "after it": lambda c: c.execute(_text("select 1")),
}


async def rows(result: Awaitable[Any]) -> list[Any]:
    """Return the rows of a result that is awaited."""
    return [tuple(row) for row in (await result).fetchall()]


async def count(result: Awaitable[Any]) -> int:
    """Return how many rows it is of."""
    return int((await result).rowcount)


async def streamed(connection: Any) -> list[Any]:
    """Return rows as they come."""
    return [tuple(row) async for row in await connection.stream(_text("select 1"))]


@pytest.mark.parametrize("url", ["postgresql+asyncpg://postgres@127.0.0.1:{postgres}/postgres", "sqlite+aiosqlite://"])
def test_same_results_with_and_without_when_awaited(url: str, postgres_port: int, recorder: Recorder) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    async def found() -> dict[str, Any]:
        engine = create_async_engine(url.format(postgres=postgres_port))
        async with engine.connect() as connection:
            await connection.execute(_text("create temporary table t (a integer primary key)"))
            await connection.commit()
            results = await awaited_outcomes(AWAITED, connection)
        if "postgresql" in url:
            results |= await stopped(engine)
        assert active.get() is None
        await engine.dispose()
        return results

    async def stopped(engine: Any) -> dict[str, Any]:
        async with engine.connect() as connection:
            sleeps = connection.execute(_text("select pg_sleep(1)"))
            return await awaited_outcomes({"cancelled": lambda: cancelled(sleeps)})

    without = asyncio.run(found())
    assert recorder.take() == []
    patch(sqlalchemy=True, asyncpg=True, sqlite3=True)
    assert asyncio.run(found()) == without
    assert len(recorder.take()) >= len(AWAITED) - 4
