"""mysqlclient (``MySQLdb``): statements, procedures, commits and rollbacks.

https://mysqlclient.readthedocs.io
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration

integration = Integration(
    "mysqldb", requires="mysqlclient>=1.4", service="mysql", kind="client", db_system="mysql", wire="sql"
)
_servers: WeakKeyDictionary[Any, _dbapi.Server] = WeakKeyDictionary()


# The connection does not tell what it was asked for.
@integration.observes("MySQLdb.connections:Connection.__init__")
def opening(connection: Any, *args: Any, **kwargs: Any) -> None:
    given = dict(zip(("host", "user", "password", "database", "port"), args, strict=False), **kwargs)
    database = given.get("database") or given.get("db")
    _servers[connection] = _dbapi.Server(given.get("host"), given.get("port"), database, given.get("user"))


def _server(connection: Any) -> _dbapi.Server:
    return _servers.get(connection) or _dbapi.Server()


spans = _dbapi.Spans(integration, "mysql", endings="MySQLdb", server=_server, comments=_dbapi.interpolating("args"))

# The class that all cursors are made of; executemany ends in execute.
integration.replaces("MySQLdb.cursors:BaseCursor.execute")(spans.query)
integration.replaces("MySQLdb.cursors:BaseCursor.executemany")(spans.many)
integration.replaces("MySQLdb.cursors:BaseCursor.callproc")(spans.called)
integration.replaces("MySQLdb.connections:Connection.commit")(spans.commit)
integration.replaces("MySQLdb.connections:Connection.rollback")(spans.rollback)
