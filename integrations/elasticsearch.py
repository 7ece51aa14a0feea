"""Elasticsearch requests of the clients 7, 8 and 9, and of their asyncio twins.

https://www.elastic.co/docs/reference/elasticsearch/clients/python
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from ddmiddleware.integrations import _elasticsearch7, _search
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "elasticsearch",
    requires="elastic-transport>=8.0",
    service="elasticsearch",
    kind="client",
    db_system="elasticsearch",
    wire="http",
    parts=(_elasticsearch7.integration,),
)

_BY_NAME_ONLY = 99


# The transport's, because every client of Elastic's sends with it. Not the client's: that looks at its caller's frames.
@integration.traces(
    "elastic_transport._transport:Transport.perform_request",
    "elastic_transport._async_transport:AsyncTransport.perform_request",
    name="elasticsearch.query",
    type="elasticsearch",
)
def request(call: Call) -> None:
    path, _, query = call.arg(1, "target").partition("?")
    parameters = (name for name, _ in parse_qsl(query, keep_blank_values=True))
    _search.sent(call, call.arg(0, "method"), path, parameters, call.arg(2, "body"))
    nodes = call.self.node_pool.all()
    _search.carry(call, _BY_NAME_ONLY, (node.config.host for node in nodes))
    if len(nodes) == 1:  # else it is known by the answer
        _search.server(call, nodes[0].config.host, nodes[0].config.port)


@request.returned
def response(call: Call, result: Any) -> None:
    _search.server(call, result.meta.node.host, result.meta.node.port)
    _search.answered(call, result.meta.status, result.body)
