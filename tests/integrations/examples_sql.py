"""Examples of database drivers. Most make no connection without a server: it is named by the environment.

Where it is not, nothing is used, and nothing was traced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder

POSTGRES, MARIADB = "DDMIDDLEWARE_TEST_POSTGRES_PORT", "DDMIDDLEWARE_TEST_MARIADB_PORT"
SERVERS = {"psycopg": "postgres_port", "mysql": "mariadb_port", "mysqldb": "mariadb_port", "mariadb": "mariadb_port"}

NATIVE = {"mysqldb": "MySQLdb", "mariadb": "mariadb"}  # built where they are installed, which is not everywhere

Connect = Callable[[Names, int], Any]


def _rows(error: BaseException) -> Iterator[tuple[int]]:
    """Give one row, and fail at the next."""
    yield (1,)
    raise error


def _selects(variable: str, connect: Connect) -> Callable[[Names, Recorder], int]:
    """Return what executes a statement with a cursor of a new connection."""

    def use(names: Names, recorder: Recorder) -> int:
        if variable not in os.environ or not {"connect", "Connection"} & names.keys():
            return 0
        recorder.take()
        with contextlib.closing(connect(names, int(os.environ[variable]))) as connection:
            connection.cursor().execute("select 1")
        return len(recorder.take())

    return use


def _many(variable: str, connect: Connect) -> Callable[[Names, BaseException], None]:
    """Return what fails by the rows it is given."""

    def fail(names: Names, error: BaseException) -> None:
        with contextlib.closing(connect(names, int(os.environ[variable]))) as connection:
            connection.cursor().executemany("select %s", _rows(error))

    return fail


def _if_installed(module: str, imports: str) -> str:
    return f"from importlib.util import find_spec\nif find_spec({module!r}):\n    {imports}"


def _psycopg(names: Names, port: int) -> Any:
    return names["Connection"].connect(host="127.0.0.1", port=port, user="postgres")


def _mysql(names: Names, port: int) -> Any:
    return names["connect"](host="127.0.0.1", port=port, user="root", database="test")


def _failing(base: Any, method: str, error: BaseException) -> Any:
    """Return a subclass with a method that raises *error*."""

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return type("Failing", (base,), {method: fail})


def _fail_mysql(names: Names, error: BaseException) -> None:
    failing = _failing(names["MySQLConnection"], "cmd_query", error)
    connection = names["MySQLConnection"](
        host="127.0.0.1", port=int(os.environ[MARIADB]), user="root", database="test", use_pure=True
    )
    with contextlib.closing(connection):
        connection.__class__ = failing
        connection.cursor().execute("select 1")


def _fail_mariadb(names: Names, error: BaseException) -> None:
    failing = _failing(names["Cursor"], "_parse_execute", error)
    with contextlib.closing(_mysql(names, int(os.environ[MARIADB]))) as connection:
        connection.cursor(cursorclass=failing).execute("select 1")


def _use_pymysql(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with contextlib.suppress(names["Error"]):  # it is not connected
        names["Connection"](defer_connect=True).cursor().execute("select 1")
    return len(recorder.take())


def _fail_pymysql(names: Names, error: BaseException) -> None:
    _failing(names["Connection"], "query", error)(defer_connect=True).cursor().execute("select 1")


def _awaited(recorder: Recorder, call: Callable[[], Awaitable[Any]], refused: type[Exception]) -> int:
    async def main() -> None:
        with contextlib.suppress(refused):
            await call()

    recorder.take()
    asyncio.run(main())
    return len(recorder.take())


def _use_aiomysql(names: Names, recorder: Recorder) -> int:
    async def call() -> None:
        await names["Cursor"](names["Connection"](), True).execute("select 1")

    return _awaited(recorder, call, names["Error"])


def _fail_aiomysql(names: Names, error: BaseException) -> None:
    async def main() -> None:
        await _failing(names["Cursor"], "_query", error)(names["Connection"](), True).execute("select 1")

    asyncio.run(main())


def _use_asyncpg(names: Names, recorder: Recorder) -> int:
    return _awaited(recorder, lambda: names["connect"](host="127.0.0.1", port=1), OSError)


def _fail_asyncpg(names: Names, error: BaseException) -> None:
    def password() -> str:
        raise error

    asyncio.run(names["connect"](host="127.0.0.1", port=1, user="nobody", password=password))


def _use_sqlalchemy(names: Names, recorder: Recorder) -> int:
    engine = names["create_engine"]("sqlite://")
    recorder.take()
    with engine.connect() as connection:
        connection.execute(names["text"]("select 1"))
    engine.dispose()
    return len(recorder.take())


def _fail_sqlalchemy(names: Names, error: BaseException) -> None:
    cursor = _failing(names["sqlite3"].Cursor, "execute", error)
    base: Any = names["sqlite3"].Connection

    class Connection(base):  # type: ignore[misc]
        def cursor(self) -> Any:
            return super().cursor(cursor)

    engine = names["create_engine"]("sqlite://", connect_args={"factory": Connection})
    try:
        with engine.connect() as connection:
            connection.execute(names["text"]("select 1"))
    finally:
        engine.dispose()


SQL_EXAMPLES = {
    "aiomysql": Example(
        "from aiomysql import Connection, Cursor\nfrom pymysql import Error", _use_aiomysql, _fail_aiomysql
    ),
    "asyncpg": Example("from asyncpg import connect", _use_asyncpg, _fail_asyncpg),
    "mariadb": Example(
        _if_installed("mariadb", "from mariadb import connect, Cursor"), _selects(MARIADB, _mysql), _fail_mariadb
    ),
    "mysql": Example(
        "from mysql.connector import connect\nfrom mysql.connector.connection import MySQLConnection",
        _selects(MARIADB, _mysql),
        _fail_mysql,
    ),
    "mysqldb": Example(
        _if_installed("MySQLdb", "from MySQLdb import connect"), _selects(MARIADB, _mysql), _many(MARIADB, _mysql)
    ),
    "psycopg": Example("from psycopg import Connection", _selects(POSTGRES, _psycopg), _many(POSTGRES, _psycopg)),
    "pymysql": Example("from pymysql import Connection, Error", _use_pymysql, _fail_pymysql),
    "sqlalchemy": Example(
        "import sqlite3\nfrom sqlalchemy import create_engine, text",
        _use_sqlalchemy,
        _fail_sqlalchemy,
        over=("sqlite3",),
    ),
}
