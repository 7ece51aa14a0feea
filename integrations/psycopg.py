"""psycopg 3, sync and async, and psycopg2: statements, commits and rollbacks.

https://www.psycopg.org/psycopg3/docs/
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _dbapi, _psycopg2
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "psycopg",
    requires="psycopg>=3.0",
    service="postgres",
    kind="client",
    db_system="postgresql",
    wire="sql",
    parts=(_psycopg2.integration,),
)


@_dbapi.for_good
def _server(connection: Any) -> _dbapi.Server:
    info = connection.info
    return _dbapi.Server(info.host, info.port, info.dbname, info.user)


def _comments(call: Call) -> bool | None:
    """Leave alone what is to be prepared, which has to be the same text each time."""
    if call.arg(99, "prepare"):
        return None
    return call.arg(1, "params") is not None


def _join(comment: str, statement: Any) -> Any:
    from psycopg import sql

    return sql.SQL(comment) + statement if isinstance(statement, sql.Composable) else statement


spans = _dbapi.Spans(integration, "postgres", endings="psycopg", server=_server, comments=_comments, join=_join)

# The classes' own methods, where connections' execute and client-side cursors' end too; server-side cursors have their
# own. What executemany sends is prepared.
for module, prefix in (("cursor", ""), ("cursor_async", "Async")):
    cursor = f"psycopg.{module}:{prefix}Cursor"
    integration.replaces(f"{cursor}.execute")(spans.query)
    integration.replaces(f"{cursor}.executemany")(spans.many)
for module, prefix in (("_server_cursor", ""), ("_server_cursor_async", "Async")):
    integration.replaces(f"psycopg.{module}:{prefix}ServerCursor.execute")(spans.query)
for module, prefix in (("connection", ""), ("connection_async", "Async")):
    integration.replaces(f"psycopg.{module}:{prefix}Connection.commit")(spans.commit)
    integration.replaces(f"psycopg.{module}:{prefix}Connection.rollback")(spans.rollback)
