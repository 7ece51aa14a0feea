"""MySQL Connector (``mysql.connector``), in Python and in C, and its asyncio half.

Statements, procedures, commits and rollbacks. https://dev.mysql.com/doc/connector-python/en/
"""

from __future__ import annotations

from typing import Any

from mysql.connector import HAVE_CEXT

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration

integration = Integration(
    "mysql", requires="mysql-connector-python>=8.0.5", service="mysql", kind="client", db_system="mysql", wire="sql"
)


def _connection(cursor: Any) -> Any:
    return cursor._connection


def _server(connection: Any) -> _dbapi.Server:
    # Not connection.database, which asks the server.
    database = getattr(connection, "_database", None)
    return _dbapi.Server(connection.server_host, connection.server_port, database, connection.user)


# Percent signs stay as they are, for it looks for %s and %(name)s only.
spans = _dbapi.Spans(
    integration,
    "mysql",
    statement="operation",
    server=_server,
    connection=_connection,
    comments=lambda _call: False,
)

_CURSORS = ["mysql.connector.cursor:MySQLCursor", "mysql.connector.aio.cursor:MySQLCursor"]
_CONNECTIONS = ["mysql.connector.connection:MySQLConnection", "mysql.connector.aio.connection:MySQLConnection"]
if HAVE_CEXT:
    _CURSORS.append("mysql.connector.cursor_cext:CMySQLCursor")
    _CONNECTIONS.append("mysql.connector.connection_cext:CMySQLConnection")

# The classes' own methods, because the other cursors inherit them, but for those that prepare.
for cursor in _CURSORS:
    integration.replaces(f"{cursor}.execute")(spans.query)
    integration.replaces(f"{cursor}.executemany", f"{cursor}Prepared.executemany")(spans.many)
    integration.replaces(f"{cursor}.callproc")(spans.called)
    integration.replaces(f"{cursor}Prepared.execute")(spans.uncommented)
for connection in _CONNECTIONS:
    integration.replaces(f"{connection}.commit")(spans.commit)
    integration.replaces(f"{connection}.rollback")(spans.rollback)
