"""PyMySQL: statements, procedures, commits and rollbacks.

https://pymysql.readthedocs.io
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration

integration = Integration(
    "pymysql", requires="pymysql>=0.10", service="pymysql", kind="client", db_system="mysql", wire="sql"
)


def _server(connection: Any) -> _dbapi.Server:
    return _dbapi.Server(connection.host, connection.port, connection.db, connection.user)


spans = _dbapi.Spans(integration, "pymysql", server=_server, comments=_dbapi.interpolating("args"))

# The classes' own methods, because the other cursors inherit them; executemany ends in execute.
integration.replaces("pymysql.cursors:Cursor.execute")(spans.query)
integration.replaces("pymysql.cursors:Cursor.executemany")(spans.many)
integration.replaces("pymysql.cursors:Cursor.callproc")(spans.called)
integration.replaces("pymysql.connections:Connection.commit")(spans.commit)
integration.replaces("pymysql.connections:Connection.rollback")(spans.rollback)
