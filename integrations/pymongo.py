"""MongoDB commands of PyMongo, of the client and the asyncio client.

https://pymongo.readthedocs.io
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations._documents import shape
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "pymongo", requires="pymongo>=4.18", service="pymongo", kind="client", db_system="mongodb", wire="mongodb"
)

_QUERIES = {"find": "filter", "aggregate": "pipeline", "count": "query", "distinct": "query", "findAndModify": "query"}
_MANY = {"update": "updates", "delete": "deletes"}
_HOUSEKEEPING = frozenset(("endSessions", "killCursors"))  # when a client or a cursor is closed or collected


def _is_users(_conn: Any, cmd: Any, *_args: Any, client: Any = None, **_options: Any) -> bool:
    """Return whether a command is of the application, and not of a handshake, a login or the monitor."""
    return client is not None and next(iter(cmd)) not in _HOUSEKEEPING


# _run_command, because every message is sent there: commands, cursors and bulk writes, and getMore for each batch.
@integration.traces(
    "pymongo.synchronous.command_runner:_run_command",
    "pymongo.asynchronous.command_runner:_run_command",
    name="pymongo.cmd",
    type="mongodb",
    when=_is_users,
)
def command(call: Call) -> None:
    document, database = call.arg(1, "cmd"), call.arg(2, "dbname")
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
    host, port = call.arg(0, "conn").address
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
def rows(call: Call, result: Any) -> None:
    answer = result[0][0]
    if not isinstance(answer, dict):
        return  # of a raw batch
    cursor = answer.get("cursor")
    if isinstance(cursor, dict):
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        if isinstance(batch, list):
            call.metrics["db.row_count"] = len(batch)
    elif isinstance(answer.get("n"), int):
        call.metrics["db.row_count"] = answer["n"]
    if answer.get("writeErrors"):  # for which the caller gets an error, once all batches are through
        call.span.error = 1
        call.tags["error.type"] = "pymongo.errors.WriteError"
        call.tags["error.message"] = str(answer["writeErrors"][0].get("errmsg"))
