"""Elasticsearch requests of the clients 7, and of their asyncio twin; a part of the integration ``elasticsearch``.

https://elasticsearch-py.readthedocs.io/en/7.17/
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _search
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import Span, active

integration = Integration(
    "elasticsearch",
    requires="elasticsearch>=7.0",
    service="elasticsearch",
    kind="client",
    db_system="elasticsearch",
    wire="http",
)


def _sent(call: Call) -> None:
    parameters = (name for name in call.arg(3, "params") or () if name not in ("ignore", "request_timeout"))
    _search.sent(call, call.arg(0, "method"), call.arg(1, "url"), parameters, call.arg(4, "body"))
    _search.carry(call, 2, (host.get("host", "localhost") for host in call.self.hosts))


_request = _search.Request(integration, "elasticsearch.query", "elasticsearch", _sent)


# The transport's, because every request is sent with it, and the question before the first one: is this Elasticsearch?
@integration.replaces(
    "elasticsearch.transport:Transport.perform_request",
    "elasticsearch._async.transport:AsyncTransport.perform_request",
)
def perform_request(original: Any) -> Any:
    return _request.wrapper(original)


@_request.returned
def response(call: Call, result: Any) -> None:
    _search.took(call, result)


# Which node is asked, and with what status it answers, is told to these only.
@integration.observes("elasticsearch.connection.base:Connection.log_request_success")
def succeeded(connection: Any, *args: Any, **kwargs: Any) -> None:
    _answered(connection, kwargs.get("status_code", args[4] if len(args) > 4 else None))


@integration.observes("elasticsearch.connection.base:Connection.log_request_fail")
def failed(connection: Any, *args: Any, **kwargs: Any) -> None:
    _answered(connection, kwargs.get("status_code", args[5] if len(args) > 5 else None))


def _answered(connection: Any, status: int | None) -> None:
    span = active.get()
    if isinstance(span, Span) and span.name == "elasticsearch.query" and not span.finished:
        span.set_tag("out.host", connection.hostname)
        span.set_tag("network.destination.port", connection.port)
        span.set_tag("http.status_code", None if status is None else str(status))
