"""OpenSearch requests, and those of its asyncio client.

https://opensearch.org/docs/latest/clients/python-low-level/
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import _search
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "opensearch",
    requires="opensearch-py>=2.0",
    service="elasticsearch",  # its spans are of that kind, as in ddtrace
    kind="client",
    db_system="opensearch",
    wire="http",
)


def _sent(call: Call) -> None:
    _search.sent(call, call.arg(0, "method"), call.arg(1, "url"), call.arg(2, "params") or (), call.arg(3, "body"))
    hosts = call.self.hosts
    _search.carry(call, 6, (host.get("host", "localhost") for host in hosts))
    if len(hosts) == 1:
        _search.server(call, hosts[0].get("host", "localhost"), hosts[0].get("port", 9200))


_request = _search.Request(integration, "elasticsearch.query", "elasticsearch", _sent)


# The transport's, because every request is sent with it.
@integration.replaces(
    "opensearchpy.transport:Transport.perform_request",
    "opensearchpy._async.transport:AsyncTransport.perform_request",
)
def perform_request(original: Any) -> Any:
    return _request.wrapper(original)


@_request.returned
def response(call: Call, result: Any) -> None:
    _search.took(call, result)
