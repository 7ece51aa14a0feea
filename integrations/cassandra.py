"""Queries of the Cassandra driver: each page that is asked for, from the request to its answer.

https://docs.datastax.com/en/developer/python-driver/latest/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BoundStatement

from ddmiddleware.integrations import _deferred
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import active, guarded

integration = Integration(
    "cassandra",
    requires="cassandra-driver>=3.25",
    service="cassandra",
    kind="client",
    db_system="cassandra",
    wire="cql",
)

_RESOURCE_MAX = 5000
_BATCH_SHOWN_MAX = 10


class _Pages:
    """What we remember of a future: the page it is at, its call that is under way, and whether the next is due."""

    __slots__ = ("call", "due", "number")

    def __init__(self) -> None:
        self.number = 0
        self.due = True
        self.call: Call | None = None


def _pages(future: Any) -> _Pages:
    pages: _Pages = vars(future).setdefault("_ddmiddleware_pages", _Pages())
    return pages


# send_request, because execute, execute_async, execute_graph and paging all send with it; retries do so once more. It
# is called with the cluster, so that a Pin on that is found.
@integration.traced("cassandra.query", "cassandra")
def query(call: Call) -> None:
    future = call.arg(0, "future")
    statement, session = future.query, future.session
    call.span.resource = _text(statement, call)[:_RESOURCE_MAX]
    call.metrics["_dd.measured"] = 1
    call.tags["cassandra.cluster"] = str(call.self.metadata.cluster_name)
    keyspace = statement.keyspace or session.keyspace
    if keyspace:
        call.tags["cassandra.keyspace"] = str(keyspace)
    level = getattr(future.message, "consistency_level", None)
    call.tags["cassandra.consistency_level"] = ConsistencyLevel.value_to_name.get(level, "not set")


def _text(statement: Any, call: Call) -> str:
    if isinstance(statement, BoundStatement):
        return str(statement.prepared_statement.query_string)
    if isinstance(statement, BatchStatement):
        parts = statement._statements_and_parameters
        prepared = call.self._prepared_statements
        texts = [
            getattr(prepared.get(text), "query_string", "") if is_prepared else text
            for is_prepared, text, _ in parts[:_BATCH_SHOWN_MAX]
        ]
        call.tags["cassandra.query"] = "; ".join(dict.fromkeys(filter(None, texts)))
        call.metrics["cassandra.batch_size"] = len(parts)
        return "BatchStatement"
    return str(getattr(statement, "query_string", None) or getattr(statement, "query", ""))


@query.returned
def rows(call: Call, result: Any) -> None:
    future = call.arg(0, "future")
    number = _pages(future).number
    paginated = bool(future.has_more_pages or number > 1)
    call.tags["cassandra.paginated"] = str(paginated)
    if paginated:
        call.metrics["cassandra.page_number"] = number
    if result is None or isinstance(result, (list, tuple)):
        call.metrics["db.row_count"] = len(result or ())


@integration.replaces("cassandra.cluster:ResponseFuture.send_request")
def send_request(original: Any) -> Any:
    def sending(self: Any, *args: Any, **kwargs: Any) -> Any:
        with guarded:
            _begin(self)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            _end(self, error, _deferred.failed)
            raise

    return sending


@integration.replaces("cassandra.cluster:ResponseFuture.start_fetching_next_page")
def start_fetching_next_page(original: Any) -> Any:
    def starting(self: Any) -> Any:
        with guarded:
            _pages(self).due = True
        return original(self)

    return starting


# What ends a request, in whatever thread, and then wakes who waits for it and calls back: by then the span is finished.
@integration.replaces("cassandra.cluster:ResponseFuture._set_final_result")
def set_final_result(original: Any) -> Any:
    return _ending(original, _deferred.succeeded)


@integration.replaces("cassandra.cluster:ResponseFuture._set_final_exception")
def set_final_exception(original: Any) -> Any:
    return _ending(original, _deferred.failed)


def _ending(original: Any, how: Callable[..., None]) -> Any:
    def ending(self: Any, response: Any) -> Any:
        call = _end(self, response, how)
        if call is None:
            return original(self, response)
        outside = active.get()
        active.set(call.span._previous)  # what a callback does belongs to the caller, not to the thread that reads
        try:
            return original(self, response)
        finally:
            active.set(outside)

    return ending


def _begin(future: Any) -> None:
    pages = _pages(future)
    if not pages.due or future.query is None:  # another attempt; or no query, but the preparation of one
        return
    pages.due = False
    pages.number += 1
    pages.call = _deferred.begin(query, future.session.cluster, future)


def _end(future: Any, outcome: Any, how: Callable[..., None]) -> Call | None:
    with guarded:
        pages = _pages(future)
        call, pages.call = pages.call, None
        if call is not None:
            _address(call, future.coordinator_host or future._current_host)
            how(query, call, outcome)
        return call
    return None


def _address(call: Call, host: Any) -> None:
    if host is not None:
        call.tags["out.host"] = str(host.endpoint.address)
        call.metrics["network.destination.port"] = int(host.endpoint.port)
