"""aiomysql: statements and procedures, as awaited.

https://aiomysql.readthedocs.io
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration

integration = Integration(
    "aiomysql", requires="aiomysql>=0.1", service="mysql", kind="client", db_system="mysql", wire="sql"
)


def _server(connection: Any) -> _dbapi.Server:
    return _dbapi.Server(connection.host, connection.port, connection.db, connection.user)


spans = _dbapi.Spans(integration, "mysql", server=_server, comments=_dbapi.interpolating("args"))

integration.replaces("aiomysql.cursors:Cursor.execute")(spans.query)
integration.replaces("aiomysql.cursors:Cursor.executemany")(spans.many)
integration.replaces("aiomysql.cursors:Cursor.callproc")(spans.called)
integration.replaces("aiomysql.connection:Connection.commit")(spans.commit)
integration.replaces("aiomysql.connection:Connection.rollback")(spans.rollback)
