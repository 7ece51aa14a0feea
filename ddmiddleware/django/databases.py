"""Queries of Django's database layer.

One rule keeps them single: where the driver below is traced itself (``patch_all()`` traces ``sqlite3``), its spans
stand for the queries; where it is not, these do.
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import TABLE, Call, Integration, is_on
from ddmiddleware.tracing import default_settings

integration = Integration("django", kind="client")
_PREFIXES = {"postgresql": "postgres"}
_integrations: dict[str, str | None] = {}


def _wanted(cursor: Any, *_args: Any, **_kwargs: Any) -> bool:
    if not default_settings["DD_DJANGO_INSTRUMENT_DATABASES"]:
        return False
    driver = _integration_of(cursor.db.Database.__name__.partition(".")[0])
    return driver is None or not is_on(driver)


def _integration_of(driver: str) -> str | None:
    """Return the integration that traces the driver's package, or None."""
    if driver not in _integrations:
        rows = TABLE.items()
        _integrations[driver] = next(
            (name for name, row in rows if driver in [module.partition(".")[0] for module in row.modules]), None
        )
    return _integrations[driver]


# The inner functions, because the application's own execute wrappers stand around them and may never call them.
@integration.traces(
    "django.db.backends.utils:CursorWrapper._execute",
    "django.db.backends.utils:CursorWrapper._executemany",
    "django.db.backends.utils:CursorWrapper.callproc",
    name="django.query",
    type="sql",
    when=_wanted,
)
def query(call: Call) -> None:
    connection = call.self.db
    vendor = str(connection.vendor)
    span, tags = call.span, call.tags
    span.name = f"{_PREFIXES.get(vendor, vendor)}.query"
    span.service = default_settings["DD_DJANGO_DATABASE_SERVICE"] or f"{connection.alias}db"
    span.resource = _text(call.args[0] if call.args else call.arg(0, "sql", ""))
    call.metrics["_dd.measured"] = 1
    tags["db.system"] = tags["django.db.vendor"] = vendor
    tags["django.db.alias"] = str(connection.alias)
    options = connection.settings_dict
    if options.get("NAME"):
        tags["db.name"] = str(options["NAME"])
    if options.get("HOST"):
        tags["out.host"] = str(options["HOST"])
    if str(options.get("PORT") or "").isdecimal():
        call.metrics["network.destination.port"] = int(options["PORT"])


def _text(statement: Any) -> str:
    """Return a statement as text; psycopg's composed ones are shown by what they are made of."""
    return statement.decode("utf-8", "replace") if isinstance(statement, bytes) else str(statement)


@query.returned
def rows(call: Call, _result: Any) -> None:
    count = getattr(call.self.cursor, "rowcount", -1)
    if isinstance(count, int) and count >= 0:
        call.metrics["db.row_count"] = count
