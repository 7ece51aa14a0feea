"""OpenSearch: the real clients, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import opensearchpy
import pytest

from ddmiddleware import patch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.search_spans import QUERY, SEARCHES, SHOWN, request
from tests.servers.elastic import ElasticServer


def test_requests(recorder: Recorder) -> None:
    patch(opensearch=True)
    with (
        ElasticServer(product=False) as server,
        opensearchpy.OpenSearch([{"host": "127.0.0.1", "port": server.port}], max_retries=0) as client,
    ):
        client.index(index="people", id="ann", body={"name": "ann"})
        client.search(index="people", body={"query": QUERY}, params={"size": 5})
        with pytest.raises(opensearchpy.RequestError) as caught:
            client.search(index="people", body={"query": {"nonsense": {}}})
        with pytest.raises(opensearchpy.NotFoundError):
            client.get(index="people", id="7")
        port = server.port
    shape: dict[str, Any] = {"component": "opensearch"}
    index = {"elasticsearch.body": '{"name": "?"}'}
    search = {"elasticsearch.body": SHOWN, "elasticsearch.params": "size=?", "elasticsearch.took": 3, "db.row_count": 1}
    error = {"elasticsearch.body": '{"query": {"nonsense": {}}}', **failed(caught.value)}
    assert recorder.take() == [
        request(port, "PUT", "/people/_doc/ann", None, resource="PUT /people/_doc/?", tags=index, **shape),
        request(port, "POST", "/people/_search", None, trace=2, tags=search, **shape),
        request(port, "POST", "/people/_search", 400, trace=3, error=1, tags=error, **shape),
        request(port, "GET", "/people/_doc/7", 404, trace=4, resource="GET /people/_doc/?", **shape),
    ]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    **SEARCHES,
    "timeout": lambda c: c.get(index="slow", id="1", request_timeout=0.2),
    "wrong call": lambda c: c.get(),
}
# As the asyncio client's only.
AWAITED: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **OPERATIONS,
    "out of time": lambda c: asyncio.wait_for(c.get(index="slow", id="1"), 0.05),
    "cancelled": lambda c: cancelled(c.get(index="slow", id="1")),
    "after that": lambda c: c.get(index="people", id="1"),
}


def test_same_results_with_and_without(recorder: Recorder) -> None:
    with (
        ElasticServer(product=False) as server,
        opensearchpy.OpenSearch([{"host": "127.0.0.1", "port": server.port}], max_retries=0) as client,
    ):
        without = outcomes(OPERATIONS, client)
        assert recorder.take() == []
        patch(opensearch=True)
        assert outcomes(OPERATIONS, client) == without
    assert len(recorder.take()) == len(OPERATIONS) - 1  # the wrong call asks nobody


def test_same_results_with_and_without_in_asyncio(recorder: Recorder) -> None:
    async def found(port: int) -> dict[str, Any]:
        async with opensearchpy.AsyncOpenSearch([{"host": "127.0.0.1", "port": port}], max_retries=0) as client:
            with default_tracer.trace("work") as work:
                result = await awaited_outcomes(AWAITED, client)
                assert active.get() is work
        return result

    with ElasticServer(product=False) as server:
        without = asyncio.run(found(server.port))
        assert recorder.names() == ["work"]
        patch(opensearch=True)
        assert asyncio.run(found(server.port)) == without
    spans = recorder.take()
    assert {span["tags"].get("error.type") for span in spans} >= {None, "asyncio.exceptions.CancelledError"}
