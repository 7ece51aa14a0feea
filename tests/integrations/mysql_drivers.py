"""The drivers of MySQL and MariaDB: how each is imported and connects, and what its spans have in common.

mysqlclient and mariadb are built where they are installed, with libmariadb-dev: extra ``dev-native``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.integrations.sql_spans import Driver


def required(module: str) -> Any:
    """Return a module, or skip the test where it is not installed; where everything must be tested, fail."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        return importlib.import_module(module)
    return pytest.importorskip(module)


class Library(NamedTuple):
    """A driver's integration, module, mark of a parameter, and what else its ``connect`` gets."""

    name: str
    module: str
    service: str
    prefix: str
    endings: str
    system: str = "mysql"
    options: Mapping[str, Any] = MappingProxyType({})

    def load(self) -> Any:
        """Return its module, or skip."""
        return required(self.module)

    def driver(self, port: int) -> Driver:
        """Return what its spans have in common."""
        return Driver(self.name, self.system, self.service, self.prefix, self.endings, port, "test", "root")

    def connect(self, port: int, **options: Any) -> Any:
        """Open a connection."""
        options = {"host": "127.0.0.1", "port": port, "user": "root", "database": "test", **self.options, **options}
        return self.load().connect(**options)


LIBRARIES = {
    library.name: library
    for library in (
        Library("pymysql", "pymysql", "pymysql", "pymysql", "pymysql"),
        Library("mysqldb", "MySQLdb", "mysql", "mysql", "MySQLdb"),
        Library("mysql", "mysql.connector", "mysql", "mysql", "mysql", options={"use_pure": True}),
        Library("mariadb", "mariadb", "mariadb", "mariadb", "mariadb", "mariadb"),
    )
}
