"""MongoDB commands of PyMongo, of the client and the asyncio client.

https://pymongo.readthedocs.io
"""

from __future__ import annotations

import sys
from typing import Any

from ddmiddleware.integrations._documents import shape
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "pymongo", requires="pymongo>=3.12", service="pymongo", kind="client", db_system="mongodb", wire="mongodb"
)

_QUERIES = {"find": "filter", "aggregate": "pipeline", "count": "query", "distinct": "query", "findAndModify": "query"}
_MANY = {"update": "updates", "delete": "deletes"}
_HOUSEKEEPING = frozenset(("endSessions", "killCursors"))  # when a client or a cursor is closed or collected
# Since 4.18 every message is sent here: commands, cursors and bulk writes, and getMore for each batch.
_RUNNERS = ("pymongo.synchronous.command_runner:_run_command", "pymongo.asynchronous.command_runner:_run_command")
# Before, each kind has a function of its own; what a version does not have is left alone.
_COMMANDS = ("pymongo.network:command", "pymongo.synchronous.network:command", "pymongo.asynchronous.network:command")
_CURSORS = tuple(f"pymongo.{part}server:Server.run_operation" for part in ("", "synchronous.", "asynchronous."))
_BULKS = (
    "message:_BulkWriteContext",
    "synchronous.bulk:_Bulk",
    "synchronous.client_bulk:_ClientBulk",
    "asynchronous.bulk:_AsyncBulk",
    "asynchronous.client_bulk:_AsyncClientBulk",
)
_WRITES = tuple(f"pymongo.{bulk}.{method}" for bulk in _BULKS for method in ("write_command", "unack_write"))


def _is_users(_conn: Any, cmd: Any, *_args: Any, client: Any = None, **_options: Any) -> bool:
    """Return whether a command is of the application, and not of a handshake, a login or the monitor."""
    return client is not None and next(iter(cmd)) not in _HOUSEKEEPING


def _is_users_too(_conn: Any, _database: Any, cmd: Any, *args: Any, **_options: Any) -> bool:
    """Return the same; where the client stands among *args* depends on the version."""
    return next(iter(cmd)) not in _HOUSEKEEPING and any(hasattr(arg, "_topology") for arg in args)


def _sends_itself(*_args: Any, **_options: Any) -> bool:
    """Return whether a bulk write is no caller of a runner, which makes the span."""
    return _RUNNERS[0].partition(":")[0] not in sys.modules


@integration.traces(*_RUNNERS, name="pymongo.cmd", type="mongodb", when=_is_users)
def command(call: Call) -> None:
    _describe(call, call.arg(0, "conn"), call.arg(1, "cmd"), call.arg(2, "dbname"))


@integration.traces(*_COMMANDS, name="pymongo.cmd", type="mongodb", when=_is_users_too)
def single(call: Call) -> None:
    conn, database, document = call.args[:3]
    _describe(call, conn, document, database)


@integration.traces(*_CURSORS, name="pymongo.cmd", type="mongodb")
def batch(call: Call) -> None:
    conn, operation = call.args[:2]
    document: dict[str, Any]
    if operation.name == "getMore":
        document = {"getMore": operation.cursor_id, "collection": operation.coll}
    elif "$explain" in operation.spec:
        document = {"explain": operation.spec}
    else:
        document = {"find": operation.coll, "filter": operation.spec.get("$query", operation.spec)}
    _describe(call, conn, document, operation.db)


@integration.traces(*_WRITES, name="pymongo.cmd", type="mongodb", when=_sends_itself)
def write(call: Call) -> None:
    context, document, *others = call.args if hasattr(call.args[0], "db_name") else (call.self, *call.args)
    many = _MANY.get(next(iter(document)))
    if many:
        document = {**document, many: next(found for found in others if isinstance(found, list))}
    _describe(call, context.conn if hasattr(context, "conn") else context.sock_info, document, context.db_name)


def _describe(call: Call, conn: Any, document: Any, database: str) -> None:
    name = next(iter(document))
    parts = [name]
    call.tags["mongodb.db"] = str(database)
    collection = document.get("collection") if name == "getMore" else document[name]
    if isinstance(collection, str):
        call.tags["mongodb.collection"] = collection
        parts.append(collection)
    query = _query(name, document)
    if query is not None:
        call.tags["mongodb.query"] = shown = shape(query)
        parts.append(shown)
    call.span.resource = " ".join(parts)
    call.metrics["_dd.measured"] = 1
    host, port = conn.address
    call.tags["out.host"] = str(host)
    if port is not None:  # a Unix socket has none
        call.metrics["network.destination.port"] = int(port)


def _query(name: str, document: Any) -> Any:
    """Return what a command looks for; of several updates or deletes, the first one's."""
    if name in _MANY:
        many = document.get(_MANY[name])
        return many[0].get("q") if many else None
    return document.get(_QUERIES.get(name, ""))


@command.returned
def _ran(call: Call, result: Any) -> None:
    _read(call, result[0][0])


@batch.returned
def _fetched(call: Call, result: Any) -> None:
    if result.from_command:  # an older server sends the documents alone
        _read(call, result.docs[0])


@single.returned
@write.returned
def _read(call: Call, answer: Any) -> None:
    if not isinstance(answer, dict):
        return  # of a raw batch, or to nothing acknowledged
    cursor = answer.get("cursor")
    if isinstance(cursor, dict):
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        if isinstance(batch, list):
            call.metrics["db.row_count"] = len(batch)
    elif isinstance(answer.get("n"), int):
        call.metrics["db.row_count"] = answer["n"]
    error = answer.get("error")
    if isinstance(error, Exception):  # raised when all of the client's bulk write is through
        call.span.set_exc_info(type(error), error, error.__traceback__)
    if answer.get("writeErrors"):  # for which the caller gets an error, once all batches are through
        call.span.error = 1
        call.tags["error.type"] = "pymongo.errors.WriteError"
        call.tags["error.message"] = str(answer["writeErrors"][0].get("errmsg"))
