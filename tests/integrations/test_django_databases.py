"""Django's queries over real servers: one span for each, the driver's where that is traced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware import patch
from ddmiddleware.django import databases
from tests.django_project import set_up
from tests.integrations.mysql_drivers import required
from tests.integrations.recorder import Recorder

set_up()
from django.db.utils import ConnectionHandler  # noqa: E402 (after the settings)

ENGINES = {
    "psycopg": ("postgresql", "postgres_port", "postgres", "postgres"),
    "mysqldb": ("mysql", "mariadb_port", "test", "root"),
}


@pytest.fixture(name="database", params=ENGINES)
def _database(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[tuple[str, Any]]:
    """Return a driver's integration, and a connection that is not open yet."""
    if request.param == "mysqldb":
        required("MySQLdb")
    engine, port, name, user = ENGINES[request.param]
    options = {"ENGINE": f"django.db.backends.{engine}", "NAME": name, "USER": user, "HOST": "127.0.0.1"}
    connection = ConnectionHandler({"default": {**options, "PORT": request.getfixturevalue(port)}})["default"]
    yield request.param, connection
    connection.close()


def queried(connection: Any, recorder: Recorder) -> list[dict[str, Any]]:
    """Return the spans of two queries."""
    connection.ensure_connection()
    recorder.take()
    with connection.cursor() as cursor:
        cursor.execute("select 1 where 1 = %s", [1])
        assert list(cursor.fetchall()) == [(1,)]
        cursor.executemany("select %s", [(1,), (2,)])
    return [span for span in recorder.take() if span["type"] == "sql"]


def test_the_drivers_spans(database: tuple[str, Any], recorder: Recorder) -> None:
    name, connection = database
    patch(django=True, **{name: True})
    spans = queried(connection, recorder)
    assert [span["tags"]["component"] for span in spans] == [name, name]
    assert [span["resource"] for span in spans] == ["select 1 where 1 = %s", "select %s"]


def test_djangos_own_where_the_driver_is_not_traced(database: tuple[str, Any], recorder: Recorder) -> None:
    _, connection = database
    patch(django=True)
    spans = queried(connection, recorder)
    assert [span["tags"]["component"] for span in spans] == ["django", "django"]


def test_each_driver_is_known() -> None:
    for driver, name in {
        "psycopg2": "psycopg",
        "psycopg": "psycopg",
        "MySQLdb": "mysqldb",
        "sqlite3": "sqlite3",
    }.items():
        assert databases._integration_of(driver) == name
    assert databases._integration_of("cx_Oracle") is None
