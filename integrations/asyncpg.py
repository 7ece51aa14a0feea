"""asyncpg: connecting, and statements however they are executed.

https://magicstack.github.io/asyncpg/
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.integrations._sql_comment import comment

integration = Integration(
    "asyncpg", requires="asyncpg>=0.23", service="postgres", kind="client", db_system="postgresql", wire="sql"
)
_CONNECTION = "asyncpg.connection:Connection"
_PROTOCOL = "asyncpg.protocol.protocol:Protocol"
_servers: WeakKeyDictionary[Any, _dbapi.Server] = WeakKeyDictionary()


# execute, because statements without arguments, and what transactions do, are sent there as they are.
@integration.traces(f"{_CONNECTION}.execute", name="postgres.query", type="sql")
def executing(call: Call) -> None:
    statement = call.arg(0, "query")
    _describe(call, statement, _server(call.self))
    before = "" if len(call.args) > 1 else comment(call.span, doubled=False)
    if before:
        call.set_arg(0, "query", before + statement)


# These two prepare their statement before they execute it, and either can fail.
@integration.traces(f"{_CONNECTION}._execute", name="postgres.query", type="sql")
def fetching(call: Call) -> None:
    _describe(call, call.arg(0, "query"), _server(call.self))


@integration.traces(f"{_CONNECTION}._executemany", name="postgres.query", type="sql")
def executing_many(call: Call) -> None:
    fetching.describe(call)
    call.tags["sql.executemany"] = "true"


# The protocol's, because statements that the application prepared, and cursors, end there.
@integration.traces(f"{_PROTOCOL}.bind_execute", f"{_PROTOCOL}.execute", name="postgres.query", type="sql")
def prepared(call: Call) -> None:
    _describe(call, call.arg(0, "state").query, _servers.get(call.self))


@integration.traces(f"{_PROTOCOL}.bind_execute_many", name="postgres.query", type="sql")
def prepared_many(call: Call) -> None:
    prepared.describe(call)
    call.tags["sql.executemany"] = "true"


# A protocol does not tell where it leads.
@integration.observes(f"{_CONNECTION}.__init__")
def opened(
    _connection: Any, protocol: Any, _transport: Any, _loop: Any, address: Any, _config: Any, given: Any
) -> None:
    _servers[protocol] = _located(address, given)


def _server(connection: Any) -> _dbapi.Server:
    return _located(connection._addr, connection._params)


def _located(address: Any, given: Any) -> _dbapi.Server:
    host, port = address if isinstance(address, tuple) else (address, None)  # the path of a Unix socket
    return _dbapi.Server(host, port, given.database, given.user)


def _describe(call: Call, statement: str, server: _dbapi.Server | None) -> None:
    call.span.resource = statement
    call.metrics["_dd.measured"] = 1
    if server is not None:
        _dbapi.tag(call, server)


@executing.returned
@fetching.returned
@prepared.returned
def rows(call: Call, result: Any) -> None:
    """Count the rows: those that came back, or else those that the server speaks of (``INSERT 0 2``)."""
    found, status = result[:2] if isinstance(result, tuple) else (result, result)
    if isinstance(found, list) and found:
        call.metrics["db.row_count"] = len(found)
        return
    words = _dbapi.plain(status).rpartition(" ") if isinstance(status, (str, bytes)) else ()
    if words and words[2].isdecimal():
        call.metrics["db.row_count"] = int(words[2])
    elif isinstance(found, list):
        call.metrics["db.row_count"] = 0


@integration.traces("asyncpg.connection:connect", name="postgres.connect", type="sql")
def connecting(call: Call) -> None:
    asked = {name: call.arg(99, name) for name in _dbapi.Server._fields}  # host may be a list of them
    _dbapi.tag(call, _dbapi.Server(**{name: value for name, value in asked.items() if isinstance(value, (str, int))}))


@connecting.returned
def connected(call: Call, connection: Any) -> None:
    _dbapi.tag(call, _server(connection))
