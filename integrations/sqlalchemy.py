"""SQLAlchemy: the statements that its engines execute, sync and async.

Off by default: the spans of the driver below say the same. With both on there is one for each statement, this one.
https://docs.sqlalchemy.org
"""

from __future__ import annotations

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import default_settings

integration = Integration("sqlalchemy", requires="sqlalchemy>=1.4", kind="client", wire="sql")
_VENDORS = {"postgresql": "postgres"}


# A dialect's, because all of a connection's and a session's statements end there, each once; the two that have an
# executemany of their own do not call the inherited one.
@integration.traces(
    "sqlalchemy.engine.default:DefaultDialect.do_execute",
    "sqlalchemy.engine.default:DefaultDialect.do_execute_no_params",
    "sqlalchemy.engine.default:DefaultDialect.do_executemany",
    "sqlalchemy.dialects.postgresql.psycopg2:PGDialect_psycopg2.do_executemany",
    "sqlalchemy.dialects.mysql.mysqldb:MySQLDialect_mysqldb.do_executemany",
    name="sqlalchemy.query",
    type="sql",
)
def query(call: Call) -> None:
    dialect = call.self.name
    vendor = _VENDORS.get(dialect, dialect)
    span = call.span
    span.name = f"{vendor}.query"
    if call.options.service is None and not _is_the_applications():
        span.service = vendor
    span.resource = _dbapi.text(call.arg(1, "statement"), None)
    call.metrics["_dd.measured"] = 1
    call.tags["db.system"] = dialect
    context = call.arg(2 if len(call.args) == 3 else 3, "context")
    if context is not None:
        url = context.engine.url
        _dbapi.tag(call, _dbapi.Server(url.host, url.port, url.database, url.username))
        if url.database:
            call.tags["sql.db"] = url.database


def _is_the_applications() -> bool:
    """Return whether clients' spans belong to the application's own service."""
    settings = default_settings
    schema, without = "DD_TRACE_SPAN_ATTRIBUTE_SCHEMA", "DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED"
    return bool(settings[schema] == "v1" or settings[without])


@query.returned
def rows(call: Call, _result: object) -> None:
    count = getattr(call.arg(0, "cursor"), "rowcount", -1)
    if isinstance(count, int) and count >= 0:
        call.metrics["db.row_count"] = count
