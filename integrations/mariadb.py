"""MariaDB Connector: statements, procedures, commits and rollbacks.

https://mariadb-corporation.github.io/mariadb-connector-python/
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration

integration = Integration(
    "mariadb", requires="mariadb>=1.0", service="mariadb", kind="client", db_system="mariadb", wire="sql"
)


def _server(connection: Any) -> _dbapi.Server:
    if connection._closed:  # and knows nothing any more
        return _dbapi.Server()
    return _dbapi.Server(connection.server_name, connection.server_port, connection.database, connection.user)


spans = _dbapi.Spans(integration, "mariadb", statement="statement", procedure="sp", server=_server)

integration.replaces("mariadb.cursors:Cursor.execute")(spans.query)
integration.replaces("mariadb.cursors:Cursor.executemany")(spans.many)
integration.replaces("mariadb.cursors:Cursor.callproc")(spans.called)
integration.replaces("mariadb.connections:Connection.commit")(spans.commit)
integration.replaces("mariadb.connections:Connection.rollback")(spans.rollback)
